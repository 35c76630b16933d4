//! What repairs a set: parity headers, whole parity volumes, tickets and patches.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use ocm_format::digest::Digest;
use ocm_format::layout::{Id, ParityHeader, ShardEntry};
use ocm_format::mend::{Patch, Ticket, Wanted, answer, lay_over, overlays};
use ocm_format::parity::{Group, Holder, Plan, make, rebuild};
use ocm_format::set::{self, SetFiles};

/// The most bytes of a volume that is laid over.
const MAX_VOLUME_BYTES: u64 = 4 << 20;

/// Reads `OCM.PARITY`.
pub fn parity_header(bytes: &[u8]) {
    if let Ok(header) = ParityHeader::decode(bytes) {
        assert_eq!(header.encode(), bytes, "a parity header has one form");
    }
}

/// Headers of one data volume and of many.
pub fn parity_headers() -> Vec<Vec<u8>> {
    let volume = |n: u64| ShardEntry { bytes: 512 * (n + 1), root: Digest::of(&n.to_le_bytes()) };
    let header = |volumes: Vec<ShardEntry>| ParityHeader {
        parity: 2,
        column_bytes: 4096,
        shard_offset: 2048 + (40 * volumes.len() as u64).next_multiple_of(512) + 512,
        set: Id([1; 16]),
        set_root: Digest::of(b"set"),
        volumes,
    };
    vec![header(vec![volume(9)]).encode(), header((0..40).map(volume).collect()).encode()]
}

/// Uses the bytes as the only parity volume of a small set whose data volume is there or lost. What is rebuilt fills the file, and
/// where the parity is untouched it is the volume.
pub fn parity_volume(bytes: &[u8]) {
    with_set(|set, folder| {
        let path = folder.join("p.ocm.tar");
        std::fs::write(&path, bytes).expect("it is written");
        let (Some(mut group), _) = Group::open(set.id(), None, &[(1, path)]) else { return };
        if group.shape.columns() > 1000 || group.shape.shard_bytes > MAX_VOLUME_BYTES {
            return;
        }
        let mut go_on = |_| ControlFlow::Continue(());
        let survey = group.survey(&mut go_on).expect("it never fails by itself");
        let lost: Vec<u32> = survey.damaged();
        let file = |number: &u32| (*number, tempfile::tempfile().expect("a file"));
        let targets: BTreeMap<u32, std::fs::File> = lost.iter().take(4).map(file).collect();
        let healed = rebuild(&mut group, &survey, &targets, &mut go_on).is_ok();
        assert!(!healed || survey.lacking(&group).is_empty());
        for (number, file) in targets.iter().filter(|_| healed) {
            assert_eq!(file.metadata().expect("a file").len(), group.content_bytes(number - 1));
        }
    });
}

/// The parity volume of that set.
pub fn parity_volumes() -> Vec<Vec<u8>> {
    let mut volumes = Vec::new();
    with_set(|set, folder| {
        let path = folder.join("made");
        let entry = |file: &set::VolumeFile| ShardEntry { bytes: file.footer.file_bytes, root: file.footer.root };
        let data = set.volumes.values().map(|file| (file.path.clone(), entry(file))).collect();
        let plan = Plan::new(set.header, set.root.expect("SET.json"), data, 1).expect("a plan");
        make(&plan, &BTreeMap::from([(1, path.clone())]), &mut |_| ControlFlow::Continue(())).expect("it is made");
        volumes.push(std::fs::read(path).expect("it was just written"));
    });
    volumes
}

/// Reads a ticket, and answers it.
pub fn ticket(bytes: &[u8]) {
    let Ok(ticket) = Ticket::parse(bytes) else { return };
    assert_eq!(ticket.to_text().as_bytes(), bytes, "a ticket has one form");
    with_set(|set, folder| {
        let path = folder.join("patch");
        if answer(&ticket, set, &path).is_ok() {
            Patch::open(&path).and_then(|patch| patch.check()).expect("an answer is sound");
        }
    });
}

/// Tickets with every kind of line.
pub fn tickets() -> Vec<Vec<u8>> {
    let ticket = |root, wanted| Ticket { set: Id([1; 16]), generation: 1, root, wanted }.to_text().into_bytes();
    let range = |volume, range| Wanted::Range { volume, range };
    let all = vec![range(1, 0..512), range(1, 4096..8192), Wanted::Whole { volume: 2 }, Wanted::From { volume: 3 }];
    vec![ticket(None, vec![range(1, 0..512)]), ticket(Some(Digest::of(b"set")), all), ticket(None, vec![Wanted::From { volume: 1 }])]
}

/// Reads a patch, and lays it over nothing.
pub fn patch(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("patch");
    std::fs::write(&path, bytes).expect("it is written");
    let Ok(patch) = Patch::open(&path) else { return };
    let sound = patch.check().is_ok();
    for (number, overlays) in overlays(&[patch.clone(), patch.clone()]) {
        let size = patch.entries().iter().find(|entry| entry.volume == number).map_or(0, |entry| entry.volume_bytes);
        let file = tempfile::tempfile().expect("a file");
        let whole = overlays.iter().map(|overlay| overlay.range.end - overlay.range.start).sum::<u64>() == size;
        let laid = lay_over(&Holder { path: None, overlays }, size.min(MAX_VOLUME_BYTES), &file).is_ok();
        assert!(laid || !whole || !sound, "what a sound patch has can be laid");
    }
}

/// Answers to the tickets.
pub fn patches() -> Vec<Vec<u8>> {
    let mut patches = Vec::new();
    with_set(|set, folder| {
        for (number, bytes) in tickets().iter().enumerate() {
            let path = folder.join(number.to_string());
            if answer(&Ticket::parse(bytes).expect("a ticket"), set, &path).is_ok() {
                patches.push(std::fs::read(path).expect("it was just written"));
            }
        }
    });
    patches
}

/// Makes a small archive, and lets `look` look at its set and use a folder.
fn with_set(look: impl FnOnce(&SetFiles, &Path)) {
    let folder = tempfile::tempdir().expect("a folder");
    crate::archive::with_archive(|found| look(&found.sets[0], folder.path()));
}
