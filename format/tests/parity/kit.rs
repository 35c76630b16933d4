//! Sets with parity, small, in folders; and ways to hurt them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ocm_format::error::{Error, Result};
use ocm_format::layout::{ShardEntry, VolumeKind};
use ocm_format::parity::{Group, Holder, Plan, Survey, make, rebuild, reserve_bytes};
use ocm_format::set::{SetFiles, name, scan};
use ocm_format::writer::{Fate, Finished, Form, Options, SetWriter};

use crate::support::{self, new_blob, noise_twice};

/// Makes the checksum hold of a structure of 512 bytes.
pub(crate) fn seal(structure: &mut [u8]) {
    let sum = crc32c::crc32c(&structure[..508]);
    structure[508..512].copy_from_slice(&sum.to_le_bytes());
}

/// A set in a folder of its own.
pub(crate) struct Sample {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) finished: Finished,
}

/// A set of blobs of this many bytes together, with parity.
pub(crate) fn sample(id: u8, cap: u64, bytes: usize, parity: u32) -> Sample {
    let sample = without_parity(id, cap, bytes);
    sample.add_parity(parity).expect("parity");
    sample
}

pub(crate) fn without_parity(id: u8, cap: u64, bytes: usize) -> Sample {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { cap, frame_bytes: 4 << 10, level: 1, reserve_bytes: reserve_bytes(cap), ..support::options(folder.path()) };
    let mut set = SetWriter::create(support::head(id), options, Box::new(|_| Ok(Fate::Kept))).expect("a writer");
    for (number, content) in noise_twice(u64::from(id), bytes, 1 << 20).chunks(20_000).enumerate() {
        let form = if number % 5 == 0 { Form::Document } else { Form::Packed };
        set.add(new_blob(form, content), &mut &*content).expect("stored");
    }
    let finished = set.finish(support::closing()).expect("finished");
    Sample { folder, finished }
}

impl Sample {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn plan(&self, parity: u32) -> Result<Plan> {
        let found = scan(self.path()).expect("a scan");
        let set = found.sets.iter().find(|set| set.id() == self.finished.manifest.set).expect("the set");
        let entries = self.finished.volumes.iter().map(|(path, done)| (path.clone(), ShardEntry { bytes: done.bytes, root: done.root }));
        Plan::new(set.header, self.finished.root, entries.collect(), parity)
    }

    /// Writes all parity volumes under their names.
    pub(crate) fn add_parity(&self, parity: u32) -> Result<()> {
        let plan = self.plan(parity)?;
        let path = |number| self.path().join(name::file_name("lab", &plan.header(number)));
        let targets: BTreeMap<u32, PathBuf> = (1..=parity).map(|number| (number, path(number))).collect();
        make(&plan, &targets, &mut go_on).map(drop)
    }

    /// The paths of its data volumes.
    pub(crate) fn volumes(&self) -> Vec<PathBuf> {
        self.finished.volumes.iter().map(|(path, _)| path.clone()).collect()
    }

    /// The paths of its parity volumes.
    pub(crate) fn parity(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = files(self.path()).into_keys().filter(|path| path.to_string_lossy().contains(".p0")).collect();
        paths.sort();
        paths
    }

    /// Its parity as a reader finds it, with every file that may hold anything.
    pub(crate) fn group(&self) -> (Option<Group>, Vec<Error>) {
        let volumes = numbered(&self.parity());
        let (group, problems) = Group::open(self.finished.manifest.set, None, &volumes);
        let group = group.map(|mut group| {
            for (number, path) in numbered(&self.volumes()).into_iter().filter(|(_, path)| path.exists()) {
                group.add_data(number, Holder::file(&path));
            }
            group
        });
        (group, problems)
    }

    /// Rebuilds what is damaged into another folder, and holds it against the original bytes.
    pub(crate) fn repair(&self, originals: &BTreeMap<PathBuf, Vec<u8>>) -> Result<Survey> {
        let mut group = self.group().0.expect("parity");
        let survey = group.survey(&mut go_on)?;
        let out = tempfile::tempdir().expect("a folder");
        let path = |number: u32| out.path().join(number.to_string());
        let file = |number: u32| std::fs::File::create(path(number)).expect("a file");
        let targets = survey.damaged().into_iter().map(|number| (number, file(number))).collect();
        rebuild(&mut group, &survey, &targets, &mut go_on)?;
        for number in targets.keys() {
            let made = std::fs::read(path(*number)).expect("content");
            let (original, _) = &self.finished.volumes[*number as usize - 1];
            assert!(made == originals[original], "volume {number} is not what it was");
        }
        Ok(survey)
    }

    /// The set as a scan finds it.
    pub(crate) fn scanned(&self) -> SetFiles {
        let mut found = scan(self.path()).expect("a scan");
        let at = found.sets.iter().position(|set| set.id() == self.finished.manifest.set).expect("the set");
        found.sets.swap_remove(at)
    }

    /// Puts all files back as they were.
    pub(crate) fn restore(&self, originals: &BTreeMap<PathBuf, Vec<u8>>) {
        originals.iter().for_each(|(path, content)| std::fs::write(path, content).expect("written"));
    }
}

fn numbered(paths: &[PathBuf]) -> Vec<(u32, PathBuf)> {
    let number = |path: &Path| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let digits = name.trim_end_matches(".ocm.tar").rsplit('.').next().expect("a number")[1..].to_owned();
        digits.parse().expect("a number")
    };
    paths.iter().map(|path| (number(path), path.clone())).collect()
}

pub(crate) fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The files of a folder and their content.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(path).expect("content"))).collect()
}

/// Whether every byte of a set is sound, and its kinds of volumes.
pub(crate) fn check(set: &SetFiles) -> Vec<(Option<(VolumeKind, u32)>, String)> {
    let options = ocm_format::check::Options { threads: 1, ..Default::default() };
    let report = ocm_format::check::check(set, &[], options, &mut |_| ControlFlow::Continue(()));
    report.damage.into_iter().map(|damage| (damage.volume, damage.what)).collect()
}
