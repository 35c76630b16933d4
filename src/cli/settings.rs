//! The surroundings of a run, from options and the process: [`Settings`].
//!
//! **Invariants.** Only here are clock, randomness and the number of processors asked.
//!
//! *Not here:* what a run is asked to do (the verbs).

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use clap::builder::FalseyValueParser;

use super::durations;
use super::signing::{Signing, Vouching};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::monitor::SharedMonitor;
use crate::workflow::{Reach, Redirects, Settings, Trust, TrustChoice};

/// Where state is kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Means")]
pub(super) struct State {
    /// Keep state here instead of in $XDG_STATE_HOME/ocm
    #[arg(long, value_name = "DIR", env = "OCM_WORKSPACE")]
    pub(super) workspace: Option<PathBuf>,
}

/// How much is brought at once.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Means")]
pub(super) struct Moving {
    /// Do so many things at once
    #[arg(long, value_name = "N", default_value = "6", env = "OCM_JOBS", value_parser = jobs)]
    pub(super) jobs: usize,
}

/// How much is checked at once.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Means")]
pub(super) struct Hashing {
    /// Check with so many threads, default one for each processor
    #[arg(long, value_name = "N", env = "OCM_JOBS", value_parser = jobs)]
    pub(super) jobs: Option<usize>,
}

/// What the options of a verb say of the surroundings of its run. For what a verb has no option, the default does.
#[derive(Debug, Clone, Default)]
pub(super) struct Means {
    /// Where state is kept.
    pub(super) workspace: Option<PathBuf>,
    /// How many things are brought at once.
    pub(super) jobs: Option<usize>,
    /// How many threads hash.
    pub(super) threads: Option<usize>,
    /// How registries are reached.
    pub(super) wire: Wire,
    /// Where they are read; `None` for verbs that read nothing by the name of an image.
    pub(super) redirecting: Option<Redirecting>,
    /// What is accepted; `None` for verbs that bring nothing.
    pub(super) trusting: Option<Trusting>,
    /// What signs; the default is nothing.
    pub(super) signing: Signing,
    /// Which signatures the sets must have that are read; the default asks for none.
    pub(super) vouching: Vouching,
}

/// Where registries are read.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Registries")]
pub(super) struct Redirecting {
    /// Take mirrors of registries from this registries.conf, default podman's
    ///
    /// With it come drop-ins in FILE.d. Podman's is $CONTAINERS_REGISTRIES_CONF, ~/.config/containers/registries.conf, or
    /// /etc/containers/registries.conf, with drop-ins. /dev/null has no mirrors. What is written to a registry goes where it was sent.
    #[arg(long, value_name = "FILE", env = "OCM_REGISTRIES_CONF")]
    registries_conf: Option<PathBuf>,
    /// Never read from the registry that an image is named by
    #[arg(long, env = "OCM_MIRRORS_ONLY", value_parser = FalseyValueParser::new())]
    mirrors_only: bool,
}

impl Redirecting {
    fn read(&self, environment: &Environment) -> Result<Redirects> {
        Ok(Redirects::load(environment, self.registries_conf.as_deref())?.mirrors_only(self.mirrors_only))
    }
}

/// Which images are accepted.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Signatures")]
pub(super) struct Trusting {
    /// Bring only images that podman's policy.json accepts
    ///
    /// That is ~/.config/containers/policy.json, or /etc/containers/policy.json. Without this and --policy everything is accepted.
    #[arg(long, env = "OCM_SECURE_POLICY", value_parser = FalseyValueParser::new())]
    secure_policy: bool,
    /// Bring only images that this policy.json accepts
    #[arg(long, value_name = "FILE", env = "OCM_POLICY")]
    policy: Option<PathBuf>,
    /// Look in this registries.d for where signatures lie, default podman's
    ///
    /// That is ~/.config/containers/registries.d, or /etc/containers/registries.d.
    #[arg(long, alias = "registries.d", value_name = "DIR", env = "OCM_REGISTRIES_D")]
    registries_d: Option<PathBuf>,
}

impl Trusting {
    /// Lets go of a policy that was named, where none is asked for.
    pub(super) fn without_unasked(&mut self) -> Option<PathBuf> {
        if self.secure_policy { None } else { self.policy.take() }
    }

