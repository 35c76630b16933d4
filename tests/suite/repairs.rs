//! Sets with parity: written, lost in part, made whole; and tickets where that is not enough.
//!
//! *Not here:* the code and the volumes (`format/tests/parity`), the program itself (`cli::mending`).

mod tickets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ocm::error::Kind;
use ocm::transfer::Class;
use ocm::workflow::gather;
use ocm::workflow::list;
use ocm::workflow::repair::{self, FileKind, Outcome};
use ocm::workflow::sync::{ParityAmount, Request, again};
use ocm::workflow::verify;
use ocm::workspace::Workspace;

use crate::support::images::Image;
use crate::support::layers::{Layer, Random};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

/// The cap of the volumes here.
const CAP: u64 = 160 << 10;

/// A layer that no compression makes smaller.
fn noise(seed: u64, bytes: usize) -> Layer {
    Layer::bytes(Random::new(seed + 1).noise(bytes))
}

/// A registry with an image, and an archive of it with parity.
pub(crate) struct Made {
    pub(crate) lab: Lab,
    _near: Registry,
    from: Vec<String>,
    originals: BTreeMap<String, Vec<u8>>,
}

impl Made {
    pub(crate) async fn new(parity: Option<ParityAmount>) -> Option<Self> {
        let (near, lab) = (Registry::start()?, Lab::new());
        let layers: Vec<Layer> = (0..4).map(|n| noise(n, 140_000)).collect();
        let from = vec![lab.fill(&near, "app", "1", &Image::of(layers)).await];
        let mut made = Self { lab, _near: near, from, originals: BTreeMap::new() };
        made.sync("disk", parity).await.expect("a set");
        made.originals = made.lab.archive("disk");
        Some(made)
    }

    async fn sync(&self, to: &str, parity: Option<ParityAmount>) -> ocm::error::Result<ocm::workflow::sync::Outcome> {
        self.lab.sync_with(&self.from, &self.lab.path(to), with(parity)).await
    }

    /// The paths of the files of a series of the set: `v`, `p`.
    pub(crate) fn files(&self, series: char) -> Vec<PathBuf> {
        let mark = format!(".{series}0");
        let names = self.originals.keys().filter(|name| name.contains(&mark) && name.ends_with(".ocm.tar"));
        names.map(|name| self.lab.folder("disk").join(name)).collect()
    }

    pub(crate) async fn repair(&self, change: impl FnOnce(&mut repair::Request)) -> ocm::error::Result<Outcome> {
        let mut request = repair::Request { archive: self.lab.folder("disk"), generation: None, to: None, ticket: None, with: Vec::new() };
        change(&mut request);
        repair::repair(request, &self.lab.settings).await
    }

    pub(crate) async fn verify(&self, after_write: bool) -> verify::Outcome {
        let request = verify::Request { places: vec![(self.lab.folder("disk"), None)], quick: false, complete: false, after_write };
        verify::verify(request, &self.lab.settings).await.expect("a verdict")
    }

    /// Whether the archive is what it was, byte for byte.
    pub(crate) fn is_as_written(&self) -> bool {
        self.lab.archive("disk") == self.originals
    }
}

fn with(parity: Option<ParityAmount>) -> impl FnOnce(&mut Request) {
    move |request| {
        request.archive.volume_bytes = CAP;
        request.archive.packing.frame_bytes = 8 << 10;
        request.archive.parity = parity;
    }
}

pub(crate) fn change(path: &Path, with: impl FnOnce(&mut [u8])) {
    let mut content = std::fs::read(path).expect("content");
    with(&mut content);
    std::fs::write(path, content).expect("written");
}

