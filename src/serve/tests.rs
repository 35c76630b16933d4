//! A server of an archive in memory, as clients see it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::lab::{Fault, Lab, Running, noise, options, spool};
use super::{AccessLog, Credentials, Limits, Options};
use crate::image::inside::{Ailment, Made};
use crate::image::manifest::{OCI_INDEX, OCI_MANIFEST};
use crate::image::{Descriptor, Digest};

const BLOB: &str = "/v2/quay.io/org/app/blobs";

/// An archive with an image of one stored and one replayed layer, its referrers, and an image of another repository.
struct Given {
    lab: Lab,
    stored: Digest,
    replayed: Digest,
    other: Digest,
    root: Descriptor,
    signature: Descriptor,
}

fn given() -> Given {
    let mut lab = Lab::default();
    let stored = lab.blob(noise(1, 700_001), Made::Stored);
    let replayed = lab.blob(noise(2, 900_000), Made::Replayed);
    let other = lab.blob(noise(3, 1000), Made::Stored);
    let root = lab.image(&[stored, replayed], json!({}));
    let subject = json!({ "mediaType": root.media_type, "digest": root.digest, "size": root.size });
    let signature = lab.image(&[], json!({ "artifactType": "application/x.sig", "subject": subject, "annotations": { "a": "b" } }));
    let plain = lab.image(&[], json!({ "subject": subject }));
    lab.name("quay.io/org/app:1", &root, &[signature.clone(), plain]);
    let (name, far) = (format!("ghcr.io/far/away@{}", root.digest), lab.image(&[other], json!({ "annotations": {} })));
    lab.name(&name, &root, &[]);
    let index = lab.index(std::slice::from_ref(&far));
    lab.name("ghcr.io/far/other:1", &index, &[]);
    Given { lab, stored, replayed, other, root, signature }
}

fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_are_sent_as_they_are_stored() {
    let Given { lab, root, .. } = given();
    let bytes = lab.bytes(&root.digest);
    let server = Running::start(Arc::new(lab), options()).await;
    let hex = root.digest.hex();
    for (path, immutable) in [
        ("/v2/quay.io/org/app/manifests/1".to_owned(), false),
        ("/v2/org/app/manifests/1?ns=quay.io".to_owned(), false),
        (format!("/v2/org/app/manifests/{}", root.digest), true),
        (format!("/v2/far/away/manifests/sha256-{hex}"), false),
        (format!("/v2/far/away/manifests/{}", root.digest), true),
    ] {
        for method in [reqwest::Method::GET, reqwest::Method::HEAD] {
            let request = server.client.request(method.clone(), server.url(&path)).header("accept", "application/x.other");
            let response = request.send().await.expect("an answer");
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(header(&response, "content-type"), OCI_MANIFEST);
            assert_eq!(header(&response, "content-length"), bytes.len().to_string());
            assert_eq!(header(&response, "docker-content-digest"), root.digest.to_string());
            assert_eq!(header(&response, "docker-distribution-api-version"), "registry/2.0");
            assert_eq!(header(&response, "cache-control").contains("immutable"), immutable, "{path}");
            let body = response.bytes().await.expect("a body");
            assert_eq!(body, if method == reqwest::Method::GET { bytes.clone() } else { "".into() });
        }
        let tag = format!("W/\"x\", \"{}\"", root.digest);
        let unmodified = server.client.get(server.url(&path)).header("if-none-match", tag).send().await.expect("an answer");
        assert_eq!((unmodified.status().as_u16(), header(&unmodified, "etag")), (304, format!("\"{}\"", root.digest).as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_sent_whole_and_in_ranges() {
    let Given { lab, stored, replayed, .. } = given();
    let lab = Arc::new(lab);
    for with_spool in [false, true] {
        let made = Options { spool: if with_spool { spool(1 << 30) } else { None }, ..options() };
        let server = Running::start(lab.clone(), made).await;
        for digest in [stored, replayed, replayed] {
            let (path, bytes) = (format!("{BLOB}/{digest}"), lab.bytes(&digest));
            let size = bytes.len();
            let whole = server.get(&path).await;
            assert_eq!((whole.status().as_u16(), header(&whole, "accept-ranges")), (200, "bytes"));
            assert_eq!(header(&whole, "content-length"), size.to_string());
            assert_eq!(header(&whole, "docker-content-digest"), digest.to_string());
            assert!(whole.bytes().await.expect("a body") == bytes);
            for (range, start, end) in
                [("bytes=0-0", 0, 1), ("bytes=300000-600000", 300_000, 600_001), ("bytes=-5", size - 5, size), ("bytes=0-", 0, size)]
            {
                let part = server.range(&path, range).await;
                assert_eq!(part.status(), 206);
                assert_eq!(header(&part, "content-range"), format!("bytes {start}-{}/{size}", end - 1));
                assert!(part.bytes().await.expect("a body") == bytes.slice(start..end), "{range}");
            }
            let beyond = server.range(&path, &format!("bytes={size}-")).await;
            assert_eq!((beyond.status().as_u16(), header(&beyond, "content-range")), (416, format!("bytes */{size}").as_str()));
            assert_eq!(server.range(&path, "bytes=0-9,5-20").await.status(), 400);
            assert_eq!(server.range(&path, "lines=0-9").await.status(), 200);
            let other = server.client.get(server.url(&path)).header("range", "bytes=0-9").header("if-range", "\"other\"");
            assert_eq!(other.send().await.expect("an answer").status(), 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_ranges_are_one_multipart_answer() {
    let Given { lab, stored, .. } = given();
    let bytes = lab.bytes(&stored);
    let server = Running::start(Arc::new(lab), options()).await;
    let answer = server.range(&format!("{BLOB}/{stored}"), "bytes=400000-400009,0-1,700000-").await;
    assert_eq!(answer.status(), 206);
    let kind = header(&answer, "content-type").to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("multipart");
    let length: usize = header(&answer, "content-length").parse().expect("a length");
    let body = answer.bytes().await.expect("a body");
    assert_eq!(body.len(), length);
    let mut expected = Vec::new();
    for (start, end) in [(400_000, 400_010), (0, 2), (700_000, 700_001)] {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {start}-{}/700001\r\n\r\n",
            end - 1
        );
        expected.extend(head.into_bytes());
        expected.extend(&bytes[start..end]);
    }
    expected.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
    assert!(body == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_check_is_cut_and_never_ends_well() {
    let Given { lab, stored, replayed, .. } = given();
    let lab = Arc::new(lab);
    for with_spool in [false, true] {
        let made = Options { spool: if with_spool { spool(1 << 30) } else { None }, ..options() };
        let server = Running::start(lab.clone(), made).await;
        for digest in [stored, replayed] {
            let path = format!("{BLOB}/{digest}");
            for fault in [Fault::Flipped(3), Fault::Flipped(699_000), Fault::Broken(400_000)] {
                lab.fault(digest, Some(fault));
                for range in ["", "bytes=0-"] {
                    let answer = if range.is_empty() { server.get(&path).await } else { server.range(&path, range).await };
                    assert!(answer.status().is_success());
                    assert!(answer.bytes().await.is_err(), "{digest} {range}");
                }
            }
            lab.fault(digest, None);
            assert!(server.get(&path).await.bytes().await.expect("sound again") == lab.bytes(&digest));
        }
        let text = server.get("/metrics").await.text().await.expect("text");
        assert!(text.contains("ocm_cut_total 12\n"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_of_a_replayed_blob_cost_one_replay() {
    let Given { lab, replayed, .. } = given();
    let lab = Arc::new(lab);
    lab.fault(replayed, Some(Fault::Slow(Duration::from_millis(5))));
    let server = Arc::new(Running::start(lab.clone(), Options { spool: spool(1 << 20), ..options() }).await);
    let size = lab.bytes(&replayed).len() as u64;
    let pulls = (0..40).map(|_| {
        let server = server.clone();
        tokio::spawn(async move { server.get(&format!("{BLOB}/{replayed}")).await.bytes().await.expect("a body") })
    });
    for pull in pulls.collect::<Vec<_>>() {
        assert!(pull.await.expect("a pull") == lab.bytes(&replayed));
    }
    assert_eq!(lab.bytes_read(&replayed), size);
    assert!(lab.most_reading.load(Ordering::SeqCst) <= 4);
    server.range(&format!("{BLOB}/{replayed}"), "bytes=5-9").await.bytes().await.expect("a body");
    assert_eq!(lab.bytes_read(&replayed), size, "a range comes from the copy");
    let text = server.get("/metrics").await.text().await.expect("text");
    assert!(text.contains("ocm_replays_total 1\n") && text.contains(&format!("ocm_spool_bytes {size}\n")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_without_room_lets_go_of_the_oldest_or_is_passed_by() {
    let mut lab = Lab::default();
    let layers: Vec<Digest> = (0..3).map(|n| lab.blob(noise(n, 400_000), Made::Replayed)).collect();
    let large = lab.blob(noise(9, 1_200_000), Made::Replayed);
    let root = lab.image(&[&layers[..], &[large]].concat(), json!({}));
    lab.name("quay.io/org/app:1", &root, &[]);
    let lab = Arc::new(lab);
    let server = Running::start(lab.clone(), Options { spool: spool(1_000_000), ..options() }).await;
    for digest in [layers[0], layers[1], layers[0], layers[2], layers[0], large, layers[1]] {
        assert!(server.get(&format!("{BLOB}/{digest}")).await.bytes().await.expect("a body") == lab.bytes(&digest));
    }
    let read: Vec<u64> = layers.iter().chain([&large]).map(|digest| lab.bytes_read(digest)).collect();
    assert_eq!(read, [400_000, 800_000, 400_000, 1_200_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_nobody_waits_for_is_given_up() {
    let mut lab = Lab::default();
    let large = lab.blob(noise(9, 20_000_000), Made::Replayed);
    let root = lab.image(&[large], json!({}));
    lab.name("quay.io/org/app:1", &root, &[]);
    let lab = Arc::new(lab);
    lab.fault(large, Some(Fault::Slow(Duration::from_millis(2))));
    let server = Running::start(lab.clone(), Options { spool: spool(1 << 30), ..options() }).await;
    drop(server.get(&format!("{BLOB}/{large}")).await);
    tokio::time::timeout(Duration::from_secs(20), async {
        while !server.get("/metrics").await.text().await.expect("text").contains("ocm_spool_bytes 0\n") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it is given up");
    assert!(lab.bytes_read(&large) < 20_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let mut lab = Lab::default();
    let root = lab.image(&[], json!({}));
    ["b:2", "b:1", "b:10", "a:x", "c:x"].iter().for_each(|name| lab.name(&format!("quay.io/{name}"), &root, &[]));
    let server = Running::start(Arc::new(lab), options()).await;
    assert_eq!(server.json("/v2/quay.io/b/tags/list").await, json!({ "name": "quay.io/b", "tags": ["1", "10", "2"] }));
    let page = server.get("/v2/b/tags/list?n=2").await;
    assert_eq!(header(&page, "link"), "</v2/b/tags/list?n=2&last=10>; rel=\"next\"");
    assert_eq!(server.json("/v2/b/tags/list?n=2&last=10").await["tags"], json!(["2"]));
    let none = server.get("/v2/b/tags/list?n=0").await;
    assert_eq!(header(&none, "link"), "");
    assert_eq!(none.text().await.expect("text"), r#"{"name":"b","tags":[]}"#);
    let catalog = server.get("/v2/_catalog?n=1&last=quay.io/a").await;
    assert_eq!(header(&catalog, "link"), "</v2/_catalog?n=1&last=quay.io%2Fb>; rel=\"next\"");
    assert_eq!(catalog.text().await.expect("text"), r#"{"repositories":["quay.io/b"]}"#);
    assert_eq!(server.get("/v2/b/tags/list?n=x").await.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_are_listed_with_their_types_and_filtered() {
    let Given { lab, root, signature, .. } = given();
    let server = Running::start(Arc::new(lab), options()).await;
    let path = format!("/v2/quay.io/org/app/referrers/{}", root.digest);
    let all = server.json(&path).await;
    assert_eq!((&all["schemaVersion"], &all["mediaType"]), (&json!(2), &json!(OCI_INDEX)));
    let kinds: BTreeMap<String, String> = all["manifests"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["digest"].as_str().expect("a digest").to_owned(), one["artifactType"].as_str().expect("a type").to_owned()))
        .collect();
    let own = signature.digest.to_string();
    assert_eq!(kinds.len(), 2);
    assert_eq!(kinds[&own], "application/x.sig");
    assert!(kinds.values().any(|kind| kind == "application/vnd.oci.image.config.v1+json"), "the config's type stands in");
    let filtered = server.get(&format!("{path}?artifactType=application%2Fx.sig")).await;
    assert_eq!((header(&filtered, "oci-filters-applied"), header(&filtered, "content-type")), ("artifactType", OCI_INDEX));
    let filtered: serde_json::Value = serde_json::from_slice(&filtered.bytes().await.expect("a body")).expect("json");
    assert_eq!(filtered["manifests"].as_array().map(Vec::len), Some(1));
    assert_eq!(filtered["manifests"][0]["annotations"], json!({ "a": "b" }));
    for path in [format!("/v2/quay.io/org/app/referrers/{}", Digest::of(b"unknown")), format!("/v2/no/where/referrers/{}", root.digest)] {
        let none = server.get(&path).await;
        assert_eq!(none.status(), 200);
        assert!(none.text().await.expect("text").contains(r#""manifests":[]"#));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_codes_of_the_specification() {
    let Given { lab, stored, other, .. } = given();
    let server = Running::start(Arc::new(lab), options()).await;
    let unknown = Digest::of(b"unknown");
    for (path, status, code) in [
        ("/v2/quay.io/org/app/manifests/2".to_owned(), 404, "MANIFEST_UNKNOWN"),
        (format!("/v2/quay.io/org/app/manifests/{unknown}"), 404, "MANIFEST_UNKNOWN"),
        (format!("/v2/quay.io/org/app/manifests/{other}"), 404, "MANIFEST_UNKNOWN"),
        (format!("{BLOB}/{unknown}"), 404, "BLOB_UNKNOWN"),
        (format!("{BLOB}/{other}"), 404, "BLOB_UNKNOWN"),
        (format!("/v2/ghcr.io/far/other/blobs/{stored}"), 404, "BLOB_UNKNOWN"),
        (format!("/v2/no/where/blobs/{stored}"), 404, "NAME_UNKNOWN"),
        ("/v2/no/where/tags/list".to_owned(), 404, "NAME_UNKNOWN"),
        ("/v2/No/tags/list".to_owned(), 400, "NAME_INVALID"),
        (format!("{BLOB}/sha256:12"), 400, "DIGEST_INVALID"),
        ("/elsewhere".to_owned(), 404, "UNSUPPORTED"),
    ] {
        let answer = server.get(&path).await;
        assert_eq!(answer.status(), status, "{path}");
        let document: serde_json::Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("json");
        assert_eq!(document["errors"][0]["code"], code, "{path}");
    }
    let there = server.get(&format!("/v2/ghcr.io/far/other/blobs/{other}")).await;
    assert_eq!(there.status(), 200, "a blob below an index belongs to the repository");
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = server.client.request(method, server.url("/v2/quay.io/org/app/blobs/uploads/")).body("x").send().await;
        let answer = answer.expect("an answer");
        assert_eq!((answer.status().as_u16(), header(&answer, "allow")), (405, "GET, HEAD"));
        assert!(answer.text().await.expect("text").contains("UNSUPPORTED"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sha512_digests_are_digests_too() {
    use sha2::Digest as _;
    let mut lab = Lab::default();
    let bytes = noise(5, 100_000);
    let digest = Digest::Sha512(sha2::Sha512::digest(&bytes).into());
    lab.blob_as(digest, bytes.clone());
    let root = lab.image(&[digest], json!({}));
    lab.name("quay.io/org/app:1", &root, &[]);
    let server = Running::start(Arc::new(lab), options()).await;
    assert!(server.get(&format!("{BLOB}/{digest}")).await.bytes().await.expect("a body") == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_hurts_what_it_hurts_and_nothing_else() {
    let Given { lab, stored, signature, root, .. } = given();
    let lab = Arc::new(lab);
    lab.fault(signature.digest, Some(Fault::Broken(0)));
    lab.ailments.lock().expect("ailments").push(Ailment { what: "volume 1".into(), why: "bad".into(), damaged: true });
    let server = Running::start(lab.clone(), options()).await;
    let hurt = server.get(&format!("/v2/quay.io/org/app/manifests/{}", signature.digest)).await;
    assert_eq!(hurt.status(), 500);
    assert!(!hurt.text().await.expect("text").contains("secret"), "places are for the log");
    assert_eq!(server.get(&format!("{BLOB}/{stored}")).await.status(), 200);
    let referrers = server.json(&format!("/v2/quay.io/org/app/referrers/{}", root.digest)).await;
    assert_eq!(referrers["manifests"].as_array().map(Vec::len), Some(1));
    let health = server.get("/healthz").await;
    assert_eq!(health.status(), 503);
    assert!(health.text().await.expect("text").contains("damaged: volume 1: bad"));
    lab.ailments.lock().expect("ailments").clear();
    assert_eq!(server.get("/healthz").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_can_change_under_way() {
    let Given { lab, stored, .. } = given();
    let (bytes, lab) = (lab.bytes(&stored), Arc::new(lab));
    lab.fault(stored, Some(Fault::Slow(Duration::from_millis(20))));
    let server = Running::start(lab, options()).await;
    let under_way = server.get(&format!("{BLOB}/{stored}")).await;
    let mut next = Lab::default();
    let root = next.image(&[], json!({}));
    next.name("quay.io/new:1", &root, &[]);
    server.current.show(Arc::new(next));
    assert_eq!(server.get("/v2/quay.io/org/app/manifests/1").await.status(), 404);
    assert_eq!(server.get("/v2/new/manifests/1").await.status(), 200);
    assert!(under_way.bytes().await.expect("as it began") == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_waits_for_answers_that_are_under_way_and_for_nothing_else() {
    let Given { lab, stored, .. } = given();
    let lab = Arc::new(lab);
    lab.fault(stored, Some(Fault::Slow(Duration::from_millis(20))));
    let limits = Limits { farewell: Duration::from_secs(20), ..options().limits };
    let server = Running::start(lab.clone(), Options { limits, ..options() }).await;
    let idle = tokio::net::TcpStream::connect(server.address).await.expect("a connection");
    let under_way = server.get(&format!("{BLOB}/{stored}")).await;
    let begun = std::time::Instant::now();
    let (body, ()) = tokio::join!(under_way.bytes(), server.end());
    assert!(body.expect("a whole body") == lab.bytes(&stored));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_in_the_file_is_let_in() {
    const HTPASSWD: &str = "tester:$2y$05$D8jIOossE21Z80pMU/VZdeBCp.wFy.rcJJJPYnSwbC8tHV/3qv3A6\n";
    let Given { lab, .. } = given();
    lab.ailments.lock().expect("ailments").push(Ailment { what: "volume 7".into(), why: "bad".into(), damaged: true });
    let credentials = Credentials::parse(HTPASSWD, "users").ok();
    let server = Running::start(Arc::new(lab), Options { credentials, ..options() }).await;
    for path in ["/v2/", "/v2/_catalog", "/metrics", "/v2/quay.io/org/app/manifests/1", "/nowhere"] {
        let stranger = server.get(path).await;
        assert_eq!((stranger.status().as_u16(), header(&stranger, "www-authenticate")), (401, "Basic realm=\"ocm\""), "{path}");
        assert!(stranger.text().await.expect("text").contains("UNAUTHORIZED"));
        let wrong = server.client.get(server.url(path)).basic_auth("tester", Some("x")).send().await.expect("an answer");
        assert_eq!(wrong.status(), 401);
        let known = server.client.get(server.url(path)).basic_auth("tester", Some("open-sesame")).send().await.expect("an answer");
        assert_ne!(known.status(), 401, "{path}");
    }
    let health = server.get("/healthz").await;
    assert_eq!(health.status(), 503);
    assert_eq!(health.text().await.expect("text"), "damaged\n", "what is damaged is for those who are let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_a_line_of_the_log_and_a_cut_one_says_so() {
    let Given { lab, stored, .. } = given();
    lab.fault(stored, Some(Fault::Flipped(0)));
    let written = Written::default();
    let server = Running::start(Arc::new(lab), Options { log: Some(AccessLog::new(written.clone())), ..options() }).await;
    server.get("/v2/").await;
    assert!(server.get(&format!("{BLOB}/{stored}")).await.bytes().await.is_err());
    server.end().await;
    let lines = tokio::time::timeout(Duration::from_secs(10), async {
        while written.lines().len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        written.lines()
    });
    let lines = lines.await.expect("two lines");
    assert!(lines[0].contains(r#" - "GET /v2/" 200 2 "#), "{lines:?}");
    assert!(lines[1].contains("\" 200 ") && lines[1].ends_with(" cut"), "{lines:?}");
}

/// What a log was written to.
#[derive(Clone, Default)]
struct Written(Arc<std::sync::Mutex<Vec<u8>>>);

impl Written {
    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.lock().expect("text")).lines().map(str::to_owned).collect()
    }
}

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("text").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
