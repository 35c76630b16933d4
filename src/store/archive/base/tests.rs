//! Old blobs of every kind, sound and not, read back from a place in memory.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ocm_format::reader::Base as _;

use super::*;
use crate::error::{Error, Kind};
use crate::image::{Descriptor, Repository, Source};
use crate::store::memory::Memory;
use crate::store::wrap::Recorded;

/// A place in memory that counts what is asked of it, and a folder for spools.
struct Place {
    memory: Memory,
    source: Arc<Recorded>,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let memory = Memory::default();
        let source = Recorded::new(Arc::new(memory.clone()));
        Self { memory, source, folder: tempfile::tempdir().expect("a folder") }
    }

    /// Keeps a blob there.
    fn put(&self, bytes: Vec<u8>) -> Blob {
        self.blob(self.memory.insert_blob("", bytes))
    }

    fn blob(&self, descriptor: Descriptor) -> Blob {
        let repository = Repository::new("reg:5000", "team/app").expect("a repository");
        Blob::new(Arc::<Recorded>::clone(&self.source) as Arc<dyn Source>, repository, descriptor)
    }

    /// A base of these blobs and stretches, read back.
    async fn base(&self, wanted: &[(&Blob, &[(u64, u64)])]) -> Base {
        let mut old = Old::default();
        for (blob, stretches) in wanted {
            let ranges = old.0.entry(blob.descriptor().digest).or_default();
            stretches.iter().for_each(|(begin, end)| ranges.insert(*begin..*end));
        }
        let base = Base::new([], wanted.iter().map(|(blob, _)| (*blob).clone()), &old, self.folder.path());
        let done = AtomicU64::new(0);
        base.read_back(2, |settled| done.store(settled, Ordering::SeqCst)).await.expect("room");
        assert_eq!(done.into_inner(), wanted.len() as u64);
        base
    }

    /// The error of the only blob.
    async fn failure(&self, blob: &Blob, stretch: (u64, u64)) -> Error {
        let base = self.base(&[(blob, &[stretch])]).await;
        let error = base.spool.plain_at(&blob.descriptor().digest, stretch.0, &mut [0; 10]).expect_err("it failed");
        let (digest, told) = base.failed().pop().expect("it failed");
        assert!(digest == blob.descriptor().digest && error.to_string().contains(&told.to_string()), "{error} for {told}");
        told
    }
}

fn text(bytes: usize) -> Vec<u8> {
    (0u32..).flat_map(|n| (n / 3).to_le_bytes()).take(bytes).collect()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// All of a stretch.
fn read(base: &Base, digest: &Digest, (begin, end): (u64, u64)) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while (all.len() as u64) < end - begin {
        let mut buffer = vec![0; ((end - begin) as usize - all.len()).min(40_000)];
        let count = base.spool.plain_at(digest, begin + all.len() as u64, &mut buffer).expect("no error")?;
        all.extend_from_slice(&buffer[..count]);
    }
    Some(all)
}

#[tokio::test]
async fn stretches_of_the_plain_form_of_any_blob_are_kept_and_nothing_else() {
    let (place, plain) = (Place::new(), text(1_000_000));
    let stretches = [(5, 10), (300_000, 700_001), (999_999, 1_000_000)];
    for blob in [
        plain.clone(),
        gzip(&plain),
        [gzip(&plain[..400_000]), gzip(&plain[400_000..]), b"a rest".to_vec()].concat(),
        zstd::encode_all(plain.as_slice(), 3).expect("memory"),
    ] {
        let blob = place.put(blob);
        let digest = blob.descriptor().digest;
        let base = place.base(&[(&blob, &stretches)]).await;
        assert_eq!((base.old_blobs(), base.old_bytes(), base.spool_bytes()), (1, blob.descriptor().size, 400_007));
        for (begin, end) in stretches {
            assert!(read(&base, &digest, (begin, end)).expect("kept") == plain[begin as usize..end as usize]);
        }
        for beside in [(0, 5), (10, 11), (700_001, 700_002), (1_000_000, 1_000_001)] {
            assert_eq!(read(&base, &digest, beside), None, "{beside:?}");
        }
        let file = base.spool.file.get().expect("a file").metadata().expect("metadata");
        assert_eq!(file.len(), 400_007);
        assert_eq!(std::fs::read_dir(place.folder.path()).expect("the folder").count(), 0, "it has no name");
    }
}

