//! What every place that images are kept in must do, run over all of them.
//!
//! **Invariants.** A behaviour uses a place through `Source` and `Sink` alone, and reads what was brought only after
//! `finish`, from a source opened then. A new kind of place is one `impl Place` and one line at the end of this file.
//!
//! *Not here:* what one kind of place does beyond that (`layouts`, …).

pub(crate) mod given;
mod places;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use ocm::error::Kind;
use ocm::image::ends::Moved;
use ocm::image::{Blob, Descriptor, Digest};

use self::given::{Given, bring, everything, item, moved_nothing, settle, tagged, whole};
use self::places::Place;
use crate::support::images::{Image, Layout, zoo};
use crate::support::layers::{Layer, Random};

/// Brings one image under the tag `1`, so that there is something, and answers its root.
async fn fill(place: &dyn Place, layout: &Layout, image: &Image) -> Descriptor {
    let root = layout.image(image);
    bring(place, layout, &[item(&tagged(place, "1"), &root)]).await;
    root
}

async fn every_kind_of_image_comes_back_byte_for_byte(place: &dyn Place) {
    let (layout, kinds) = zoo();
    let items: Vec<_> = kinds.iter().map(|(tag, root)| item(&tagged(place, tag), root)).collect();
    bring(place, &layout, &items).await;
    let source = place.source().await;
    for (tag, root) in &kinds {
        let found = source.resolve(&tagged(place, tag)).await.expect("an answer").expect(tag);
        assert_eq!((&found.media_type, found.digest, found.size), (&root.media_type, root.digest, root.size), "{tag}");
    }
    for content in kinds.values().flat_map(|root| everything(&layout, root)) {
        assert!(whole(&*source, &place.repository(), &content).await == layout.read(&content.digest), "{content:?}");
    }
}

async fn a_blob_is_read_in_exact_ranges(place: &dyn Place) {
    let layout = Layout::new();
    let noise = Random::new(5).noise((1 << 20) + 300_001);
    fill(place, &layout, &Image::of([Layer::bytes(noise.clone()).tar(), Layer::bytes([]).tar()])).await;
    let source = place.source().await;
    let (blob, end) = (layout.blob("t", &noise), noise.len() as u64);
    assert_eq!(source.blob_size(&place.repository(), &blob.digest).await.expect("an answer"), Some(end));
    let part = 512 << 10;
    for range in [0..end, 0..0, 7..7, end..end, 0..1, end - 1..end, part - 1..part + 1, part..2 * part, 3..end - 3] {
        let body = source.read(&place.repository(), &blob, range.clone()).await.expect("an answer").expect("a blob");
        assert_eq!(body.len(), range.end - range.start, "{range:?}");
        let bytes = body.collect(end, "range").await.expect("the range");
        assert!(bytes == noise[range.start as usize..range.end as usize], "{range:?}");
    }
    let empty = source.read(&place.repository(), &layout.blob("t", b""), 0..0).await.expect("an answer").expect("a blob");
    assert!(empty.collect(0, "empty").await.expect("no bytes").is_empty());
}

async fn a_range_beyond_the_end_of_a_blob_is_an_error(place: &dyn Place) {
    let layout = Layout::new();
    fill(place, &layout, &Image::of([Layer::bytes("0123456789").tar()])).await;
    let blob = layout.blob("t", b"0123456789");
    let read = place.source().await.read(&place.repository(), &blob, 5..11).await;
    let all = match read {
        Ok(body) => body.expect("a blob").collect(100, "range").await,
        Err(error) => Err(error),
    };
    assert!(all.is_err());
}

