//! [`Platform`]: the system that an image is for, and which platforms a person wants.
//!
//! **Invariants.** The text form is `os/arch` or `os/arch/variant`, as every tool of the field writes it.
//!
//! *Not here:* choosing the best platform for this machine; ocm mirrors, it does not run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A platform of an image index (OCI image-spec, "Image Index Property Descriptions").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system, a Go `GOOS` value.
    #[serde(default)]
    pub os: String,
    /// Processor architecture, a Go `GOARCH` value.
    #[serde(default)]
    pub architecture: String,
    /// Variant of the architecture, such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Whether an image for `there` serves one who asked for `self`. A wanted platform without variant takes every
    /// variant.
    #[must_use]
    pub fn takes(&self, there: &Platform) -> bool {
        self.os == there.os && self.architecture == there.architecture && (self.variant.is_none() || self.variant == there.variant)
    }

    /// Whether this names no real system: how attestations are marked inside an index (`unknown/unknown`).
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.os.as_str(), "" | "unknown") && matches!(self.architecture.as_str(), "" | "unknown")
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some((*variant).to_owned())),
            _ => return Err(refused(text)),
        };
        if parts.iter().any(|part| part.is_empty()) {
            return Err(refused(text));
        }
        Ok(Self { os: (*os).to_owned(), architecture: (*architecture).to_owned(), variant })
    }
}

fn refused(text: &str) -> Error {
    Error::usage(format!("platform {text:?} is not os/arch or os/arch/variant")).hint("write it like linux/arm64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_platform_without_variant_takes_every_variant() {
        let arm: Platform = "linux/arm64".parse().expect("a platform");
        let arm8: Platform = "linux/arm64/v8".parse().expect("a platform");
        assert!(arm.takes(&arm8) && arm.takes(&arm) && arm8.takes(&arm8));
        assert!(!arm8.takes(&arm));
        assert_eq!(arm8.to_string(), "linux/arm64/v8");
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "linux", "linux/", "a/b/c/d", "/amd64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
