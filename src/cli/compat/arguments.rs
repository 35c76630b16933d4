//! What a person types after oc-mirror: its flags, and those of `ocm sync`.
//!
//! **Invariants.** Every flag of oc-mirror v2 is taken. One that has no meaning here says so, once (semantics H.3).
//!
//! *Not here:* what the flags come to (`way`, `sides`, `mirror`).

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use super::NAME;
use super::sides::SideFlags;
use super::version::Format;
use crate::cli::look::Look;
use crate::cli::sync;

/// What is asked of oc-mirror.
pub(super) enum Asked {
    /// To mirror.
    Mirror(Box<Mirror>),
    /// Its version.
    Version(Format),
    /// The completion of a shell.
    Completion(clap_complete::Shell),
    /// What is not built.
    NotYet(&'static str),
}

/// To mirror.
pub(super) struct Mirror {
    look: Look,
    /// How much is said.
    pub(super) flags: Flags,
    /// What `ocm sync` takes too.
    pub(super) sync: sync::Arguments,
    /// What a person is told of flags that do nothing.
    pub(super) dead: Vec<String>,
}

#[derive(Debug, Parser)]
#[command(name = NAME, disable_help_subcommand = true, disable_version_flag = true, subcommand_negates_reqs = true)]
struct Cli {
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    sync: sync::Arguments,
    #[command(subcommand)]
    other: Option<Other>,
}

/// Flags that `ocm sync` has not.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "oc-mirror")]
pub(super) struct Flags {
    /// Mirror from archives in this directory to a registry
    #[arg(long, value_name = "file://DIR")]
    pub(super) from: Option<String>,
    /// Say debug, trace, info or error
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(super) log_level: Level,
    /// Bring so many images at once, 1 to 10
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(super) parallel_images: Option<u32>,
    /// Bring so many layers of each at once, 1 to 10
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(super) parallel_layers: Option<u32>,
    /// Like --dry-run, with the images of each manifest list
    #[arg(long)]
    pub(super) dry_run_manifest_lists: bool,
    /// The port that mapping files name
    #[arg(short, long, value_name = "PORT", default_value = "55000")]
    pub(super) port: u16,
    /// Another program
    #[arg(long, hide = true)]
    pub(super) v1: bool,
    #[command(flatten)]
    pub(super) sides: SideFlags,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    /// What is done.
    Info,
    /// And each retry.
    Debug,
    /// The same as debug.
    Trace,
    /// Errors alone.
    Error,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Not supported yet
    Delete(Passed),
    /// Not supported yet
    List(Passed),
    /// Print the version
    Version(VersionFlags),
    /// Print the completion of a shell
    Completion {
        /// Which one
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
struct Passed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<OsString>,
}

#[derive(Debug, Args)]
struct VersionFlags {
    /// Print it as JSON or YAML
    #[arg(long = "output", id = "format", value_name = "FORMAT")]
    format: Option<Format>,
    /// The version alone
    #[arg(long)]
    short: bool,
}

/// Flags that do nothing: the name, whether a value follows, and why (semantics H.3).
const DEAD: [(&str, bool, &str); 19] = [
    ("strict-archive", false, "no archive is ever larger than archiveSize says"),
    ("cache-dir", true, "there is no cache: blobs go straight into the archive"),
    ("rootless-storage-path", true, "no storage of containers is used"),
    ("force", false, "nothing waits for it"),
    ("dest-compress", false, NO_CHANGE),
    ("dest-decompress", false, NO_CHANGE),
    ("dest-compress-format", true, NO_CHANGE),
    ("dest-compress-level", true, NO_CHANGE),
    ("dest-oci-accept-uncompressed-layers", false, NO_CHANGE),
    ("dest-precompute-digests", false, "digests are known before anything is sent"),
    ("src-daemon-host", true, NO_DAEMON),
    ("dest-daemon-host", true, NO_DAEMON),
    ("src-shared-blob-dir", true, NO_SHARED),
    ("dest-shared-blob-dir", true, NO_SHARED),
    ("cpu-prof", false, NO_PROFILE),
    ("mem-prof", false, NO_PROFILE),
    ("ignore-release-signature", false, "releases are not supported yet"),
    ("port", true, "no registry is started; mapping files name the port"),
    ("v2", false, ""),
];
const NO_CHANGE: &str = "blobs arrive byte for byte as they were";
const NO_DAEMON: &str = "no docker daemon is used";
const NO_SHARED: &str = "blobs of OCI layouts are in the layouts";
const NO_PROFILE: &str = "use perf";

const ABOUT: &str = "Mirrors container images as oc-mirror v2 does, over the machine of ocm";

/// Reads the arguments after the name.
pub(super) fn parse(arguments: &[OsString]) -> Result<Asked, clap::Error> {
    let mut command = command();
    let arguments = std::iter::once(OsString::from(NAME)).chain(arguments.iter().cloned());
    let mut matches = command.try_get_matches_from_mut(arguments).map_err(without_config)?;
    let dead = dead(&matches);
    let cli = Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
    Ok(match cli.other {
        Some(Other::Delete(_)) => Asked::NotYet("delete"),
        Some(Other::List(_)) => Asked::NotYet("list"),
        Some(Other::Version(flags)) => Asked::Version(flags.format.unwrap_or(if flags.short { Format::Short } else { Format::Long })),
        Some(Other::Completion { shell }) => Asked::Completion(shell),
        None => Asked::Mirror(Box::new(Mirror { look: cli.look, flags: cli.flags, sync: cli.sync, dead })),
    })
}

/// The completion of a shell.
pub(super) fn completion(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The command line as clap knows it: no variables, and flags as Go programs take them.
fn command() -> clap::Command {
    let known: Vec<String> = Cli::command().get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    let dead = DEAD.iter().filter(|(name, ..)| !known.iter().any(|known| known == name));
    let dead = dead.map(|(name, takes, _)| {
        let action = if *takes { ArgAction::Set } else { ArgAction::SetTrue };
        as_go_takes_it(Arg::new(*name).long(*name).action(action).hide(true).global(true).short((*name == "force").then_some('f')))
    });
    let version = Arg::new("version").short('v').long("version").action(ArgAction::Version).help("Print the version");
    Cli::command()
        .mut_arg("verbose", |arg| arg.short(None))
        .mut_arg("retry_times", |arg| arg.default_value("5"))
        .mut_args(|arg| as_go_takes_it(arg.env(None::<&str>).global(false)))
        .args(dead)
        .arg(version)
        .version(super::version::VERSION)
        .about(ABOUT)
        .long_about(ABOUT)
        .override_usage("oc-mirror -c FILE [--from file://DIR | --workspace file://DIR] file://DIR|docker://REGISTRY")
        .after_long_help(super::EXAMPLES.replace("ocm oc-mirror", NAME))
}

/// The names of all flags.
#[cfg(test)]
pub(super) fn names() -> std::collections::BTreeSet<String> {
    let mut command = command();
    command.build();
    let named = |arg: &Arg| {
        arg.get_long_and_visible_aliases()
            .into_iter()
            .flatten()
            .chain(arg.get_all_aliases().into_iter().flatten())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    command.get_arguments().flat_map(named).collect()
}

/// `--flag=true` and `--flag=false` besides `--flag`.
fn as_go_takes_it(arg: Arg) -> Arg {
    match arg.get_action() {
        ArgAction::SetTrue => {
            let arg = arg.action(ArgAction::Set).num_args(0..=1).require_equals(true);
            arg.value_parser(clap::value_parser!(bool))
                .default_value("false")
                .default_missing_value("true")
                .hide_default_value(true)
                .hide_possible_values(true)
        }
        _ => arg,
    }
}

/// What is to be said of flags that do nothing.
fn dead(matches: &ArgMatches) -> Vec<String> {
    let is_typed = |name: &str| {
        let id = matches.ids().find(|id| id.as_str().replace('_', "-") == name);
        id.is_some_and(|id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine))
    };
    let said = DEAD.iter().filter(|(name, _, why)| !why.is_empty() && is_typed(name));
    said.map(|(name, _, why)| format!("--{name} does nothing here: {why}")).collect()
}

/// What oc-mirror says where no configuration is named.
fn without_config(error: clap::Error) -> clap::Error {
    match error.kind() {
        clap::error::ErrorKind::MissingRequiredArgument => clap::Error::raw(error.kind(), "use the --config flag it is mandatory\n"),
        _ => error,
    }
}

impl Mirror {
    /// How ocm speaks.
    pub(super) fn look(&self) -> Look {
        let level = self.flags.log_level;
        let (quiet, verbose) =
            (self.look.quiet || level == Level::Error, self.look.verbose || matches!(level, Level::Debug | Level::Trace));
        Look { quiet, verbose, ..self.look }
    }

    /// How many blobs may move at once, where a person says so: those of all images that may.
    pub(super) fn jobs(&self) -> Option<usize> {
        let (images, layers) = (self.flags.parallel_images, self.flags.parallel_layers);
        (images.is_some() || layers.is_some()).then(|| images.unwrap_or(4) as usize * layers.unwrap_or(5) as usize)
    }
}