async fn what_is_not_there_is_none_and_no_error(place: &dyn Place) {
    let layout = Layout::new();
    fill(place, &layout, &Image::generated(1, 2000)).await;
    let (source, sink) = (place.source().await, place.sink().await);
    let (repository, other) = (place.repository(), Descriptor::new("", Digest::of(b"other"), 5));
    let elsewhere = place.elsewhere();
    for name in [repository.tagged("no").expect("a name"), elsewhere.tagged("1").expect("a name"), repository.at(other.digest)] {
        assert_eq!(source.resolve(&name).await.expect("an answer"), None, "{name}");
        assert_eq!(sink.current(&name).await.expect("an answer"), None, "{name}");
    }
    assert_eq!(source.manifest(&repository, &other).await.expect("an answer"), None);
    assert!(source.read(&repository, &other, 0..5).await.expect("an answer").is_none());
    assert_eq!(source.blob_size(&repository, &other.digest).await.expect("an answer"), None);
    assert!(source.referrers(&repository, &other.digest).await.expect("an answer").is_empty());
    assert_eq!(source.tags(&elsewhere).await.expect("an answer"), None);
    assert!(!sink.has(&repository, &other).await.expect("an answer"));
}

async fn what_was_brought_is_had_by_the_next_run(place: &dyn Place) {
    let layout = Layout::new();
    let root = fill(place, &layout, &Image::generated(2, 2000)).await;
    let sink = place.sink().await;
    for content in layout.digests() {
        let size = layout.read(&content).len() as u64;
        let media_type = if content == root.digest { root.media_type.as_str() } else { "t" };
        assert!(sink.has(&place.repository(), &Descriptor::new(media_type, content, size)).await.expect("an answer"), "{content}");
    }
    let expected = place.knows_names_while_writing().then_some(root.digest);
    assert_eq!(sink.current(&tagged(place, "1")).await.expect("an answer"), expected);
}

async fn content_that_is_not_what_it_should_be_is_refused_and_not_there(place: &dyn Place) {
    let layout = Layout::new();
    fill(place, &layout, &Image::generated(3, 2000)).await;
    let good = b"the blob as it should be".to_vec();
    let (digest, len) = (Digest::of(&good), good.len());
    let other = [&good[..len - 1], b"!"].concat();
    for (wrong, reason) in [(&other[..], "does not match"), (&good[..len - 1], "ended after"), (&[&good[..], b"!"].concat(), "longer")] {
        let sink = place.sink().await;
        let given = Arc::new(Given::claiming(digest, wrong));
        let blob = Blob::new(given, place.repository(), Descriptor::new("t", digest, len as u64));
        let put = sink.put(&place.repository(), &blob, &moved_nothing()).await;
        let error = match put {
            Ok(rest) => settle(rest).await.expect_err("a rest that fails"),
            Err(error) => error,
        };
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!place.sink().await.has(&place.repository(), blob.descriptor()).await.expect("an answer"), "{reason}");
        let read = place.source().await.read(&place.repository(), blob.descriptor(), 0..len as u64).await;
        assert!(read.expect("an answer").is_none(), "{reason}");
    }
}

async fn damage_is_told_as_damage(place: &dyn Place) {
    let given = Arc::new(Given::claiming(Digest::of(b"abc"), b"abd"));
    let blob = Blob::new(given, place.repository(), Descriptor::new("t", Digest::of(b"abc"), 3));
    let sink = place.sink().await;
    let put = async { settle(sink.put(&place.repository(), &blob, &moved_nothing()).await?).await };
    assert_eq!(put.await.expect_err("a refusal").kind(), Kind::Damaged);
}

async fn every_byte_of_a_blob_is_told_as_moved(place: &dyn Place) {
    let noise = Random::new(9).noise(700_000);
    let layout = Layout::new();
    let descriptor = layout.blob("t", &noise);
    let (told, sink) = (Arc::new(AtomicU64::new(0)), place.sink().await);
    let counter = Arc::clone(&told);
    let moved: Moved = Arc::new(move |bytes| _ = counter.fetch_add(bytes, Ordering::Relaxed));
    let blob = Blob::new(Arc::new(Given::of(&layout)), place.repository(), descriptor);
    settle(sink.put(&place.repository(), &blob, &moved).await.expect("put")).await.expect("settled");
    assert_eq!(told.load(Ordering::Relaxed), noise.len() as u64);
}

