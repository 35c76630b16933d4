//! What a dry run leaves in `dry-run`: `mapping.txt`, and `missing.txt` of what would be fetched.
//!
//! **Invariants.** Lines look as those of oc-mirror do, `source=destination`, with the names that images have at the port of its
//! cache (oc-mirror behaviour, dry run). Nothing else is written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::way::Mode;
use crate::error::{Error, Result};
use crate::image::place::Target;
use crate::image::{Digest, Reference};
use crate::workflow::sync::Outcome;

/// What is asked of a dry run.
pub(super) struct Lists<'a> {
    /// Which way.
    pub(super) mode: &'a Mode,
    /// The port of names in the cache of oc-mirror.
    pub(super) port: u16,
    /// Whether the images of manifest lists have lines of their own.
    pub(super) manifest_lists: bool,
    /// What the newest set lists already.
    pub(super) listed: &'a BTreeSet<(Reference, Digest)>,
}

/// What was written.
pub(super) struct Written {
    /// The file of all names.
    pub(super) mapping: PathBuf,
    /// How many images there are.
    pub(super) images: usize,
    /// The file of those that would be fetched, and how many they are.
    pub(super) missing: Option<(PathBuf, usize)>,
}

impl Lists<'_> {
    /// Writes the files.
    pub(super) fn write(&self, outcome: &Outcome, working_dir: &Path) -> Result<Written> {
        let folder = working_dir.join("dry-run");
        let (mut mapping, mut missing, mut images, mut lacking) = (String::new(), String::new(), 0, 0);
        for item in &outcome.report.items {
            let Some(digest) = item.item.digest().filter(|_| !item.has_failed()) else { continue };
            let origin = &item.item.origin;
            let cached = self.cache().name(origin, &item.item.rename, &digest)?;
            let (from, to) = match self.mode {
                Mode::MirrorToDisk(_) => (origin, &cached),
                Mode::DiskToMirror(_) => (&cached, &item.name),
                Mode::MirrorToMirror => (origin, &item.name),
            };
            let mut lines = format!("docker://{from}=docker://{to}\n");
            if self.manifest_lists {
                let tagged = from.to_string();
                let tagged = tagged.split('@').next().unwrap_or_default();
                let children = outcome.children.get(&digest).into_iter().flatten();
                lines.extend(children.map(|child| format!("docker://{tagged}@{child}=docker://{}@{child}\n", to.repository())));
            }
            mapping += &lines;
            images += 1;
            if matches!(self.mode, Mode::MirrorToDisk(_)) && !self.listed.contains(&(origin.clone(), digest)) {
                missing += &lines;
                lacking += 1;
            }
        }
        let (of_all, of_lacking) = (folder.join("mapping.txt"), folder.join("missing.txt"));
        std::fs::create_dir_all(&folder).map_err(|error| Error::io(folder.display(), &error))?;
        write(&of_all, &mapping)?;
        if lacking == 0 {
            remove(&of_lacking)?;
            return Ok(Written { mapping: of_all, images, missing: None });
        }
        write(&of_lacking, &missing)?;
        Ok(Written { mapping: of_all, images, missing: Some((of_lacking, lacking)) })
    }

    /// Where oc-mirror would have an image in between.
    fn cache(&self) -> Target {
        Target::of(&format!("localhost:{}", self.port), None, false)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| Error::io(path.display(), &error))
}

/// Takes away what an earlier run has left.
fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path.display(), &error)),
        _ => Ok(()),
    }
}
