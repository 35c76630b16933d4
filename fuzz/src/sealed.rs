//! Volumes that are sound in every hash, with records of which nothing is true: what a hostile author can make, and damage cannot.
//!
//! *Not here:* damaged volumes (`archive`).

#[path = "../../format/tests/reading/built.rs"]
#[allow(dead_code, reason = "a tool box of the tests of the format")]
mod built;
#[path = "../../format/tests/reading/forged.rs"]
#[allow(dead_code, reason = "a tool box of the tests of the format")]
mod forged;
#[path = "../../format/tests/reading/tables.rs"]
#[allow(dead_code, reason = "a tool box of the tests of the format")]
mod tables;

use std::ops::ControlFlow;

use ocm_format::check::{self, check};
use ocm_format::codec::Cursor;
use ocm_format::digest::Digest;
use ocm_format::layout::Parent;
use ocm_format::reader::{Options, Reader};
use ocm_format::recipe::{Part, Piece, Plain, Recipe, Record, Replay, Restart};
use ocm_format::set;

use self::built::{Built, NewFrame, range, run};

/// How much is read of each blob: it may claim to be as long as it likes.
const MOST_BYTES: usize = 256 << 10;
const MOST_RECORDS: usize = 64;

/// Takes the bytes as records, one after the other, seals them in a volume, and reads all that they speak of.
pub fn sealed(bytes: &[u8]) {
    let (mut cursor, mut records) = (Cursor::new(bytes, "records"), Vec::new());
    while let Ok(record) = Record::decode(&mut cursor)
        && records.len() < MOST_RECORDS
    {
        records.push((record, 512 * (1 + records.len() as u64)));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut volume = Built::new(1, Parent::None);
    let prefix = (vec![run(before(), 0, 100)], &[3u8; 100][..]);
    let frames = [NewFrame { plain: &[1; 3000], prefix: None }, NewFrame { plain: &[2; 5000], prefix: Some(prefix) }];
    volume.pack(&frames).records(&records);
    volume.write(folder.path());
    let found = set::scan(folder.path()).expect("the folder can be read");
    for files in &found.sets {
        check(files, &[], check::Options { quick: false, deep: false, threads: 1 }, &mut |_| ControlFlow::Continue(()));
        let reader = Reader::open([files], Options { cache_bytes: 1 << 20, index_cache_bytes: 1 << 20 });
        records.iter().for_each(|(record, _)| read(&reader, record));
    }
}

/// What the prefix of a frame is taken from; a record may say that it is made of that frame.
fn before() -> Digest {
    Digest::of(b"before")
}

fn read(reader: &Reader, record: &Record) {
    let mut buffer = vec![0; MOST_BYTES];
    for offset in [0, record.bytes / 2, record.bytes.saturating_sub(1), u64::MAX] {
        let _ = reader.read_at(&record.digest, offset, &mut buffer);
        let _ = reader.plain_at(&record.digest, offset, &mut buffer);
    }
    let _ = (reader.volumes_of(&record.digest), reader.reach(&record.digest));
    let mut read = Vec::new();
    let mut take = || -> Option<()> {
        let mut stream = reader.stream(&record.digest).ok()?;
        while let Some(chunk) = stream.next_chunk().ok()? {
            read.extend_from_slice(&chunk);
            (read.len() < MOST_BYTES).then_some(())?;
        }
        Some(())
    };
    if take().is_some() {
        assert!(record.digest.matches(&read), "a stream that ends well is the blob");
    }
}

/// Records that are true, that lead in circles, beyond the stream and nowhere, and that claim to be vast.
pub fn seeds() -> Vec<Vec<u8>> {
    let make = |digest, bytes, recipe, plain| Record { digest, bytes, note: String::new(), recipe, plain };
    let (circle, vast) = (Digest::of(b"circle"), 1 << 44);
    let restarts = vec![Restart { plain_offset: 0, output_bit: 0, check: 0 }];
    let replay = Replay { bytes: 500, encoder: 3, parameters: vec![5], plain_offset: 0, plain_bytes: 3000, restarts };
    let listed = Plain::Listed { digest: Digest::of(&[1; 3000]), bytes: 3000, parts: vec![range(0, 3000)] };
    let records = [
        make(Digest::of(&[1; 3000]), 3000, Recipe::Raw(vec![range(0, 3000)]), Plain::Own),
        make(before(), 5000, Recipe::Raw(vec![range(3000, 5000)]), Plain::Own),
        make(circle, 100, Recipe::Raw(vec![Part::Run(run(circle, 0, 100))]), Plain::Own),
        make(Digest::of(b"vast"), vast, Recipe::Raw(vec![Part::Run(run(Digest::of(b"vast"), 0, vast))]), Plain::Own),
        make(Digest::of(b"beyond"), 64, Recipe::Raw(vec![range(u64::MAX - 64, 64)]), Plain::Unknown),
        make(Digest::of(b"replayed"), 500, Recipe::Pieces(vec![Piece::Replay(replay)]), listed),
        make(Digest::of(b"verbatim"), 17, Recipe::Verbatim, Plain::Own),
    ];
    let mut all = Vec::new();
    records.iter().for_each(|record| record.encode(&mut all));
    let one_by_one = records.iter().map(|record| {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes
    });
    one_by_one.chain([all.clone()]).collect()
}