async fn a_blob_may_be_put_again_and_many_times_at_once(place: &dyn Place) {
    let layout = Layout::new();
    let noise = Random::new(6).noise(300_000);
    let root = layout.image(&Image::of([Layer::bytes(noise.clone()).tar()]));
    let given: Arc<Given> = Arc::new(Given::of(&layout));
    let (repository, descriptor) = (place.repository(), layout.blob("t", &noise));
    for _ in 0..2 {
        let sink = place.sink().await;
        let blob = Blob::new(given.clone(), repository.clone(), descriptor.clone());
        let moved = moved_nothing();
        let puts = join_all((0..6).map(|_| sink.put(&repository, &blob, &moved))).await;
        for rest in puts {
            settle(rest.expect("put")).await.expect("settled");
        }
        given::bring_to(&*sink, &layout, &[item(&tagged(place, "1"), &root)]).await;
        sink.finish(&given::contents(&[item(&tagged(place, "1"), &root)])).await.expect("finished");
    }
    assert!(whole(&*place.source().await, &place.repository(), &descriptor).await == noise);
}

async fn tags_are_listed_and_can_be_moved(place: &dyn Place) {
    let layout = Layout::new();
    let (first, second) = (layout.image(&Image::generated(10, 2000)), layout.image(&Image::generated(11, 2000)));
    let [a, b] = ["b-tag", "a-tag"].map(|tag| tagged(place, tag));
    bring(place, &layout, &[item(&a, &first), item(&b, &second)]).await;
    let tags = place.source().await.tags(&place.repository()).await.expect("an answer");
    assert_eq!(tags, Some(vec!["a-tag".to_owned(), "b-tag".to_owned()]));
    bring(place, &layout, &[item(&a, &second), item(&b, &second)]).await;
    let found = place.source().await.resolve(&a).await.expect("an answer").expect("a root");
    assert_eq!(found.digest, second.digest);
}

async fn a_name_without_tag_means_latest(place: &dyn Place) {
    let layout = Layout::new();
    let root = layout.image(&Image::generated(12, 2000));
    bring(place, &layout, &[item(&tagged(place, "latest"), &root)]).await;
    let bare = place.repository().to_string().parse().expect("a name");
    assert_eq!(place.source().await.resolve(&bare).await.expect("an answer").map(|root| root.digest), Some(root.digest));
}

async fn an_image_is_found_by_its_digest(place: &dyn Place) {
    let layout = Layout::new();
    let root = fill(place, &layout, &Image::generated(13, 2000)).await;
    let source = place.source().await;
    let found = source.resolve(&place.repository().at(root.digest)).await.expect("an answer").expect("a root");
    assert_eq!((found.digest, found.size, found.media_type), (root.digest, root.size, root.media_type.clone()));
    let untold = Descriptor { size: 0, ..root };
    assert!(source.manifest(&place.repository(), &untold).await.expect("an answer").is_some());
}

async fn what_refers_to_an_image_travels_with_it(place: &dyn Place) {
    let layout = Layout::new();
    let child = layout.image(&Image::generated(14, 2000));
    let root = layout.index(std::slice::from_ref(&child));
    let signature = layout.artifact("application/vnd.example.signature", b"signed", Some(&root));
    let note = layout.artifact("application/vnd.example.note", b"noted", Some(&child));
    let name = tagged(place, "1");
    let mut signed = item(&name, &root);
    signed.attached = vec![signature.clone(), note.clone()];
    bring(place, &layout, &[signed]).await;
    let source = place.source().await;
    for (subject, referrer) in [(&root, &signature), (&child, &note)] {
        let found = source.referrers(&place.repository(), &subject.digest).await.expect("an answer");
        let found: Vec<_> = found.into_iter().map(|one| (one.digest, one.size, one.artifact_type)).collect();
        assert_eq!(found, [(referrer.digest, referrer.size, referrer.artifact_type.clone())]);
        assert!(source.manifest(&place.repository(), referrer).await.expect("an answer").is_some());
    }
    let Some(contents) = source.contents().await.expect("an answer") else { return };
    let [item] = contents.items() else { panic!("{contents:?}") };
    let attached: BTreeMap<_, _> = item.attached.iter().map(|one| (one.digest, one.size)).collect();
    assert_eq!(attached, BTreeMap::from([(signature.digest, signature.size), (note.digest, note.size)]));
}

