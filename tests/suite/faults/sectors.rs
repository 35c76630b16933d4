//! Bad sectors, one after the other and all at once: what cannot be read is named, and what can be read is right.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use ocm_format::check::{self, Report, check};
use ocm_format::digest::Digest;
use ocm_format::error::Kind;
use ocm_format::index::{FrameRow, MemberKind};
use ocm_format::reader::{Options, Reader};
use ocm_format::salvage::salvage;
use ocm_format::set::{Found, SetFiles, scan};
use ocm_format::volume::Volume;

use crate::support::disks::can_mount;
use crate::support::images::{Image, Layout};
use crate::support::layers::{Layer, Random};
use crate::support::sectors::Sectors;
use crate::workflows::lab::Lab;

/// An archive of several volumes on a disk that may get bad sectors.
struct Disk {
    lab: Lab,
    sectors: Sectors,
    blobs: Vec<Digest>,
}

impl Disk {
    async fn new() -> Option<Self> {
        if !can_mount() {
            return None;
        }
        let lab = Lab::new();
        let layout = Layout::at(&lab.folder("layout"));
        for seed in 1..4 {
            let mut layers = vec![Layer::tree(seed, 60_000).gzip(), Layer::bytes(Random::new(seed).noise(50_000))];
            // What shrinks well makes packs of many frames, each with a blob of its own.
            let bits = |seed| Random::new(seed).noise(16_000).iter().map(|byte| byte & 1).collect::<Vec<u8>>();
            layers.extend((1..12).map(|layer| Layer::bytes(bits(seed * 100 + layer))));
            layout.tag(&format!("registry.example/team/app:{seed}"), &layout.image(&Image::of(layers)));
        }
        let from = format!("oci:{}", lab.path("layout"));
        lab.sync_with(&[&from], &lab.path("disk"), |request| request.archive.volume_bytes = 128 << 10).await.expect("a set");
        let sectors = Sectors::of(&lab.folder("disk"));
        let set = scan(sectors.path()).expect("a folder").sets.remove(0);
        let blobs = Reader::open([&set], Options::default()).blobs().map(|row| row.expect("a row").digest).collect();
        Some(Self { lab, sectors, blobs })
    }

    fn volumes(&self) -> Vec<PathBuf> {
        let set = scan(&self.lab.folder("disk")).expect("a folder").sets.remove(0);
        set.volumes.into_values().map(|file| file.path).collect()
    }

    fn scan(&self) -> Found {
        scan(self.sectors.path()).expect("a folder")
    }

    fn set(&self) -> SetFiles {
        self.scan().sets.remove(0)
    }

    /// The blobs that cannot be read; each of those that can has its digest.
    fn unreadable(&self, reader: &Reader) -> BTreeSet<Digest> {
        let comes_out = |digest: &Digest| {
            let mut stream = reader.stream(digest)?;
            while stream.next_chunk()?.is_some() {}
            Ok::<_, ocm_format::error::Error>(())
        };
        let mut unreadable = BTreeSet::new();
        for digest in &self.blobs {
            if let Err(error) = comes_out(digest) {
                assert!(matches!(error.kind(), Kind::Io(_) | Kind::Missing | Kind::Damaged), "{error}");
                unreadable.insert(*digest);
            }
        }
        unreadable
    }

    /// The same of what is salvaged; what was lost is told.
    fn unsalvageable(&self) -> (BTreeSet<Digest>, String) {
        let scratch = tempfile::tempdir().expect("a folder");
        let salvaged = salvage(&self.scan().sets, scratch.path(), Options::default()).expect("salvaged");
        let lost = salvaged.lost.iter().map(|error| format!("{error}\n")).collect();
        (self.unreadable(&salvaged.reader), lost)
    }
}

fn checked(set: &SetFiles) -> Report {
    check(set, &[], check::Options { quick: false, deep: false, threads: 2 }, &mut |_| ControlFlow::Continue(()))
}

