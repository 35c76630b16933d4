//! How a new set is packed: options that several verbs have.

use clap::Args;
use clap::builder::FalseyValueParser;

use super::settings::for_clap;
use super::sizes;
use crate::workflow::sync::Packing;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Writing an archive")]
pub(super) struct PackingArguments {
    /// Keep every file below this: 4.7GB, 4GiB, 700M, bytes; cd, dvd, dvd-dl, bd25, bd50, fat32
    ///
    /// The default is the archiveSize of the configuration, and 500GiB where there is none.
    #[arg(long, value_name = "SIZE", env = "OCM_VOLUME_SIZE", value_parser = volume_cap)]
    volume_size: Option<u64>,
    /// Compress at this zstd level, 1 to 19; the default is 6, with --small 9
    #[arg(long, value_name = "N", env = "OCM_LEVEL", value_parser = clap::value_parser!(i32).range(1..=19))]
    level: Option<i32>,
    /// Compress in frames of 4 MiB, not 1 MiB: some per cent smaller, and slower to read in pieces
    #[arg(long, env = "OCM_SMALL", value_parser = FalseyValueParser::new())]
    small: bool,
    /// What is done with gzip layers
    ///
    /// auto: a layer is stored uncompressed, deduplicated and compressed better, where ocm has proved that it can make
    /// the same gzip bytes again. keep: layers are stored as they came; fast, and larger.
    #[arg(long, value_name = "HOW", default_value = "auto", env = "OCM_GZIP")]
    gzip: Gzip,
}

/// What is done with gzip layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Gzip {
    /// Uncompressed where it can be made again
    Auto,
    /// As it came
    Keep,
}

/// Every file stays below this where nobody says more (semantics G.1).
const VOLUME_BYTES: u64 = 500 << 30;

impl PackingArguments {
    /// What every file stays below, where a configuration asks for `configured`.
    pub(super) fn volume_bytes(&self, configured: Option<u64>) -> u64 {
        self.volume_size.or(configured).unwrap_or(VOLUME_BYTES)
    }

    /// How content is packed.
    pub(super) fn packing(&self) -> Packing {
        let Packing { frame_bytes, level, .. } = if self.small { Packing::SMALL } else { Packing::default() };
        Packing { frame_bytes, level: self.level.unwrap_or(level), replays: self.gzip == Gzip::Auto }
    }
}

fn volume_cap(text: &str) -> Result<u64, String> {
    for_clap(sizes::volume_cap(text))
}