async fn names_are_seen_only_after_finish(place: &dyn Place) {
    let layout = Layout::new();
    let old = fill(place, &layout, &Image::generated(15, 2000)).await;
    let new = layout.image(&Image::generated(16, 2000));
    let unfinished = place.sink().await;
    given::bring_to(&*unfinished, &layout, &[item(&tagged(place, "1"), &new), item(&tagged(place, "2"), &new)]).await;
    let seen = async |tag| place.source().await.resolve(&tagged(place, tag)).await.expect("an answer").map(|root| root.digest);
    if place.names_wait_for_finish() {
        assert_eq!((seen("1").await, seen("2").await), (Some(old.digest), None));
        drop(unfinished);
        bring(place, &layout, &[item(&tagged(place, "3"), &old), item(&tagged(place, "1"), &old)]).await;
        assert_eq!((seen("2").await, seen("3").await), (None, Some(old.digest)));
    } else {
        assert_eq!((seen("1").await, seen("2").await), (Some(new.digest), Some(new.digest)));
    }
}

async fn the_contents_are_what_was_brought(place: &dyn Place) {
    let (layout, kinds) = zoo();
    let items: Vec<_> = kinds.iter().map(|(tag, root)| item(&tagged(place, tag), root)).collect();
    bring(place, &layout, &items).await;
    let Some(contents) = place.source().await.contents().await.expect("an answer") else {
        assert!(!place.lists_itself());
        return;
    };
    assert!(contents.items().iter().all(|item| item.is_complete()));
    let found: BTreeMap<_, _> = contents.items().iter().map(|item| (item.origin.clone(), item.digest())).collect();
    assert_eq!(found, items.iter().map(|item| (item.origin.clone(), item.digest())).collect());
    let index = contents.find(&tagged(place, "index")).expect("the index");
    let platforms: Vec<String> = index.platforms.iter().map(ToString::to_string).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64/v8"]);
}

/// One test for each behaviour, on a place of its own that `$open` makes; `None` where a part of it is missing.
macro_rules! conformance {
    ($store:ident, $open:expr) => {
        conformance!($store, $open;
            every_kind_of_image_comes_back_byte_for_byte,
            a_blob_is_read_in_exact_ranges,
            a_range_beyond_the_end_of_a_blob_is_an_error,
            what_is_not_there_is_none_and_no_error,
            what_was_brought_is_had_by_the_next_run,
            content_that_is_not_what_it_should_be_is_refused_and_not_there,
            damage_is_told_as_damage,
            every_byte_of_a_blob_is_told_as_moved,
            a_blob_may_be_put_again_and_many_times_at_once,
            tags_are_listed_and_can_be_moved,
            a_name_without_tag_means_latest,
            an_image_is_found_by_its_digest,
            what_refers_to_an_image_travels_with_it,
            names_are_seen_only_after_finish,
            the_contents_are_what_was_brought);
    };
    ($store:ident, $open:expr; $($behaviour:ident),*) => {
        mod $store {
            $(#[tokio::test]
            async fn $behaviour() {
                if let Some(place) = $open {
                    super::$behaviour(&place).await;
                }
            })*
        }
    };
}

conformance!(archive, Some(super::places::InArchive::new()));
conformance!(memory, Some(super::places::InMemory::default()));
conformance!(layout, Some(super::places::InLayout::new()));
conformance!(registry, super::places::InRegistry::start());