    fn read(self, environment: &Environment) -> Result<Trust> {
        let choice = TrustChoice { secure: self.secure_policy, policy: self.policy, registries_d: self.registries_d };
        Trust::load(environment, &choice)
    }
}

/// How registries are reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Registries")]
pub(super) struct Wire {
    /// Read credentials from this file alone
    #[arg(long, value_name = "FILE", env = "OCM_AUTHFILE")]
    pub(super) authfile: Option<PathBuf>,
    /// Check certificates of all registries; =false also allows plain HTTP
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", env = "OCM_TLS_VERIFY")]
    pub(super) tls_verify: Option<bool>,
    /// The same for registries that are read from
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", env = "OCM_SRC_TLS_VERIFY")]
    pub(super) src_tls_verify: Option<bool>,
    /// The same for registries that are written to
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", env = "OCM_DEST_TLS_VERIFY")]
    pub(super) dest_tls_verify: Option<bool>,
    /// Make a failed request so many times again
    #[arg(long, value_name = "N", default_value = "3", env = "OCM_RETRY_TIMES", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(super) retry_times: u32,
    /// Wait so long before each retry, instead of longer each time
    #[arg(long, value_name = "DURATION", env = "OCM_RETRY_DELAY", value_parser = duration)]
    pub(super) retry_delay: Option<Duration>,
    /// Give an image up that makes no progress for so long; 0 never does
    #[arg(long, value_name = "DURATION", default_value = "10m", env = "OCM_IMAGE_TIMEOUT", value_parser = duration)]
    pub(super) image_timeout: Duration,
}

impl Default for Wire {
    /// For verbs that reach no registry.
    fn default() -> Self {
        Self {
            authfile: None,
            tls_verify: None,
            src_tls_verify: None,
            dest_tls_verify: None,
            retry_times: 0,
            retry_delay: None,
            image_timeout: Duration::ZERO,
        }
    }
}

/// The settings of a run that begins now.
pub(super) fn settings(environment: Environment, means: Means, monitor: SharedMonitor) -> Result<Settings> {
    let wire = means.wire;
    let redirects = means.redirecting.map_or_else(|| Ok(Redirects::default()), |redirecting| redirecting.read(&environment))?;
    let trust = means.trusting.map_or_else(|| Ok(Trust::default()), |trusting| trusting.read(&environment))?;
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Settings {
        environment,
        now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        random: random()?,
        workspace: means.workspace,
        jobs: means.jobs.unwrap_or(1),
        threads: means.threads.unwrap_or_else(processors),
        src: Reach { authfile: wire.authfile.clone(), tls_verify: wire.src_tls_verify.or(wire.tls_verify), ..Reach::default() },
        dest: Reach { authfile: wire.authfile, tls_verify: wire.dest_tls_verify.or(wire.tls_verify), ..Reach::default() },
        redirects,
        trust,
        signer: None,
        authority: means.vouching.read()?,
        retry_times: wire.retry_times,
        retry_delay: wire.retry_delay,
        image_timeout: Some(wire.image_timeout).filter(|timeout| !timeout.is_zero()),
        monitor,
    })
}

/// Randomness of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    const SOURCE: &str = "/dev/urandom";
    let mut bytes = [0; N];
    let read = File::open(SOURCE).and_then(|mut file| file.read_exact(&mut bytes));
    read.map(|()| bytes).map_err(|error| Error::io(SOURCE, &error))
}

/// What clap says of a value that is refused: the error and its way out in one line.
pub(super) fn for_clap<T>(read: Result<T>) -> Result<T, String> {
    read.map_err(|error| match error.way_out() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    for_clap(durations::parse(text))
}

fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=1000) => Ok(jobs),
        _ => Err("it is not a number from 1 to 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn jobs_are_things_to_bring_or_threads_that_check() {
        let of = |means| settings(Environment::default(), means, Arc::new(crate::monitor::Silent)).expect("settings");
        let processors = of(Means::default()).threads;
        assert!(processors >= 1);
        let (bringing, checking) = (of(Means { jobs: Some(40), ..Means::default() }), of(Means { threads: Some(40), ..Means::default() }));
        assert_eq!((bringing.jobs, bringing.threads, checking.threads), (40, processors, 40));
    }
}