fn frames(path: &Path) -> Vec<FrameRow> {
    Volume::open(path).expect("a volume").frames().map(|row| row.expect("a row")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_cannot_be_read_is_named_with_its_place_and_hurts_what_is_in_it_alone() {
    let Some(disk) = Disk::new().await else { return };
    let (volumes, mut met) = (disk.volumes(), BTreeSet::new());
    for (number, path) in (1..).zip(&volumes) {
        for frame in frames(path) {
            let middle = frame.file_offset + u64::from(frame.stored_bytes) / 2;
            disk.sectors.hurt(path, middle..middle + 1);
            let report = checked(&disk.set());
            let [damage] = report.damage.as_slice() else { panic!("{:#?}", report.damage) };
            assert!(matches!(damage.kind, Kind::Io(_)) && damage.what.contains("Input/output error"), "{damage}");
            let reaches = damage.offset..damage.offset + damage.bytes;
            assert!(damage.volume.is_some_and(|(_, of)| of == number) && reaches.contains(&middle), "{damage}");
            let unreadable = disk.unreadable(&Reader::open([&disk.set()], Options::default()));
            assert_eq!(report.hurt(), unreadable, "{damage}");
            assert_eq!(disk.unsalvageable().0, unreadable, "{damage}");
            met.extend(unreadable);
            disk.sectors.heal();
        }
    }
    assert!(met.len() > 5 && met.len() < disk.blobs.len(), "{} of {}", met.len(), disk.blobs.len());
    assert!(checked(&disk.set()).is_sound());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_frames_that_cannot_be_read_are_told_at_once() {
    let Some(disk) = Disk::new().await else { return };
    let mut count = 0;
    for path in disk.volumes() {
        for frame in frames(&path) {
            disk.sectors.hurt(&path, frame.file_offset..frame.file_offset + 1);
            count += 1;
        }
    }
    let report = checked(&disk.set());
    assert!(count > 10 && report.damage.len() == count, "{count}: {:#?}", report.damage);
    assert!(report.damage.iter().all(|damage| matches!(damage.kind, Kind::Io(_))), "{:#?}", report.damage);
    assert_eq!(report.hurt(), disk.unreadable(&Reader::open([&disk.set()], Options::default())));
}

/// Places of a volume that are no frames, by what they are.
fn others(path: &Path) -> Vec<(String, Range<u64>)> {
    let volume = Volume::open(path).expect("a volume");
    let footer = volume.footer();
    let index_end = footer.index_offset + footer.index_bytes;
    let directory = index_end - footer.directory_bytes;
    let mut places = vec![
        ("tar header of OCM.VOLUME".to_owned(), 0..1),
        ("header".to_owned(), 512..513),
        ("index".to_owned(), footer.index_offset..footer.index_offset + 1),
        ("directory".to_owned(), directory..directory + 1),
        ("tail".to_owned(), index_end..index_end + 1),
        ("footer".to_owned(), footer.file_bytes - 1536..footer.file_bytes - 1535),
        ("end".to_owned(), footer.file_bytes - 1..footer.file_bytes),
    ];
    for member in volume.members().map(|row| row.expect("a row")).skip(1) {
        places.push((format!("tar header of {}", member.name), member.offset..member.offset + 1));
        if member.kind != MemberKind::Pack && member.bytes > 0 {
            places.push((member.name, member.offset + 512..member.offset + 513));
        }
    }
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_sector_anywhere_else_is_named_and_nothing_wrong_comes_out() {
    let Some(disk) = Disk::new().await else { return };
    for path in disk.volumes() {
        for (what, place) in others(&path) {
            disk.sectors.hurt(&path, place);
            let found = disk.scan();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let strangers = found.strangers.iter().map(|(_, error)| error.to_string());
            let damage = found.sets.iter().flat_map(|set| checked(set).damage).map(|damage| damage.to_string());
            let told: Vec<String> = strangers.chain(damage).collect();
            let named = told.iter().any(|line| line.contains("Input/output error") && line.contains(&name));
            assert!(named, "{what} of {name}: {told:#?}");
            let unreadable = disk.unreadable(&Reader::open(&found.sets, Options::default()));
            let (unsalvageable, lost) = disk.unsalvageable();
            assert!(unsalvageable.is_subset(&unreadable), "{what} of {name}: {lost}");
            let header = ["header", "tar header of OCM.VOLUME"].contains(&what.as_str());
            let content = what.ends_with(".rec") || what.starts_with("blobs/");
            assert!(unsalvageable.is_empty() || header || content, "{what} of {name}: {lost}");
            disk.sectors.heal();
        }
    }
}

/// The members of a volume, with their tar headers.
fn members(path: &Path) -> Vec<(MemberKind, Range<u64>)> {
    let rows = Volume::open(path).expect("a volume").members().map(|row| row.expect("a row")).collect::<Vec<_>>();
    rows.into_iter().map(|row| (row.kind, row.offset..row.offset + 512 + row.bytes)).collect()
}

fn of_kind(members: &[(MemberKind, Range<u64>)], kind: MemberKind) -> impl Iterator<Item = Range<u64>> {
    members.iter().filter(move |(other, _)| *other == kind).map(|(_, place)| place.clone())
}

/// Where the frames of a volume lie, with their headers.
fn framed(path: &Path, members: &[(MemberKind, Range<u64>)]) -> Vec<Range<u64>> {
    let ends = |frame: &FrameRow| frame.file_offset + u64::from(frame.stored_bytes);
    let frames = frames(path);
    let packs = of_kind(members, MemberKind::Pack).map(|pack| pack.start + 512);
    let begins: BTreeSet<u64> = frames.iter().map(ends).chain(packs).collect();
    let begin = |frame: &FrameRow| *begins.range(..frame.file_offset).next_back().expect("a pack");
    frames.iter().map(|frame| begin(frame)..ends(frame)).collect()
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_block_of_a_volume_without_a_footer_loses_what_is_in_it_and_nothing_beside_it() {
    let Some(disk) = Disk::new().await else { return };
    let (mut tried, mut met, mut fullest) = (0, BTreeSet::new(), None);
    for path in disk.volumes() {
        let members = members(&path);
        let records: Vec<Range<u64>> = of_kind(&members, MemberKind::Records).collect();
        let frames = framed(&path, &members);
        fullest =
            fullest.max(of_kind(&members, MemberKind::Pack).map(|pack| frames.iter().filter(|frame| overlap(&pack, frame)).count()).max());
        let content: Vec<Range<u64>> = frames.into_iter().chain(of_kind(&members, MemberKind::Blob)).collect();
        let end = path.metadata().expect("a file").len();
        for begin in (4096..end).step_by(4096) {
            let bad = begin..begin + 4096;
            if records.iter().any(|records| overlap(records, &bad)) {
                continue;
            }
            disk.sectors.hurt(&path, bad.clone());
            // Without its footer a volume is walked.
            disk.sectors.hurt(&path, end - 1..end);
            let (unsalvageable, lost) = disk.unsalvageable();
            disk.sectors.heal();
            for place in content.iter().filter(|place| overlap(place, &bad)) {
                disk.sectors.hurt(&path, place.clone());
            }
            let unreadable = disk.unreadable(&Reader::open([&disk.set()], Options::default()));
            assert_eq!(unsalvageable, unreadable, "{bad:?} of {}: {lost}", path.display());
            disk.sectors.heal();
            tried += 1;
            met.extend(unreadable);
        }
    }
    assert!(tried > 40 && met.len() > 5 && fullest > Some(5), "{tried}, {}, {fullest:?}", met.len());
}
