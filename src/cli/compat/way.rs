//! [`Way`]: from where to where, and where state is kept: what oc-mirror calls its workflow modes.
//!
//! **Invariants.** Places are where oc-mirror has them (semantics C.1, H.2).
//!
//! *Not here:* making anything there (`log`, `workflow`).

use std::fmt;
use std::path::{Path, PathBuf};

use super::arguments::Mirror;
use crate::error::{Error, Result};
use crate::image::place::Location;

/// The folder of state.
const WORKING_DIR: &str = "working-dir";

/// From where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// Which of the three.
    pub(super) mode: Mode,
    /// To where.
    pub(super) to: Location,
    /// Where state is kept.
    pub(super) working_dir: PathBuf,
    /// Whether a person named that place.
    pub(super) is_named: bool,
}

/// The workflows, by their names at oc-mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// Into this directory.
    MirrorToDisk(PathBuf),
    /// From this directory to a registry.
    DiskToMirror(PathBuf),
    /// From registries to a registry.
    MirrorToMirror,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MirrorToDisk(_) => "mirrorToDisk",
            Self::DiskToMirror(_) => "diskToMirror",
            Self::MirrorToMirror => "mirrorToMirror",
        })
    }
}

impl Way {
    /// What a person asks for.
    pub(super) fn of(mirror: &Mirror) -> Result<Self> {
        if mirror.flags.v1 {
            return Err(Error::usage("--v1 is another program: ocm does what oc-mirror v2 does").hint("run it with --v2"));
        }
        if mirror.sync.config.is_empty() {
            return Err(Error::usage("use the --config flag it is mandatory").hint("write -c FILE"));
        }
        let to = match mirror.sync.places.as_slice() {
            [to] => to.clone(),
            [] => return Err(Error::usage("no destination specified").hint("write file://DIR or docker://REGISTRY")),
            _ => return Err(Error::usage("there is more than one destination").hint("name sources in the configuration, or with --from")),
        };
        let from = mirror.flags.from.as_deref().map(folder).transpose()?;
        let workspace = mirror.sync.state.workspace.as_deref().map(local);
        let (mode, root) = match (&to, from, &workspace) {
            (Location::Archive { path, .. }, None, _) => (Mode::MirrorToDisk(path.clone()), path.clone()),
            (Location::Archive { .. }, Some(_), _) => {
                return Err(Error::usage(
                    "when destination is file://, mirrorToDisk workflow is assumed, and the --from argument is not needed",
                )
                .hint("leave --from out, or name a registry"));
            }
            (Location::Registry { .. }, Some(from), _) => (Mode::DiskToMirror(from.clone()), from),
            (Location::Registry { .. }, None, Some(workspace)) => (Mode::MirrorToMirror, workspace.clone()),
            (Location::Registry { .. }, None, None) => {
                return Err(Error::usage("when destination is docker://, either --from (assumes diskToMirror workflow) or --workspace (assumes mirrorToMirror workflow) need to be provided")
                    .hint("add --from file://DIR, or --workspace file://DIR"));
            }
            (Location::Layout { .. }, ..) => {
                return Err(Error::usage(format!("{to}: an OCI layout is no destination of oc-mirror")).hint("use `ocm sync`"));
            }
        };
        let working_dir = working_dir(&workspace.clone().unwrap_or(root));
        Ok(Self { mode, to, working_dir, is_named: workspace.is_some() })
    }

    /// Where else state can be kept, where the usual place cannot be written.
    pub(super) fn elsewhere(&self) -> Option<PathBuf> {
        (!self.is_named).then(|| PathBuf::from(WORKING_DIR))
    }
}

fn folder(text: &str) -> Result<PathBuf> {
    match text.parse()? {
        Location::Archive { path, .. } => Ok(path),
        other => Err(Error::usage(format!("--from {other}: it is no directory")).hint("write --from file://DIR")),
    }
}

/// A directory as it is named, with or without `file://`.
fn local(path: &Path) -> PathBuf {
    path.to_str().and_then(|text| text.strip_prefix("file://")).map_or_else(|| path.to_owned(), PathBuf::from)
}

/// The folder of state in `root`, unless it is that itself.
fn working_dir(root: &Path) -> PathBuf {
    if root.file_name().is_some_and(|name| name == WORKING_DIR) { root.to_owned() } else { root.join(WORKING_DIR) }
}