pub(crate) fn remove(path: &Path) {
    std::fs::remove_file(path).expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_with_parity_is_known_everywhere_and_below_its_cap() {
    let Some(made) = Made::new(Some(ParityAmount::Percent(30))).await else { return };
    let volumes = made.files('v').len();
    assert!(volumes >= 4, "{volumes}");
    assert_eq!(made.files('p').len(), (volumes * 30).div_ceil(100));
    assert!(made.originals.iter().all(|(name, content)| !name.ends_with(".tar") || (content.len() as u64) < CAP));
    let sums = made.originals.iter().find(|(name, _)| name.ends_with(".sha256")).expect("sums").1;
    let sums = String::from_utf8_lossy(sums).into_owned();
    assert_eq!(sums.lines().filter(|line| line.contains(".p0")).count(), made.files('p').len());
    assert!(made.files('p').iter().all(|path| {
        let digest = ocm::image::Digest::of(&std::fs::read(path).expect("content"));
        sums.contains(&format!("{}  {}", digest.hex(), path.file_name().expect("a name").to_string_lossy()))
    }));
    let verdict = made.verify(true).await;
    assert_eq!(verify::class(&verdict), Class::Done);
    let set = &verdict.verdict.sets[0];
    assert!(set.repair.is_none() && verdict.verdict.strangers.is_empty());
    assert_eq!(set.files.iter().filter(|file| file.kind == FileKind::Parity && file.sound).count(), made.files('p').len());
    let listing = list::list(&made.lab.folder("disk"), None, &Workspace::new(made.lab.settings.workspace())).expect("a listing");
    assert_eq!(listing.sets[0].parity.len(), made.files('p').len());
    let request = gather::Request { sources: vec![made.lab.folder("disk")], archive: made.lab.folder("other") };
    let gathered = gather::gather(request, &made.lab.settings).await.expect("gathered");
    assert_eq!(gathered.class(), Class::Done);
    assert_eq!(gathered.volumes.iter().filter(|volume| volume.path.to_string_lossy().contains(".p0")).count(), made.files('p').len());
    let outcome = made.repair(|_| {}).await.expect("a look");
    assert_eq!((outcome.class(), outcome.sets[0].rebuilt.len()), (Class::Done, 0));
    assert!(made.is_as_written());
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_volumes_are_made_again_bit_for_bit_the_last_one_too() {
    let Some(made) = Made::new(Some(ParityAmount::Volumes(2))).await else { return };
    let volumes = made.files('v');
    let catalogue = made.files('c');
    // With the catalogue, the only copies of SET.json are gone.
    for lost in
        [vec![&volumes[0], &volumes[2]], vec![volumes.last().expect("volumes"), &volumes[1]], vec![&volumes[1], &made.files('p')[0]]]
    {
        lost.iter().for_each(|path| remove(path));
        let kept: Vec<Vec<u8>> = catalogue.iter().map(|path| std::fs::read(path).expect("content")).collect();
        catalogue.iter().for_each(|path| remove(path));
        let verdict = made.verify(false).await;
        assert_eq!(verify::class(&verdict), Class::Needed);
        let repairable = verdict.verdict.sets[0].repair.as_ref().expect("it is told");
        assert!(repairable.here, "{repairable:?}");
        let outcome = made.repair(|_| {}).await.expect("a repair");
        assert_eq!(outcome.class(), Class::Done, "{outcome:?}");
        assert_eq!(outcome.sets[0].rebuilt.len(), 2);
        catalogue.iter().zip(kept).for_each(|(path, content)| std::fs::write(path, content).expect("written"));
        assert!(made.is_as_written());
    }
    assert_eq!(verify::class(&made.verify(false).await), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_healed_and_what_was_damaged_is_kept() {
    let Some(made) = Made::new(Some(ParityAmount::Volumes(1))).await else { return };
    let volumes = made.files('v');
    change(&volumes[0], |content| content[60_000] ^= 1);
    change(&volumes[1], |content| content[90_000..90_512].fill(0));
    // The magic is gone: only its name tells what this was.
    change(&volumes[2], |content| content[..4096].fill(0));
    let damaged: Vec<Vec<u8>> = volumes[..3].iter().map(|path| std::fs::read(path).expect("content")).collect();
    let verdict = made.verify(false).await;
    assert!(verdict.verdict.sets[0].repair.as_ref().is_some_and(|repair| repair.here && repair.volumes == [1, 2, 3]), "{verdict:?}");
    let outcome = made.repair(|_| {}).await.expect("a repair");
    assert_eq!(outcome.class(), Class::Done, "{outcome:?}");
    assert!(made.is_as_written());
    for (path, content) in volumes.iter().zip(damaged) {
        let kept = made.lab.folder("disk/damaged").join(path.file_name().expect("a name"));
        assert!(std::fs::read(kept).expect("it is kept") == content);
    }
    assert_eq!(verify::class(&made.verify(false).await), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_parity_is_made_again_also_where_its_header_is_gone() {
    let Some(made) = Made::new(Some(ParityAmount::Volumes(1))).await else { return };
    for (begin, end) in [(1536, 2048), (600, 700), (100_000, 100_001)] {
        change(&made.files('p')[0], |content| content[begin..end].iter_mut().for_each(|byte| *byte ^= 0x55));
        assert_eq!(verify::class(&made.verify(false).await), Class::Damaged);
        let outcome = made.repair(|_| {}).await.expect("a repair");
        assert_eq!(outcome.class(), Class::Done, "{outcome:?}");
        assert!(made.is_as_written());
        std::fs::remove_dir_all(made.lab.folder("disk/damaged")).expect("removed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_another_folder_nothing_is_written_beside_the_set() {
    let Some(made) = Made::new(Some(ParityAmount::Volumes(1))).await else { return };
    let volumes = made.files('v');
    change(&volumes[1], |content| content[50_000] ^= 1);
    let before = made.lab.snapshot("disk");
    let outcome = made.repair(|request| request.to = Some(made.lab.folder("out"))).await.expect("a repair");
    assert_eq!(outcome.class(), Class::Done, "{outcome:?}");
    assert!(made.lab.snapshot("disk") == before);
    let name = volumes[1].file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(made.lab.archive("out"), BTreeMap::from([(name.clone(), made.originals[&name].clone())]));
    let error = made.repair(|request| request.to = Some(made.lab.folder("disk"))).await.expect_err("the archive itself");
    assert_eq!(error.kind(), Kind::Usage);
}

#[tokio::test(flavor = "multi_thread")]
async fn parity_of_another_set_is_not_used_and_named() {
    let Some(made) = Made::new(Some(ParityAmount::Volumes(1))).await else { return };
    let Some(mut other) = Made::new(None).await else { return };
    other.lab.settings.now += 1;
    other.sync("more", Some(ParityAmount::Volumes(1))).await.expect("another set");
    let foreign = other.lab.archive("more").into_iter().find(|(name, _)| name.contains(".p001.")).expect("parity");
    std::fs::write(made.lab.folder("disk").join(&foreign.0), &foreign.1).expect("written");
    remove(&made.files('v')[0]);
    let outcome = made.repair(|_| {}).await.expect("a repair");
    let own = outcome.sets.iter().find(|set| !set.rebuilt.is_empty()).expect("its own set");
    assert!(own.lacking.is_empty() && own.parity_volumes == 1);
    assert_eq!(outcome.sets.len(), 2, "the other is named as a set that is not here: {outcome:?}");
    assert!(outcome.sets.iter().any(|set| set.set != own.set && !set.lacking.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_before_its_parity_is_completed_by_the_next_one() {
    let Some(made) = Made::new(Some(ParityAmount::Volumes(2))).await else { return };
    std::fs::create_dir(made.lab.folder("cut")).expect("a folder");
    // Where the first parity volume is to be, something is in the way.
    let folder = made.lab.folder("cut/disk");
    let hurdle = folder.join(made.files('p')[0].file_name().expect("a name"));
    std::fs::create_dir_all(&hurdle).expect("a folder");
    let error = made.sync("cut/disk", Some(ParityAmount::Volumes(2))).await.expect_err("no parity");
    assert!(format!("{error:?}").contains("complete without its parity"), "{error:?}");
    std::fs::remove_dir(&hurdle).expect("removed");
    assert!(made.lab.archive("cut/disk").keys().filter(|name| name.contains(".v0")).count() > 3, "the set itself is there");
    made.sync("cut/disk", Some(ParityAmount::Volumes(2))).await.expect("completed");
    assert!(made.lab.archive("cut/disk") == made.originals);
    assert!(!folder.join(".ocm").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_dropped_while_it_computes_parity_goes_on_to_the_same_bytes() {
    let (Some(near), lab) = (Registry::start(), Lab::new()) else { return };
    let layers: Vec<Layer> = (0..3).map(|n| noise(n, 12 << 20)).collect();
    let from = [lab.fill(&near, "app", "1", &Image::of(layers)).await];
    let request = |to: &str| {
        let mut request = lab.request(&from, &lab.path(to));
        (request.archive.volume_bytes, request.archive.parity) = (8 << 20, Some(ParityAmount::Volumes(4)));
        request
    };
    ocm::workflow::sync::sync(request("whole/disk"), &lab.settings).await.expect("a run that nobody stops");
    let begun = |name: &std::ffi::OsStr| name.to_string_lossy().contains(".p004.ocm.tar");
    let scratch = lab.folder("cut/disk/.ocm");
    let stop = || std::fs::read_dir(&scratch).is_ok_and(|mut files| files.any(|file| file.is_ok_and(|file| begun(&file.file_name()))));
    lab.cut(request("cut/disk"), stop).await;
    assert!(!lab.archive("cut/disk").keys().any(|name| name.contains(".p0")), "nothing half is visible");
    ocm::workflow::sync::sync(request("cut/disk"), &lab.settings).await.expect("it goes on");
    assert!(lab.archive("cut/disk") == lab.archive("whole/disk"));
}

#[tokio::test(flavor = "multi_thread")]
async fn parity_is_refused_where_volumes_are_taken_away() {
    let Some(made) = Made::new(None).await else { return };
    let both = |request: &mut Request| {
        with(Some(ParityAmount::Volumes(1)))(request);
        request.archive.on_volume = Some("true".to_owned());
    };
    let error = made.lab.sync_with(&made.from, &made.lab.path("x"), both).await.expect_err("refused");
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("--on-volume") && error.way_out().is_some(), "{error:?}");
    assert!(!made.lab.folder("x").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_is_written_once_more_gets_its_parity_too() {
    let Some(made) = Made::new(Some(ParityAmount::Volumes(1))).await else { return };
    let (folder, to) = (made.lab.folder("disk"), made.lab.folder("twin"));
    let request = again::Request { folder, generation: 1, volume: None, to, data: ocm::workflow::sync::ParentData::Beside };
    let outcome = again::again(request, &made.lab.settings).await.expect("written again");
    assert_eq!(outcome.set.expect("a set").parity.len(), 1);
    assert!(made.lab.archive("twin") == made.originals);
}
