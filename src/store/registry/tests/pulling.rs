//! Manifests, blobs and tags from registries that lie or fail.

use super::*;
use crate::error::{Kind, Result};
use crate::image::manifest::{DOCKER_MANIFEST, OCI_MANIFEST};
use crate::image::{Body, Manifest, Reference, Source};

const IMAGE: &str = r#"{"schemaVersion":2,"config":{"mediaType":"c","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;

fn image() -> Descriptor {
    Descriptor::new(OCI_MANIFEST, Digest::of(IMAGE.as_bytes()), IMAGE.len() as u64)
}

fn tagged(server: &Server) -> Reference {
    server.repository("a/b").tagged("1").expect("a tag")
}

async fn manifest_from(script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Result<Option<Manifest>> {
    let server = Server::start(script).await;
    registry().manifest(&server.repository("a/b"), &image()).await
}

async fn blob_from(server: &Server, blob: &Descriptor, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
    let body: Option<Body> = registry().read(&server.repository("a/b"), blob, range).await?;
    Ok(body.expect("a blob").collect(1 << 30, "x").await?.to_vec())
}

#[tokio::test]
async fn a_tag_is_resolved_by_head_and_by_get_where_head_says_too_little() {
    let digest = image().digest.to_string();
    let full = [("content-type", OCI_MANIFEST), ("docker-content-digest", digest.as_str())];
    let full: Vec<(String, String)> = full.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for (status, headers, requests) in [(200, full.clone(), 1), (200, full[..1].to_vec(), 2), (200, full[1..].to_vec(), 2), (405, full, 2)]
    {
        let server = Server::start(move |seen, _| {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            reply(if seen.method == "HEAD" { status } else { 200 }, &headers, IMAGE)
        })
        .await;
        let found = registry().resolve(&tagged(&server)).await.expect("an answer").expect("an image");
        assert_eq!((found.digest, found.size, found.media_type.as_str()), (image().digest, image().size, OCI_MANIFEST));
        let asked: Vec<Seen> = server.seen().into_iter().filter(|seen| seen.path != "/v2/").collect();
        assert_eq!(asked.len(), requests);
        let accepted = asked[0].headers.get_all("accept").iter().count();
        assert_eq!(accepted, crate::image::manifest::ACCEPTED.len());
    }
}

#[tokio::test]
async fn absence_is_an_answer_and_a_refusal_is_an_error() {
    for (status, code) in [(404, "MANIFEST_UNKNOWN"), (404, "NAME_UNKNOWN"), (404, "")] {
        let server = Server::start(move |_, _| refused(status, code)).await;
        assert_eq!(registry().resolve(&tagged(&server)).await.expect("an answer"), None);
        assert!(registry().manifest(&server.repository("a/b"), &image()).await.expect("an answer").is_none());
        assert!(registry().read(&server.repository("a/b"), &image(), 0..3).await.expect("an answer").is_none());
        assert!(registry().tags(&server.repository("a/b")).await.expect("an answer").is_none());
    }
    for status in [401, 403, 500] {
        let server = Server::start(move |_, _| refused(status, "DENIED")).await;
        let denied = registry().resolve(&tagged(&server)).await.expect_err("a refusal");
        assert!(denied.to_string().contains(&status.to_string()), "{denied}");
        assert!(status == 500 || denied.way_out().is_some(), "{denied}");
        registry().manifest(&server.repository("a/b"), &image()).await.expect_err("a refusal");
        assert!(registry().read(&server.repository("a/b"), &image(), 0..3).await.is_err());
        registry().tags(&server.repository("a/b")).await.expect_err("a refusal");
    }
}

#[tokio::test]
async fn a_manifest_that_is_not_what_was_asked_for_is_refused() {
    let other = Digest::of(b"other").to_string();
    let error = manifest_from(|_, _| reply(200, &[], IMAGE.replace("[]", "null"))).await.expect_err("other content");
    assert_eq!(error.kind(), Kind::Damaged);
    let error = manifest_from(move |_, _| reply(200, &[("docker-content-digest", &other)], IMAGE)).await.expect_err("another digest");
    assert!(error.to_string().contains("was asked for and the registry answers with"), "{error}");
    let error = manifest_from(|_, _| reply(200, &[("content-type", DOCKER_MANIFEST)], IMAGE.replace("{\"s", "{ \"s"))).await;
    assert_eq!(error.expect_err("one byte more").kind(), Kind::Damaged);
}

#[tokio::test]
async fn a_manifest_of_300_megabytes_is_not_read() {
    for announced in [true, false] {
        let error = manifest_from(move |_, _| match announced {
            true => reply(200, &[], vec![b' '; 300 << 20]),
            false => reply(200, &[], endless()),
        });
        let error = error.await.expect_err("too large").to_string();
        assert!(error.contains("4194304"), "{error}");
    }
    let large = Descriptor { size: 300 << 20, ..image() };
    let server = Server::start(|_, _| reply(500, &[], "")).await;
    let error = registry().manifest(&server.repository("a"), &large).await.expect_err("too large").to_string();
    assert!(error.contains("314572800 bytes are more than"), "{error}");
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn schema_1_is_refused_by_its_name() {
    let old = r#"{"schemaVersion":1,"fsLayers":[],"signatures":[]}"#;
    let kind = "application/vnd.docker.distribution.manifest.v1+prettyjws; charset=utf-8";
    let server = Server::start(move |_, _| reply(200, &[("content-type", kind)], old)).await;
    let wanted = Descriptor::new("", Digest::of(old.as_bytes()), 0);
    let by_digest = registry().manifest(&server.repository("a"), &wanted).await.expect_err("schema 1");
    let by_tag = registry().resolve(&tagged(&server)).await.expect_err("schema 1");
    for error in [by_digest, by_tag] {
        assert!(error.to_string().contains("schema 1 is not supported"), "{error}");
    }
}

#[tokio::test]
async fn a_manifest_that_is_cut_is_asked_for_again_and_then_kept() {
    let server = Server::start(|seen, before| match (seen.path.as_str(), before) {
        ("/v2/", _) => reply(200, &[], ""),
        (_, 0 | 1) => reply(200, &[], broken(IMAGE.as_bytes()[..20].to_vec())),
        _ => reply(200, &[("content-type", OCI_MANIFEST)], IMAGE),
    })
    .await;
    let registry = registry();
    for _ in 0..3 {
        assert!(registry.manifest(&server.repository("a"), &image()).await.expect("an answer").is_some());
    }
    assert!(server.lines().len() <= 3, "{:?}", server.lines());
}

/// A server of `bytes` that cuts every answer after `piece` bytes; it knows ranges, or does not.
async fn cutting(bytes: Vec<u8>, piece: usize, ranges: bool) -> Server {
    Server::start(move |seen, _| {
        if seen.path == "/v2/" {
            return reply(200, &[], "");
        }
        let start: usize = seen.header("range").trim_start_matches("bytes=").split('-').next().unwrap_or_default().parse().unwrap_or(0);
        if !ranges || seen.header("range").is_empty() {
            let rest = &bytes[..piece.min(bytes.len())];
            return match piece < bytes.len() {
                true => reply(200, &[], broken(rest.to_vec())),
                false => reply(200, &[], rest.to_vec()),
            };
        }
        let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
        let end = (start + piece).min(bytes.len());
        let body = if end < bytes.len() { broken(bytes[start..end].to_vec()) } else { bytes[start..end].to_vec().into() };
        reply(206, &[("content-range", &range)], body)
    })
    .await
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_stopped() {
    let bytes = content(100_000);
    let server = cutting(bytes.clone(), 9_000, true).await;
    assert_eq!(blob_from(&server, &described(&bytes), 0..100_000).await.expect("all of it"), bytes);
    let ranges: Vec<String> = server.seen().iter().filter(|seen| seen.path != "/v2/").map(|seen| seen.header("range").to_owned()).collect();
    assert_eq!(ranges.len(), 12, "progress gives new tries: {ranges:?}");
    assert_eq!(&ranges[..3], ["", "bytes=9000-99999", "bytes=18000-99999"]);
}

#[tokio::test]
async fn a_download_without_progress_ends_after_its_tries() {
    let bytes = content(1000);
    let stuck = cutting(bytes.clone(), 0, true).await;
    let error = blob_from(&stuck, &described(&bytes), 0..1000).await.expect_err("no byte comes").to_string();
    assert!(!error.is_empty());
    assert_eq!(stuck.lines().len(), 4);
    let forgetful = cutting(bytes.clone(), 900, false).await;
    blob_from(&forgetful, &described(&bytes), 0..1000).await.expect_err("the same bytes again and again");
    assert_eq!(forgetful.lines().len(), 4);
}

#[tokio::test]
async fn a_registry_without_ranges_is_read_from_the_beginning() {
    let bytes = content(1000);
    let server = Server::start({
        let bytes = bytes.clone();
        move |seen, before| match before {
            0 if seen.path != "/v2/" => reply(200, &[], broken(bytes[..600].to_vec())),
            _ => reply(200, &[], bytes.clone()),
        }
    })
    .await;
    assert_eq!(blob_from(&server, &described(&bytes), 0..1000).await.expect("all of it"), bytes);
    assert_eq!(blob_from(&server, &described(&bytes), 100..200).await.expect("a part"), &bytes[100..200]);
    let far = Descriptor { size: 100 << 20, ..described(&bytes) };
    let server = Server::start(|_, _| reply(200, &[("content-length", "104857600")], vec![0; 100 << 20])).await;
    let error = blob_from(&server, &far, 90 << 20..91 << 20).await.expect_err("too far").to_string();
    assert!(error.contains("serves no ranges"), "{error}");
}

#[tokio::test]
async fn lengths_and_ranges_that_are_wrong_are_refused() {
    let bytes = content(1000);
    let server = Server::start(|_, _| reply(200, &[], content(999))).await;
    let error = blob_from(&server, &described(&bytes), 0..1000).await.expect_err("short").to_string();
    assert!(error.contains("sends 999 bytes and its descriptor says 1000"), "{error}");
    for said in ["bytes 0-99/1000", "bytes 100-198/1000", "bytes 100-199/2000", "", "bytes 100-199"] {
        let server = Server::start(move |_, _| reply(206, &[("content-range", said)], content(100))).await;
        let error = blob_from(&server, &described(&bytes), 100..200).await.expect_err(said).to_string();
        assert!(error.contains("bytes 100-199/1000 was asked for"), "{error}");
    }
    let server = Server::start(|_, _| refused(416, "RANGE_INVALID")).await;
    assert!(blob_from(&server, &described(&bytes), 100..200).await.expect_err("416").to_string().contains("416"));
}

#[tokio::test]
async fn a_blob_without_end_is_cut_off() {
    let blob = described(&content(100_000));
    let server = Server::start(|_, _| reply(200, &[], endless())).await;
    let error = blob_from(&server, &blob, 0..100_000).await.expect_err("endless").to_string();
    assert!(error.contains("sends more than the 100000 bytes"), "{error}");
}

#[tokio::test]
async fn nothing_is_read_of_a_range_of_nothing() {
    let bytes = content(10);
    let server = Server::start(|seen, _| if seen.method == "HEAD" { reply(200, &[], "") } else { reply(500, &[], "") }).await;
    assert!(blob_from(&server, &described(&bytes), 4..4).await.expect("nothing").is_empty());
    let empty = Server::start(|_, _| reply(200, &[], "")).await;
    assert!(blob_from(&empty, &described(b""), 0..0).await.expect("the empty blob").is_empty());
    assert!(blob_from(&empty, &described(b"x"), 0..2).await.is_err());
}

#[tokio::test]
async fn tags_are_gathered_over_all_pages_and_sorted() {
    let server = Server::start(|seen, _| match seen.path.as_str() {
        "/v2/a/tags/list?n=1000" => reply(200, &[("link", "</v2/a/tags/list?n=1000&last=c>; rel=\"next\"")], r#"{"tags":["c","b"]}"#),
        "/v2/a/tags/list?n=1000&last=c" => reply(200, &[], r#"{"tags":["a","c","../../x"]}"#),
        "/v2/empty/tags/list?n=1000" => reply(200, &[], r#"{"tags":null}"#),
        _ => reply(200, &[], ""),
    })
    .await;
    let heard = Arc::new(Heard::default());
    let registry = Registry::new(Options { monitor: heard.clone(), ..options() });
    let tags = registry.tags(&server.repository("a")).await.expect("an answer");
    assert_eq!(tags.expect("a repository"), ["a", "b", "c"]);
    assert!(heard.warnings()[0].contains("1 of 4 are no tags"), "{:?}", heard.warnings());
    assert_eq!(registry.tags(&server.repository("empty")).await.expect("an answer"), Some(vec![]));
}

#[tokio::test]
async fn tags_without_end_are_an_error() {
    let server = Server::start(|_, before| {
        let next = format!("</v2/a/tags/list?last={before}>; rel=next");
        reply(200, &[("link", &next)], format!(r#"{{"tags":["t{before}"]}}"#))
    })
    .await;
    let error = registry().tags(&server.repository("a")).await.expect_err("endless").to_string();
    assert!(error.contains("more than 10000 pages"), "{error}");
    let server = Server::start(|_, _| reply(200, &[("link", "</v2/a/tags/list?n=1000>; rel=next")], r#"{"tags":["t"]}"#)).await;
    let error = registry().tags(&server.repository("a")).await.expect_err("a circle").to_string();
    assert!(error.contains("in a circle"), "{error}");
}
