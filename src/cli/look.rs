//! [`Look`]: the options that say how ocm speaks; every verb has them.
//!
//! *Not here:* what is said (`show`, `failure`, `progress`).

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

/// How ocm speaks.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct Look {
    /// Print results for people, or one JSON document
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "text", env = "OCM_OUTPUT")]
    pub(super) output: Output,
    /// Say nothing but results and errors, whatever --verbose says
    #[arg(short, long, global = true, env = "OCM_QUIET", value_parser = FalseyValueParser::new())]
    pub(super) quiet: bool,
    /// Say more: each retry, for one
    #[arg(short, long, global = true, env = "OCM_VERBOSE", value_parser = FalseyValueParser::new())]
    pub(super) verbose: bool,
    /// Colour messages
    #[arg(long = "color", global = true, value_name = "WHEN", default_value = "auto", env = "OCM_COLOR")]
    pub(super) colour: Colour,
}

impl Default for Look {
    fn default() -> Self {
        Self { output: Output::Text, quiet: false, verbose: false, colour: Colour::Auto }
    }
}

/// The form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// For programs: one document, described in docs/reference/json.md.
    Json,
}

/// When messages are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
