//! The version, as `oc-mirror version` shows it.

use clap::ValueEnum;

/// The version, with the name of who it is.
pub(super) const VERSION: &str = concat!("v2.0.0 (ocm ", env!("CARGO_PKG_VERSION"), ")");

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// With the name.
    #[value(skip)]
    Long,
    /// Alone.
    #[value(skip)]
    Short,
    /// As JSON.
    Json,
    /// As YAML.
    Yaml,
}

/// The version in a form.
pub(super) fn text(format: Format) -> String {
    match format {
        Format::Long => format!("oc-mirror {VERSION}\n"),
        Format::Short => format!("{VERSION}\n"),
        Format::Json => format!("{{\n  \"clientVersion\": {{\n    \"gitVersion\": \"{VERSION}\"\n  }}\n}}\n"),
        Format::Yaml => format!("clientVersion:\n  gitVersion: {VERSION}\n"),
    }
}
