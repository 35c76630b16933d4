//! [`Workspace`]: the one place of state on a side: catalogues of the sets made here, receipts, the ledger.
//!
//! **Invariants.** Files are whole or not there. Without it, sets can still be made and used; what is lost with it is only what
//! later runs would have known (semantics C.2).
//!
//! *Not here:* what is decided from it (`workflow`).

mod released;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::released::{Released, ReleasedFile};
use crate::durable::write_whole;
use crate::error::{Error, Result};
use crate::image::{Digest, Receipt};

/// A folder of state.
#[derive(Debug, Clone)]
pub struct Workspace {
    path: PathBuf,
}

/// The newest set of a lineage that a destination accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its generation.
    pub generation: u32,
    /// Its root.
    pub root: Digest,
}

/// What each destination accepted, by lineage id.
type Ledger = BTreeMap<String, BTreeMap<String, Accepted>>;

impl Workspace {
    /// The workspace at `path`; nothing is made there before there is something to keep.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the catalogues of sets made here are.
    #[must_use]
    pub fn catalogues(&self) -> PathBuf {
        self.path.join("catalogues")
    }

    /// Where sets are that were moved here when a newer one took their place (semantics H.1).
    #[must_use]
    pub fn old_sets(&self) -> PathBuf {
        self.path.join("sets")
    }

    /// The folders of the sets that were moved here.
    pub fn old_set_folders(&self) -> Result<Vec<PathBuf>> {
        Ok(files_in(&self.old_sets())?.into_iter().filter(|path| path.is_dir()).collect())
    }

    /// All places here that may speak of a set: catalogues, and sets that were moved here.
    pub fn known_sets(&self) -> Result<Vec<PathBuf>> {
        let catalogues = Some(self.catalogues()).filter(|path| path.is_dir());
        Ok(catalogues.into_iter().chain(self.old_set_folders()?).collect())
    }

    /// Where the files are for clusters that have their images from `destination`.
    #[must_use]
    pub fn cluster_resources(&self, destination: &str) -> PathBuf {
        self.path.join("cluster-resources").join(slug(destination))
    }

    /// Keeps a configuration that a set was made from.
    pub fn keep_config(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path.join("configs").join(Digest::of(format!("{name}\n{text}").as_bytes()).hex()).join(words(name));
        if path.exists() { Ok(()) } else { write(&path, text.as_bytes()) }
    }

    /// The configurations that are kept here, each with its name.
    pub fn configs(&self) -> Result<Vec<(String, String)>> {
        let mut configs = Vec::new();
        for folder in files_in(&self.path.join("configs"))? {
            for path in files_in(&folder)? {
                let text = std::fs::read_to_string(&path).map_err(|error| Error::io(path.display(), &error))?;
                configs.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text));
            }
        }
        Ok(configs)
    }

    /// Keeps a receipt; says where.
    pub fn keep_receipt(&self, receipt: &Receipt) -> Result<PathBuf> {
        let folder = self.receipts_folder(&receipt.destination);
        let bytes = to_json(receipt)?;
        let name = format!("{}-{}.json", words(&receipt.time), &Digest::of(&bytes).short()[..8]);
        let path = folder.join(name);
        write(&path, &bytes)?;
        Ok(path)
    }

    /// All receipts that are kept here, by place and time; a file that is none is passed over.
    pub fn all_receipts(&self) -> Result<Vec<Receipt>> {
        let mut receipts = Vec::new();
        for path in self.receipt_files()? {
            let bytes = std::fs::read(&path).map_err(|error| Error::io(path.display(), &error))?;
            receipts.extend(serde_json::from_slice::<Receipt>(&bytes).ok());
        }
        Ok(receipts)
    }

    /// The files of all receipts that are kept here.
    pub fn receipt_files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for folder in files_in(&self.path.join("receipts"))? {
            files.extend(files_in(&folder)?.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")));
        }
        Ok(files)
    }

    /// The receipts of a destination, newest first. One that cannot be read says nothing: it is passed over.
    pub fn receipts(&self, destination: &str) -> Result<Vec<Receipt>> {
        let folder = self.receipts_folder(destination);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(folder.display(), &error)),
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.extension().is_some_and(|end| end == "json"));
        let read = |path: PathBuf| serde_json::from_slice::<Receipt>(&std::fs::read(path).ok()?).ok();
        let mut receipts: Vec<Receipt> = paths.filter_map(read).filter(|receipt| receipt.destination == destination).collect();
        receipts.sort_by(|a, b| b.time.cmp(&a.time));
        Ok(receipts)
    }

    fn receipts_folder(&self, destination: &str) -> PathBuf {
        self.path.join("receipts").join(slug(destination))
    }

    /// The newest set of `lineage` that `destination` accepted.
    pub fn accepted(&self, destination: &str, lineage: &str) -> Result<Option<Accepted>> {
        Ok(self.ledger()?.get(destination).and_then(|sets| sets.get(lineage)).copied())
    }

    /// Notes that `destination` accepted a set, unless it has accepted a newer one.
    pub fn accept(&self, destination: &str, lineage: &str, set: Accepted) -> Result<()> {
        let mut ledger = self.ledger()?;
        let sets = ledger.entry(destination.to_owned()).or_default();
        if sets.get(lineage).is_some_and(|there| there.generation >= set.generation) {
            return Ok(());
        }
        sets.insert(lineage.to_owned(), set);
        write(&self.ledger_path(), &to_json(&ledger)?)
    }

    fn ledger_path(&self) -> PathBuf {
        self.path.join("ledger.json")
    }

    fn ledger(&self) -> Result<Ledger> {
        let path = self.ledger_path();
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::damaged(format!("{}: {error}", path.display())).hint("remove the file: older sets will then be accepted again")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Ledger::default()),
            Err(error) => Err(Error::io(path.display(), &error).hint("name another place with --workspace")),
        }
    }
}

