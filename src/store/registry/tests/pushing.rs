//! Blobs and manifests brought to registries that lie or fail.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::error::Result;
use crate::image::ends::Moved;
use crate::image::manifest::{OCI_INDEX, OCI_MANIFEST};
use crate::image::place::digest_tag;
use crate::image::{Blob, Body, Contents, Manifest, Reference, Sink, Source, Verified};
use crate::store::registry::RegistrySink;

/// A source of one blob, in memory, that hands out small parts.
struct Held(Vec<u8>);

#[async_trait]
impl Source for Held {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    async fn resolve(&self, _: &Reference) -> Result<Option<Descriptor>> {
        Ok(None)
    }

    async fn manifest(&self, _: &Repository, _: &Descriptor) -> Result<Option<Manifest>> {
        Ok(None)
    }

    async fn read(&self, _: &Repository, _: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        let bytes = self.0[range.start as usize..range.end as usize].to_vec();
        let parts: Vec<Result<Bytes>> = bytes.chunks(10_000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        Ok(Some(Body::new(range.end - range.start, "memory", stream::iter(parts))))
    }

    async fn referrers(&self, _: &Repository, _: &Digest) -> Result<Vec<Descriptor>> {
        Ok(Vec::new())
    }

    async fn tags(&self, _: &Repository) -> Result<Option<Vec<String>>> {
        Ok(None)
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        Ok(None)
    }
}

/// A blob of `bytes` that says it is `described`.
fn blob(bytes: Vec<u8>, described: Descriptor) -> Blob {
    let repository = Repository::new("far.test", "from/here").expect("a repository");
    Blob::new(Arc::new(Held(bytes)), repository, described)
}

/// What moved, in bytes.
fn counter() -> (Moved, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let counting = count.clone();
    (
        Arc::new(move |bytes| {
            counting.fetch_add(bytes, Ordering::SeqCst);
        }),
        count,
    )
}

fn sink(server: &Server) -> RegistrySink {
    RegistrySink::new(&registry(), &server.host).expect("a sink")
}

fn manifest(json: &str, kind: &str) -> Manifest {
    Manifest::parse(Verified::own(Bytes::copy_from_slice(json.as_bytes())), kind).expect("a manifest")
}

fn image(subject: Option<&Digest>) -> Manifest {
    let empty = Digest::of(b"");
    let subject = subject.map(|subject| format!(r#","subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{subject}","size":3}}"#));
    manifest(&format!(r#"{{"config":{{"mediaType":"c","digest":"{empty}","size":0}}{}}}"#, subject.unwrap_or_default()), OCI_MANIFEST)
}

/// The answers of a registry that takes everything.
fn willing(seen: &Seen) -> Reply {
    match seen.method.as_str() {
        "POST" => reply(202, &[("location", "/v2/a/blobs/uploads/1?state=x")], ""),
        "PATCH" => reply(202, &[("location", "/v2/a/blobs/uploads/1?state=y")], ""),
        "PUT" => reply(201, &[], ""),
        _ if seen.path == "/v2/" => reply(200, &[], ""),
        _ => refused(404, "UNKNOWN"),
    }
}

#[tokio::test]
async fn a_small_blob_goes_in_one_request_to_the_place_that_was_told() {
    let bytes = content(1000);
    let server = Server::start(|seen, _| willing(seen)).await;
    let (moved, count) = counter();
    for content in [bytes.clone(), Vec::new()] {
        let blob = blob(content.clone(), described(&content));
        sink(&server).put(&server.repository("a"), &blob, &moved).await.expect("pushed");
        let last = server.seen().pop().expect("a request");
        assert_eq!(last.path, format!("/v2/a/blobs/uploads/1?state=x&digest={}", Digest::of(&content)));
        assert_eq!(
            (last.body, last.headers["content-length"].to_str().expect("text")),
            (content.clone(), content.len().to_string().as_str())
        );
    }
    assert_eq!(count.load(Ordering::SeqCst), 1000);
}

#[tokio::test]
async fn a_blob_that_is_not_what_it_must_be_is_never_sent_as_a_whole() {
    let server = Server::start(|seen, _| willing(seen)).await;
    for (bytes, described) in [(content(200_000), described(&vec![0; 200_000])), (Vec::new(), Descriptor { size: 0, ..described(b"x") })] {
        let size = described.size;
        let blob = blob(bytes, described);
        let error = sink(&server).put(&server.repository("a"), &blob, &counter().0).await.map(drop).expect_err("another content");
        assert!(error.to_string().contains("the content does not match its digest"), "{error}");
        assert!(size == 0 || server.seen().iter().all(|seen| (seen.body.len() as u64) < size));
    }
    assert!(!server.seen().iter().any(|seen| seen.method == "PUT" && seen.body.is_empty() && seen.header("content-length") == "0"));
}

#[tokio::test]
async fn a_cut_upload_goes_on_from_what_the_registry_has() {
    let bytes = content(300_000);
    let server = Server::start(|seen, _| match (seen.method.as_str(), seen.path.as_str()) {
        ("PUT", path) if path.contains("state=x") => refused(503, "UNAVAILABLE"),
        ("GET", path) if path.contains("/uploads/") => {
            reply(204, &[("range", "0-199999"), ("location", "/v2/a/blobs/uploads/1?state=z")], "")
        }
        _ => willing(seen),
    })
    .await;
    let (moved, count) = counter();
    let blob = blob(bytes.clone(), described(&bytes));
    sink(&server).put(&server.repository("a"), &blob, &moved).await.expect("pushed");
    let seen = server.seen();
    let patch = seen.iter().find(|seen| seen.method == "PATCH").expect("it goes on");
    assert_eq!((patch.path.as_str(), patch.header("content-range")), ("/v2/a/blobs/uploads/1?state=z", "200000-299999"));
    assert_eq!(patch.body, &bytes[200_000..]);
    let put = seen.last().expect("a request");
    assert!(put.method == "PUT" && put.body.is_empty() && put.path.contains("state=y&digest=sha256:"), "{}", put.path);
    assert_eq!(count.load(Ordering::SeqCst), 300_000, "no byte counts twice");
}

#[tokio::test]
async fn an_upload_that_the_registry_cannot_resume_begins_anew() {
    let bytes = content(1000);
    for refusal in [416, 400, 404, 500, 401] {
        let server = Server::start(move |seen, _| match seen.method.as_str() {
            "PUT" if seen.path.contains("/uploads/1") => refused(refusal, "BLOB_UPLOAD_INVALID"),
            "POST" => willing(seen),
            "GET" if seen.path.contains("/uploads/") => refused(404, "BLOB_UPLOAD_UNKNOWN"),
            _ => willing(seen),
        })
        .await;
        let (moved, count) = counter();
        let blob = blob(bytes.clone(), described(&bytes));
        let error = sink(&server).put(&server.repository("a"), &blob, &moved).await.map(drop).expect_err("never taken");
        assert!(error.to_string().contains(&refusal.to_string()), "{error}");
        let lines = server.lines();
        assert_eq!(lines.iter().filter(|line| line.starts_with("POST")).count(), 4, "{refusal}: {lines:?}");
        assert_eq!(count.load(Ordering::SeqCst), 1000);
    }
    let server = Server::start(|seen, _| if seen.method == "PUT" { refused(403, "DENIED") } else { willing(seen) }).await;
    let blob = blob(bytes.clone(), described(&bytes));
    sink(&server).put(&server.repository("a"), &blob, &counter().0).await.map(drop).expect_err("denied");
    assert_eq!(server.lines().len(), 2, "a refusal is final: {:?}", server.lines());
}

#[tokio::test]
async fn a_registry_that_claims_more_than_it_was_sent_is_not_believed() {
    let bytes = content(1000);
    let server = Server::start(|seen, before| match seen.method.as_str() {
        "PUT" if before < 4 => refused(503, ""),
        "GET" if seen.path.contains("/uploads/") => reply(204, &[("range", "0-99999")], ""),
        _ => willing(seen),
    })
    .await;
    let blob = blob(bytes.clone(), described(&bytes));
    sink(&server).put(&server.repository("a"), &blob, &counter().0).await.expect("pushed");
    assert_eq!(server.seen().last().expect("a request").body, bytes);
}

#[tokio::test]
async fn a_digest_that_the_registry_makes_up_is_an_error() {
    let other = Digest::of(b"other").to_string();
    let server = Server::start(move |seen, _| match seen.method.as_str() {
        "PUT" => reply(201, &[("docker-content-digest", &other)], ""),
        _ => willing(seen),
    })
    .await;
    let blob = blob(b"x".to_vec(), described(b"x"));
    let of_blob = sink(&server).put(&server.repository("a"), &blob, &counter().0).await.map(drop).expect_err("another");
    let of_manifest = sink(&server).put_manifest(&server.repository("a"), &image(None)).await.map(drop).expect_err("another");
    for error in [of_blob, of_manifest] {
        assert!(error.to_string().contains("the registry answers with"), "{error}");
    }
}

#[tokio::test]
async fn a_blob_of_two_repositories_is_pushed_once_and_mounted_once() {
    let server = Server::start(|seen, _| match (seen.method.as_str(), seen.path.contains("mount=")) {
        ("POST", true) => reply(201, &[], ""),
        _ => willing(seen),
    })
    .await;
    let (sink, bytes) = (sink(&server), content(1000));
    let blob = blob(bytes.clone(), described(&bytes));
    let (moved, _) = counter();
    let (a, b) = (server.repository("a"), server.repository("b"));
    let both = tokio::join!(sink.put(&a, &blob, &moved), sink.put(&b, &blob, &moved));
    both.0.and(both.1).expect("both have it");
    sink.put(&b, &blob, &moved).await.expect("nothing to do");
    assert!(sink.has(&b, blob.descriptor()).await.expect("known"));
    let seen: Vec<Seen> = server.seen().into_iter().filter(|seen| seen.path != "/v2/").collect();
    assert_eq!(seen.iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(), ["POST", "PUT", "POST"]);
    assert_eq!(seen[2].path, format!("/v2/b/blobs/uploads/?mount={}&from=a", Digest::of(&bytes)));
}

#[tokio::test]
async fn a_mount_that_does_not_work_becomes_a_push() {
    let bytes = content(1000);
    for (answer, posts) in [(202, 1), (404, 2), (403, 2)] {
        let server = Server::start(move |seen, _| match (seen.path.contains("mount="), answer) {
            (true, 404 | 403) => refused(answer, "UNSUPPORTED"),
            _ => willing(seen),
        })
        .await;
        // The blob lies in the registry that it goes to, so that it may be mounted from there.
        let blob = Blob::new(Arc::new(Held(bytes.clone())), server.repository("from"), described(&bytes));
        sink(&server).put(&server.repository("a"), &blob, &counter().0).await.expect("pushed");
        let seen = server.seen();
        assert_eq!(seen.iter().filter(|seen| seen.method == "POST").count(), posts, "{answer}");
        assert_eq!(seen.last().expect("a request").body, bytes);
    }
}

#[tokio::test]
async fn refusals_of_manifests_are_named_with_the_choice_there_is() {
    let child = format!(r#"{{"manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":3}}]}}"#, Digest::of(b"x"));
    let index = manifest(&child, OCI_INDEX);
    for (manifest, status, code, note, hint) in [
        (&index, 400, "MANIFEST_BLOB_UNKNOWN", "not all there", "or one platform by its digest"),
        (&image(None), 400, "MANIFEST_BLOB_UNKNOWN", "lacks a blob", "run the same command again"),
        (&index, 400, "NAME_INVALID", "repository path", "--max-nested-paths"),
        (&index, 415, "", OCI_INDEX, "OCI 1.1"),
        (&index, 400, "MANIFEST_INVALID", OCI_INDEX, "OCI 1.1"),
        (&index, 413, "SIZE_INVALID", "bytes", "raise the limit"),
    ] {
        let server = Server::start(move |seen, _| if seen.method == "PUT" { refused(status, code) } else { willing(seen) }).await;
        let error = sink(&server).put_manifest(&server.repository("a"), manifest).await.map(drop).expect_err(code);
        assert!(error.notes().concat().contains(note), "{code}: {:?}", error.notes());
        assert!(error.way_out().unwrap_or_default().contains(hint), "{code}: {:?}", error.way_out());
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

/// A registry without referrers API that keeps the manifest under one tag.
async fn keeping(tag: String, there: Option<(String, &'static str)>) -> (Server, Arc<Mutex<Option<Vec<u8>>>>) {
    let kept = Arc::new(Mutex::new(there.as_ref().map(|(json, _)| json.clone().into_bytes())));
    let (shelf, kind) = (kept.clone(), there.map_or(OCI_INDEX, |(_, kind)| kind));
    let server = Server::start(move |seen, _| {
        let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        match (seen.method.as_str(), seen.path.ends_with(&tag)) {
            ("PUT", true) => {
                *shelf = Some(seen.body.clone());
                reply(201, &[], "")
            }
            ("GET", true) => {
                shelf.clone().map_or_else(|| refused(404, "MANIFEST_UNKNOWN"), |bytes| reply(200, &[("content-type", kind)], bytes))
            }
            _ => willing(seen),
        }
    })
    .await;
    (server, kept)
}

#[tokio::test]
async fn a_referrer_is_listed_under_the_fallback_tag_once() {
    let subject = Digest::of(b"subject");
    let (server, kept) = keeping(digest_tag(&subject), None).await;
    let sink = sink(&server);
    let other = manifest(&String::from_utf8_lossy(image(Some(&subject)).bytes()).replace("\"c\"", "\"d\""), OCI_MANIFEST);
    let repository = server.repository("a");
    let (first, second) = (image(Some(&subject)), other);
    let both = tokio::join!(sink.put_manifest(&repository, &first), sink.put_manifest(&repository, &second));
    both.0.and(both.1).expect("both are pushed");
    sink.put_manifest(&repository, &first).await.expect("again");
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner).clone().expect("an index");
    let index = manifest(&String::from_utf8_lossy(&kept), OCI_INDEX);
    let mut expected = [first.digest(), second.digest()];
    expected.sort_unstable();
    assert_eq!(index.children().iter().map(|child| child.digest).collect::<Vec<_>>(), expected);
    let puts = server.lines().iter().filter(|line| line.contains(&digest_tag(&subject)) && line.starts_with("PUT")).count();
    assert_eq!(puts, 2);
}

#[tokio::test]
async fn a_registry_that_lists_referrers_itself_gets_no_fallback_tag() {
    let subject = Digest::of(b"subject");
    for by_header in [true, false] {
        let server = Server::start(move |seen, _| match seen.method.as_str() {
            "PUT" if by_header => reply(201, &[("oci-subject", "sha256:x")], ""),
            "GET" if seen.path.contains("/referrers/") => reply(200, &[("content-type", OCI_INDEX)], r#"{"manifests":[]}"#),
            _ => willing(seen),
        })
        .await;
        sink(&server).put_manifest(&server.repository("a"), &image(Some(&subject))).await.expect("pushed");
        assert_eq!(server.lines().iter().filter(|line| line.starts_with("PUT")).count(), 1);
        assert_eq!(server.lines().len(), if by_header { 1 } else { 2 });
    }
}

#[tokio::test]
async fn an_image_keeps_the_tag_of_its_digest_and_a_person_hears_of_it() {
    let subject = image(None);
    let json = String::from_utf8_lossy(subject.bytes()).into_owned();
    let (server, kept) = keeping(digest_tag(&subject.digest()), Some((json.clone(), OCI_MANIFEST))).await;
    let heard = Arc::new(Heard::default());
    let registry = Registry::new(Options { monitor: heard.clone(), ..options() });
    let sink = RegistrySink::new(&registry, &server.host).expect("a sink");
    sink.put_manifest(&server.repository("a"), &image(Some(&subject.digest()))).await.expect("pushed");
    assert_eq!(kept.lock().unwrap_or_else(PoisonError::into_inner).as_deref(), Some(json.as_bytes()));
    assert!(heard.warnings()[0].contains("pushed and not listed"), "{:?}", heard.warnings());
}

#[tokio::test]
async fn a_list_of_referrers_gives_way_to_its_image_and_a_person_hears_of_it() {
    let subject = image(None);
    let tag = digest_tag(&subject.digest());
    let (server, kept) = keeping(tag.clone(), Some((r#"{"manifests":[]}"#.to_owned(), OCI_INDEX))).await;
    let heard = Arc::new(Heard::default());
    let registry = Registry::new(Options { monitor: heard.clone(), ..options() });
    let sink = RegistrySink::new(&registry, &server.host).expect("a sink");
    sink.point(&server.repository("a").tagged(&tag).expect("a tag"), &subject).await.expect("pushed");
    assert_eq!(kept.lock().unwrap_or_else(PoisonError::into_inner).as_deref(), Some(&subject.bytes()[..]));
    assert_eq!(heard.warnings().len(), 1);
}
