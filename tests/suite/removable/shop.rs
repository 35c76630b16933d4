//! [`Shop`]: an archive in small volumes, media to put them on, and a place to gather them in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ocm::error::Result;
use ocm::workflow::gather::{Fate, Outcome, Request, gather};

use crate::support::images::{Image, Layout};
use crate::workflows::lab::Lab;

/// The cap of most archives here.
pub(super) const CAP: u64 = 128 << 10;

/// An archive that was written, and what became of it since.
pub(super) struct Shop {
    pub(super) lab: Lab,
    pub(super) layout: Layout,
    /// The whole archive as it was written.
    pub(super) disk: PathBuf,
}

impl Shop {
    /// An archive called `disk` of about `size_bytes` of images, in volumes below `cap`.
    pub(super) async fn new(size_bytes: usize, cap: u64) -> Self {
        let (lab, layout) = (Lab::new(), Layout::new());
        for (seed, tag) in [(1, "one"), (2, "two")] {
            layout.tag(tag, &layout.image(&Image::generated(seed, size_bytes / 2)));
        }
        let from = format!("oci:{}", layout.path().display());
        lab.sync_with(&[from], &lab.path("disk"), |request| request.archive.volume_bytes = cap).await.expect("an archive");
        let disk = lab.folder("disk");
        Self { lab, layout, disk }
    }

    /// An archive of five volumes or more.
    pub(super) async fn small() -> Self {
        let shop = Self::new(1_000_000, CAP).await;
        assert!(shop.volumes().len() >= 5, "{:?}", shop.volumes());
        shop
    }

    /// The data volumes as they were written, in order.
    pub(super) fn volumes(&self) -> Vec<PathBuf> {
        files_of(&self.disk, ".v")
    }

    /// The files of the catalogue beside them.
    pub(super) fn catalogue(&self) -> Vec<PathBuf> {
        files_of(&self.disk, ".c")
    }

    /// Puts copies of files on a medium.
    pub(super) fn put(&self, medium: &str, files: &[PathBuf]) -> PathBuf {
        let folder = self.lab.folder(medium);
        std::fs::create_dir_all(&folder).expect("a folder");
        for file in files {
            std::fs::copy(file, folder.join(file.file_name().expect("a name"))).expect("a copy");
        }
        folder
    }

    /// Gathers from media into the archive `srv`.
    pub(super) async fn gather(&self, media: &[&Path]) -> Result<Outcome> {
        self.gather_into("srv", media).await
    }

    /// Gathers from media into an archive.
    pub(super) async fn gather_into(&self, archive: &str, media: &[&Path]) -> Result<Outcome> {
        let sources = media.iter().map(|medium| medium.to_path_buf()).collect();
        gather(Request { sources, archive: self.lab.folder(archive) }, &self.lab.settings).await
    }

    /// The volumes and catalogues of an archive, by name.
    pub(super) fn stock(&self, archive: &str) -> BTreeMap<String, Vec<u8>> {
        stock(&self.lab.folder(archive))
    }

    /// The images of an archive can be brought out of it, and are those of the layout.
    pub(super) async fn assert_usable(&self, archive: &str) {
        let out = self.lab.folder(&format!("{archive}-out"));
        self.lab.sync(&[self.lab.path(archive)], &format!("oci:{}", out.display())).await.expect("usable");
        assert_eq!(Layout::at(&out).digests(), self.layout.digests());
    }
}

/// The volumes and catalogues of a folder, by name; nothing of it is in the making.
pub(super) fn stock(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut stock = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        assert!(!name.ends_with(".partial"), "{name} is visible");
        if name.ends_with(".ocm.tar") {
            stock.insert(name, std::fs::read(entry.path()).expect("content"));
        }
    }
    stock
}

/// The files of an archive with this in their names, in order.
pub(super) fn files_of(folder: &Path, series: &str) -> Vec<PathBuf> {
    let names = stock(folder).into_keys().filter(|name| name.contains(series));
    names.map(|name| folder.join(name)).collect()
}

/// Flips a byte in a file, counted from its end where `at` is negative.
pub(super) fn flip(path: &Path, at: i64) {
    let mut bytes = std::fs::read(path).expect("content");
    let at = if at < 0 { bytes.len() - at.unsigned_abs() as usize } else { at as usize };
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).expect("written");
}

/// What became of the volumes: `copied`, `hadAlready`, `replacedDamaged`, `refused`, by kind and number.
pub(super) fn fates(outcome: &Outcome) -> Vec<(String, Fate)> {
    let name = |volume: &ocm::workflow::gather::VolumeOutcome| match &volume.volume {
        Some(name) => format!("{:?} {}", name.kind, name.number),
        None => "?".to_owned(),
    };
    outcome.volumes.iter().map(|volume| (name(volume), volume.fate.clone())).collect()
}

/// Why a volume was refused.
pub(super) fn refusals(outcome: &Outcome) -> Vec<String> {
    let why = |fate: &Fate| match fate {
        Fate::Refused { why, .. } => Some(why.clone()),
        _ => None,
    };
    outcome.volumes.iter().filter_map(|volume| why(&volume.fate)).collect()
}
