//! `ocm mount`: look into an archive without unpacking it.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::daemon;
use super::figures::count;
use super::interrupt::stop;
use super::ls::archive;
use super::runner::Runner;
use super::safe::safe;
use super::settings::{Means, for_clap};
use super::show::serve::roots;
use super::signing::Vouching;
use super::sizes;
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::Settings;
use crate::workflow::mount::{Ready, Request, Trust, mount};

/// Show archives as a file system, read-only, without unpacking them
///
/// In it are an OCI layout of everything (oci-layout, index.json, blobs); each image by its name, images/REGISTRY/REPOSITORY/TAG, with
/// manifest.json, config.json, layers and its root file system, rootfs; and in .ocm what is damaged or missing. It is there until it is
/// unmounted, or until Ctrl-C.
#[derive(Debug, Args)]
#[command(
    override_usage = "ocm mount [OPTIONS] <ARCHIVE>... <DIR>",
    after_long_help = "Examples:\n  ocm mount /mnt/disk /mnt/view\n  ocm mount --daemon --all-sets /mnt/disk /mnt/view\n  ocm umount /mnt/view"
)]
pub(super) struct Arguments {
    /// Archive directories or files of them, @N for set N alone; and last the empty directory to show them on
    #[arg(required = true, value_name = "ARCHIVE… DIR")]
    places: Vec<Location>,
    /// Show all sets, not the newest of each lineage alone
    #[arg(long, env = "OCM_ALL_SETS", value_parser = FalseyValueParser::new())]
    all_sets: bool,
    /// Read what these sets build on from this archive too
    #[arg(long, value_name = "DIR", env = "OCM_BASE")]
    base: Vec<PathBuf>,
    /// Go to the background as soon as it is ready
    #[arg(long, env = "OCM_DAEMON", value_parser = FalseyValueParser::new())]
    daemon: bool,
    /// Let other people look into it too
    #[arg(long, env = "OCM_ALLOW_OTHER", value_parser = FalseyValueParser::new())]
    allow_other: bool,
    /// Show device nodes and fifos of images as what they are, not as empty files
    #[arg(long, env = "OCM_DEV", value_parser = FalseyValueParser::new())]
    dev: bool,
    /// Show set-id bits of files in images
    #[arg(long, env = "OCM_SUID", value_parser = FalseyValueParser::new())]
    suid: bool,
    /// Compare the digest of each blob before anything of it is read
    #[arg(long, env = "OCM_PARANOID", value_parser = FalseyValueParser::new())]
    paranoid: bool,
    /// Decompress layers that the archive has as they came in this directory, default $TMPDIR or /tmp
    #[arg(long, value_name = "DIR", env = "OCM_SPOOL")]
    spool: Option<PathBuf>,
    /// What these may take there; what was used least recently goes first
    #[arg(long, value_name = "SIZE", default_value = "2GiB", env = "OCM_SPOOL_SIZE", value_parser = size)]
    spool_size: u64,
    /// Give the kernel no pages that it did not ask for
    #[arg(long, env = "OCM_NO_PAGE_PUSH", value_parser = FalseyValueParser::new())]
    no_page_push: bool,
    #[command(flatten)]
    vouching: Vouching,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let is_detached = daemon::is_detached(&runner.environment);
        if self.daemon && !is_detached {
            return daemon::detach(runner);
        }
        if is_detached {
            daemon::leave_terminal()?;
        }
        let means = Means { vouching: self.vouching.clone(), ..Means::default() };
        let request = self.request()?;
        let ready = |ready: &Ready| {
            for text in &ready.passed_over {
                runner.console.say(&format!("warning: {}\n", safe(text)));
            }
            runner.show("ocm.mount.v1", Class::Done, ready, || line(ready))?;
            if is_detached { daemon::let_go() } else { Ok(()) }
        };
        let work = async |settings: Settings| {
            let stop = stop()?;
            mount(request, &settings, ready, stop).await
        };
        runner.run(means, false, work).map(|()| Class::Done)
    }

    fn request(self) -> Result<Request> {
        let mut places = self.places.into_iter().map(archive).collect::<Result<Vec<_>>>()?;
        let to = places.pop().filter(|_| !places.is_empty());
        let (path, None) =
            to.ok_or_else(|| Error::usage("one place alone is no mount").hint("name the archive, and last where to show it"))?
        else {
            return Err(Error::usage("a set cannot be chosen at the directory to show it on").hint("write @N after the archive"));
        };
        Ok(Request {
            places,
            all_sets: self.all_sets,
            base: self.base,
            path,
            allow_other: self.allow_other,
            devices: self.dev,
            set_ids: self.suid,
            trust: if self.paranoid { Trust::Nothing } else { Trust::Parts },
            page_push: !self.no_page_push,
            spool: self.spool,
            spool_bytes: self.spool_size,
        })
    }
}

/// `ready: 13 images of 2 sets at /mnt/view (read-only)`
fn line(ready: &Ready) -> String {
    let (images, sets) = (count(ready.images, "image"), count(ready.sets, "set"));
    format!("ready: {images} of {sets} at {} (read-only)\n{}", safe(&ready.path.display().to_string()), roots(&ready.shown))
}

fn size(text: &str) -> Result<u64, String> {
    for_clap(sizes::parse(text))
}
