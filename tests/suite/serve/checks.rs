//! What the official checks of a read-only registry ask, and the bodies that they do not look at.

use ocm::image::Digest;
use serde_json::{Value, json};

use super::{archive_of_all_kinds, client, header};
use crate::support::layers::Random;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[tokio::test(flavor = "multi_thread")]
async fn every_manifest_and_blob_is_what_the_layout_has() {
    let (home, layout, kinds) = archive_of_all_kinds(&[]);
    let served = home.serve(&[&home.path("disk")]);
    assert_eq!(served.get("/v2/").await.status(), 200);
    let catalog = served.json("/v2/_catalog").await;
    let name = catalog["repositories"][0].as_str().expect("a repository").to_owned();
    let tags = served.json(&format!("/v2/{name}/tags/list")).await;
    for (kind, root) in &kinds {
        assert!(tags["tags"].as_array().expect("tags").contains(&json!(kind)), "{kind}: {tags}");
        for reference in [kind.as_str(), &root.digest.to_string()] {
            let url = served.url(&format!("/v2/{name}/manifests/{reference}"));
            for head in [true, false] {
                let request = if head { client().head(&url) } else { client().get(&url) };
                let answer =
                    request.header("accept", "application/vnd.docker.distribution.manifest.v1+json").send().await.expect("an answer");
                assert_eq!(answer.status(), 200, "{kind}");
                assert_eq!(header(&answer, "content-type"), root.media_type, "{kind}");
                assert_eq!(header(&answer, "content-length"), root.size.to_string());
                assert_eq!(header(&answer, "docker-content-digest"), root.digest.to_string());
                let body = answer.bytes().await.expect("a body");
                assert!(body == if head { Vec::new() } else { layout.read(&root.digest) }, "{kind}");
            }
        }
    }
    for digest in layout.digests() {
        let bytes = layout.read(&digest);
        let url = served.url(&format!("/v2/{name}/blobs/{digest}"));
        let head = client().head(&url).send().await.expect("an answer");
        assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, bytes.len().to_string().as_str()), "{digest}");
        assert_eq!(header(&head, "docker-content-digest"), digest.to_string());
        for _ in 0..2 {
            let got = client().get(&url).send().await.expect("an answer").bytes().await.expect("a body");
            assert!(got == bytes, "{digest}");
        }
    }
    assert_eq!(served.end(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_would_write_is_refused_as_the_specification_says() {
    let (home, _, _) = archive_of_all_kinds(&[]);
    let served = home.serve(&[&home.path("disk")]);
    let name = served.json("/v2/_catalog").await["repositories"][0].as_str().expect("a name").to_owned();
    let unknown = Digest::of(b"unknown");
    for (path, statuses, code) in [
        (format!("/v2/{name}/manifests/none"), [404, 404], "MANIFEST_UNKNOWN"),
        (format!("/v2/{name}/manifests/{unknown}"), [404, 404], "MANIFEST_UNKNOWN"),
        (format!("/v2/{name}/manifests/sha256:totallywrong"), [404, 400], "DIGEST_INVALID"),
        (format!("/v2/{name}/blobs/{unknown}"), [404, 404], "BLOB_UNKNOWN"),
        (format!("/v2/{name}/blobs/sha256:totallywrong"), [404, 400], "DIGEST_INVALID"),
        ("/v2/no/where/tags/list".to_owned(), [404, 404], "NAME_UNKNOWN"),
    ] {
        let answer = served.get(&path).await;
        assert!(statuses.contains(&answer.status().as_u16()), "{path}: {}", answer.status());
        let document: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("json");
        assert_eq!(document["errors"][0]["code"], code);
    }
    for (method, path) in [
        ("POST", format!("/v2/{name}/blobs/uploads/")),
        ("PUT", format!("/v2/{name}/manifests/x")),
        ("DELETE", format!("/v2/{name}/manifests/x")),
        ("DELETE", format!("/v2/{name}/blobs/{unknown}")),
        ("PATCH", format!("/v2/{name}/blobs/uploads/1")),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = client().request(method, served.url(&path)).body("{}").send().await.expect("an answer");
        assert_eq!(answer.status(), 405, "{path}");
        assert!(answer.text().await.expect("text").contains("UNSUPPORTED"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_referrers_are_listed_as_the_specification_says() {
    let (home, _, kinds) = archive_of_all_kinds(&[]);
    let served = home.serve(&[&home.path("disk")]);
    let name = served.json("/v2/_catalog").await["repositories"][0].as_str().expect("a name").to_owned();
    let all = served.json(&format!("/v2/{name}/tags/list")).await["tags"].as_array().expect("tags").clone();
    let mut paged = Vec::new();
    let mut path = format!("/v2/{name}/tags/list?n=3");
    loop {
        let page = served.get(&path).await;
        let next = header(&page, "link").strip_prefix('<').and_then(|rest| rest.split_once('>')).map(|(next, _)| next.to_owned());
        let tags: Value = serde_json::from_slice(&page.bytes().await.expect("a body")).expect("json");
        paged.extend(tags["tags"].as_array().expect("tags").clone());
        let Some(next) = next else { break };
        path = next;
    }
    assert_eq!(paged, all);
    assert!(all.is_sorted_by_key(|tag| tag.as_str()));
    let index = kinds.iter().find(|(kind, _)| kind == "index").map(|(_, root)| root.digest).expect("an index");
    let path = format!("/v2/{name}/referrers/{index}");
    for (query, count, applied) in
        [("", 1, ""), ("?artifactType=application/x.sig", 1, "artifactType"), ("?artifactType=application/other", 0, "artifactType")]
    {
        let answer = served.get(&format!("{path}{query}")).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, INDEX));
        assert_eq!(header(&answer, "oci-filters-applied"), applied);
        let document: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("json");
        assert_eq!((&document["schemaVersion"], &document["mediaType"]), (&json!(2), &json!(INDEX)));
        assert_eq!(document["manifests"].as_array().map(Vec::len), Some(count), "{query}");
        if count > 0 {
            assert_eq!(document["manifests"][0]["artifactType"], "application/x.sig");
        }
    }
    let unknown = served.json(&format!("/v2/{name}/referrers/{}", Digest::of(b"unknown"))).await;
    assert_eq!(unknown["manifests"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn random_ranges_are_what_the_blobs_have_there() {
    for options in [&["--gzip", "auto"][..], &["--gzip", "keep", "--small"]] {
        let (home, layout, _) = archive_of_all_kinds(options);
        let served = home.serve(&[&home.path("disk"), "--spool-size", if options.len() > 2 { "0" } else { "1GiB" }]);
        let name = served.json("/v2/_catalog").await["repositories"][0].as_str().expect("a name").to_owned();
        let blobs: Vec<Digest> = layout.digests().into_iter().filter(|digest| layout.read(digest).len() > 50_000).collect();
        let (mut random, client) = (Random::new(7), client());
        for _ in 0..150 {
            let digest = blobs[random.below(blobs.len() as u64) as usize];
            let bytes = layout.read(&digest);
            let start = random.below(bytes.len() as u64) as usize;
            let most = if random.below(3) == 0 { bytes.len() } else { 5_000 };
            let end = (start + 1 + random.below(most as u64) as usize).min(bytes.len());
            let asked = client.get(served.url(&format!("/v2/{name}/blobs/{digest}"))).header("range", format!("bytes={start}-{}", end - 1));
            let answer = asked.send().await.expect("an answer");
            assert_eq!(answer.status(), 206);
            assert_eq!(header(&answer, "content-range"), format!("bytes {start}-{}/{}", end - 1, bytes.len()));
            assert!(answer.bytes().await.expect("a body") == bytes[start..end], "{digest} {start}..{end}");
        }
    }
}
