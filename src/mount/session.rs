//! [`Mounted`]: a place that is shown as a file system, from [`mount`] until it is unmounted.
//!
//! **Invariants.** Once [`mount`] is back, everything can be read. Whoever unmounts it from outside ends it as [`Mounted::leave`] does.
//!
//! *Not here:* signals, and going to the background (`cli`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};

use super::ahead::Ahead;
use super::fs::Fs;
use super::point::{Point, source};
use super::view::{Showing, View};
use crate::error::{Error, Result};
use crate::image::Inside;
use crate::monitor::SharedMonitor;

/// How something is mounted.
#[derive(Debug, Clone)]
pub struct Options {
    /// How it is shown.
    pub showing: Showing,
    /// Directories that must not be above the one that it is mounted on.
    pub sources: Vec<PathBuf>,
    /// Let other people look into it too.
    pub allow_other: bool,
    /// Push pages to the kernel that are likely to be read next.
    pub page_push: bool,
    /// How many threads answer the kernel; at least 1.
    pub threads: usize,
}

/// A file system that is there.
pub struct Mounted {
    point: Point,
    session: BackgroundSession,
    images: usize,
}

/// Undoes a mount, from any thread.
#[derive(Clone)]
pub struct Leave {
    point: Point,
}

/// Shows `inside` as a file system on the directory `path`.
pub fn mount(inside: Arc<dyn Inside>, path: &Path, options: Options, monitor: SharedMonitor) -> Result<Mounted> {
    let point = Point::at(path)?;
    point.prepare(&options.sources)?;
    let (set_ids, devices) = (options.showing.set_ids, options.showing.devices);
    let mut config = Config::default();
    config.mount_options = vec![MountOption::RO, MountOption::FSName(source(&inside.place())), MountOption::Subtype("ocm".to_owned())];
    config.mount_options.extend(set_ids.then_some(MountOption::Suid));
    config.mount_options.extend(devices.then_some(MountOption::Dev));
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(options.threads);
    let view = Arc::new(View::new(inside, options.showing, monitor));
    let notifier = Arc::new(OnceLock::new());
    let ahead = Ahead::start(&view, &notifier, options.page_push)?;
    let wrong = |error: std::io::Error| Error::io(format!("mounting on {}", point.path().display()), &error).hint(HINT);
    let session = Session::new(Fs::new(Arc::clone(&view), ahead), point.path(), &config).map_err(wrong)?;
    // Set once, here.
    let _first = notifier.set(session.notifier());
    let session = session.spawn().map_err(wrong)?;
    Ok(Mounted { point, session, images: view.images() })
}

/// The way out where nothing can be mounted.
const HINT: &str = "run it as root, or install fuse3 and see that /dev/fuse is there";

/// Undoes what ocm mounted on the directory `path`.
pub fn unmount(path: &Path) -> Result<()> {
    Point::at(path)?.release()
}

impl Mounted {
    /// How many images are shown.
    #[must_use]
    pub fn images(&self) -> usize {
        self.images
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.point.path()
    }

    /// What undoes it while somebody waits for its end.
    #[must_use]
    pub fn leave(&self) -> Leave {
        Leave { point: self.point.clone() }
    }

    /// Waits until it is unmounted.
    pub fn wait(self) -> Result<()> {
        let point = self.point;
        self.session.join().map_err(|error| Error::io(format!("serving {}", point.path().display()), &error))
    }
}

impl Leave {
    /// Unmounts it. Where it is in use, it is gone from the directory at once, and as a whole when its last user is.
    pub fn leave(&self) -> Result<bool> {
        self.point.leave()
    }
}