/// What is in a folder, sorted; nothing where there is no folder, or it is a file.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder.display(), &error).hint("name another place with --workspace")),
    };
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>();
    if let Ok(paths) = &mut paths {
        paths.sort();
    }
    paths.map_err(|error| Error::io(folder.display(), &error))
}

/// A destination as the name of a folder.
fn slug(destination: &str) -> String {
    words(destination.trim_start_matches("docker://"))
}

/// `text` as the name of a file.
pub(crate) fn words(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' }).collect()
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|error| Error::failed(format!("the workspace: {error}")))
}

/// A receipt as it stands in a file.
pub fn receipt_document(receipt: &Receipt) -> Result<Vec<u8>> {
    to_json(receipt)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes).map_err(|error| error.hint("name a place that can be written with --workspace"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_accepted_set_is_remembered_for_each_destination() {
        let folder = tempfile::tempdir().expect("a folder");
        let workspace = Workspace::new(folder.path().join("state"));
        let set = |generation| Accepted { generation, root: Digest::of(b"root") };
        assert_eq!(workspace.accepted("docker://a", "01").expect("a ledger"), None);
        for generation in [2, 5, 3] {
            workspace.accept("docker://a", "01", set(generation)).expect("noted");
        }
        assert_eq!(workspace.accepted("docker://a", "01").expect("a ledger"), Some(set(5)));
        assert_eq!(workspace.accepted("docker://b", "01").expect("a ledger"), None);
        assert_eq!(workspace.accepted("docker://a", "02").expect("a ledger"), None);
    }

    #[test]
    fn a_receipt_is_kept_below_its_destination() {
        let folder = tempfile::tempdir().expect("a folder");
        let workspace = Workspace::new(folder.path().to_owned());
        let receipt = Receipt {
            destination: "docker://reg:5000/x".into(),
            time: "2026-11-21T10:00:00Z".into(),
            items: vec![],
            manifests: vec![],
            blobs: vec![],
        };
        let path = workspace.keep_receipt(&receipt).expect("kept");
        assert!(path.starts_with(folder.path().join("receipts/reg-5000-x")), "{}", path.display());
        assert_eq!(serde_json::from_slice::<Receipt>(&std::fs::read(&path).expect("bytes")).expect("a receipt"), receipt);
        let later = Receipt { time: "2026-11-22T10:00:00Z".into(), ..receipt.clone() };
        workspace.keep_receipt(&later).expect("kept");
        // Another destination may have the same folder; and one that is no receipt says nothing.
        workspace.keep_receipt(&Receipt { destination: "docker://reg:5000-x".into(), ..receipt.clone() }).expect("kept");
        std::fs::write(path.with_file_name("garbled.json"), "{").expect("written");
        assert_eq!(workspace.receipts("docker://reg:5000/x").expect("receipts"), [later, receipt]);
        assert_eq!(workspace.receipts("docker://reg:5000/y").expect("receipts"), []);
        assert_eq!(workspace.all_receipts().expect("readable").len(), 3);
        assert!(Workspace::new(folder.path().join("nowhere")).all_receipts().expect("none").is_empty());
    }
}