#[tokio::test]
async fn each_old_blob_is_fetched_once() {
    let (place, plain) = (Place::new(), text(100_000));
    let (one, two) = (place.put(gzip(&plain)), place.put(plain.clone()));
    let base = place.base(&[(&one, &[(0, 10), (50, 60)]), (&two, &[(7, 100_000)])]).await;
    for _ in 0..3 {
        assert!(read(&base, &one.descriptor().digest, (50, 60)).is_some());
        assert!(read(&base, &two.descriptor().digest, (7, 100)).is_some());
    }
    assert_eq!(place.source.calls(), [("read", 2)].into());
}

#[tokio::test]
async fn a_bomb_is_not_followed_and_read_to_its_end() {
    let place = Place::new();
    // 256 MiB of zeros, then something that cannot be inflated: nobody gets that far.
    let mut bomb = gzip(&vec![0; 256 << 20]);
    let half = bomb.len() / 2;
    bomb[half..].fill(0xff);
    let blob = place.put(bomb);
    let base = place.base(&[(&blob, &[(1_000, 2_000)])]).await;
    assert_eq!(read(&base, &blob.descriptor().digest, (1_000, 2_000)), Some(vec![0; 1_000]));
    assert_eq!(base.spool_bytes(), 1_000);
}

#[tokio::test]
async fn a_place_that_lies_is_damage_that_names_the_blob_and_the_place() {
    let (place, good) = (Place::new(), gzip(&text(100_000)));
    let mut bad = good.clone();
    *bad.last_mut().expect("bytes") ^= 1;
    // What is needed stands before the lie.
    let lie = place.blob(Descriptor::new("", Digest::of(&good), good.len() as u64));
    place.memory.insert_blob_as(Digest::of(&good), bad);
    let error = place.failure(&lie, (0, 10)).await;
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(
        error.to_string().contains(&format!("blob {} from memory: the content does not match its digest", Digest::of(&good))),
        "{error}"
    );
}

#[tokio::test]
async fn a_blob_that_has_not_what_is_needed_is_an_error_for_it_alone() {
    let place = Place::new();
    let (short, broken) = (place.put(gzip(&text(1_000))), place.put(gzip(&text(500_000))[..1_000].to_vec()));
    for (blob, stretch, why) in [
        (&short, (900, 1_001), "its plain form has 1000 bytes, and those up to 1001"),
        (&broken, (0, 500_000), "its plain form cannot be had"),
    ] {
        let error = place.failure(blob, stretch).await;
        assert!(error.kind() == Kind::Damaged && error.to_string().contains(why), "{error}");
    }
    let gone = place.blob(Descriptor::new("", Digest::of(b"gone"), 4));
    assert!(place.failure(&gone, (0, 4)).await.to_string().contains("it is not there"));
    let base = place.base(&[(&short, &[(0, 1_000)]), (&gone, &[(0, 4)])]).await;
    assert!(read(&base, &short.descriptor().digest, (0, 1_000)).expect("kept") == text(1_000));
    assert_eq!(base.failed().len(), 1);
}

#[tokio::test]
async fn without_the_room_nothing_is_read() {
    let place = Place::new();
    let blob = place.put(text(10));
    let mut old = Old::default();
    old.0.entry(blob.descriptor().digest).or_default().insert(0..1 << 60);
    let base = Base::new([], [blob], &old, place.folder.path());
    let error = base.read_back(1, |_| ()).await.expect_err("no room");
    assert!(error.to_string().contains("1152921504606846976 bytes are needed"), "{error}");
    assert!(place.source.calls().is_empty());
}
