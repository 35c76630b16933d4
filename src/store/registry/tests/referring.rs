//! Referrers, by the API and by the fallback tag.

use super::*;
use crate::image::Source;
use crate::image::manifest::{OCI_INDEX, OCI_MANIFEST};
use crate::image::place::digest_tag;

fn entry(digest: &Digest) -> String {
    format!(r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{digest}","size":3,"artifactType":"application/x.sig","annotations":{{"k":"v"}}}}"#)
}

fn index(entries: &[String]) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, entries.join(","))
}

#[tokio::test]
async fn referrers_are_listed_over_all_pages() {
    let subject = Digest::of(b"subject");
    let server = Server::start(|seen, _| {
        let (first, second) = (Digest::of(b"1"), Digest::of(b"2"));
        match seen.path.contains("last=") {
            false if seen.path == "/v2/" => reply(200, &[], ""),
            false => {
                let link = format!("<{}?last=1>; rel=\"next\"", seen.path);
                reply(200, &[("content-type", OCI_INDEX), ("link", &link)], index(&[entry(&first)]))
            }
            true => reply(200, &[("content-type", OCI_INDEX)], index(&[entry(&first), entry(&second)])),
        }
    })
    .await;
    let found = registry().referrers(&server.repository("a"), &subject).await.expect("a list");
    let mut expected = [Digest::of(b"1"), Digest::of(b"2")];
    expected.sort_unstable();
    assert_eq!(found.iter().map(|entry| entry.digest).collect::<Vec<_>>(), expected);
    assert_eq!(found[0].artifact_type.as_deref(), Some("application/x.sig"));
    assert_eq!(found[0].annotation("k"), Some("v"));
}

#[tokio::test]
async fn a_refusal_is_never_no_referrers() {
    let subject = Digest::of(b"subject");
    for status in [401, 403, 500] {
        let at_api = Server::start(move |_, _| refused(status, "DENIED")).await;
        registry().referrers(&at_api.repository("a"), &subject).await.expect_err("the API refuses");
        let at_tag = Server::start(move |seen, _| match seen.path.contains("/referrers/") {
            true => refused(404, ""),
            false => refused(status, "DENIED"),
        })
        .await;
        registry().referrers(&at_tag.repository("a"), &subject).await.expect_err("the tag refuses");
    }
}

#[tokio::test]
async fn a_registry_without_the_api_is_asked_for_it_once_and_then_for_the_tag() {
    let subject = Digest::of(b"subject");
    let tag = format!("/v2/a/manifests/{}", digest_tag(&subject));
    for absent in ["404", "405", "a page for people"] {
        let tag = tag.clone();
        let server = Server::start(move |seen, _| match (seen.path.as_str(), absent.parse::<u16>()) {
            ("/v2/", _) => reply(200, &[], ""),
            (path, Ok(status)) if path.contains("/referrers/") => reply(status, &[], "404 page not found"),
            (path, Err(_)) if path.contains("/referrers/") => reply(200, &[("content-type", "text/html")], "<html>"),
            (path, _) if path == tag => reply(200, &[("content-type", OCI_INDEX)], index(&[entry(&Digest::of(b"1"))])),
            _ => refused(404, "MANIFEST_UNKNOWN"),
        })
        .await;
        let registry = registry();
        assert_eq!(registry.referrers(&server.repository("a"), &subject).await.expect("a list").len(), 1);
        assert_eq!(registry.referrers(&server.repository("a"), &Digest::of(b"another")).await.expect("a list").len(), 0);
        let asked = server.lines().iter().filter(|line| line.contains("/referrers/")).count();
        assert_eq!(asked, 1, "{absent}");
    }
}

#[tokio::test]
async fn an_image_under_the_fallback_tag_has_no_referrers_in_it() {
    let own = index(&[entry(&Digest::of(b"platform"))]);
    let single = r#"{"schemaVersion":2,"config":{"mediaType":"c","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}}"#;
    for (content, kind, subject) in
        [(own.clone(), OCI_INDEX, Digest::of(own.as_bytes())), (single.to_owned(), OCI_MANIFEST, Digest::of(b"x"))]
    {
        let server = Server::start(move |seen, _| match seen.path.contains("/referrers/") {
            true => refused(404, ""),
            false => reply(200, &[("content-type", kind)], content.clone()),
        })
        .await;
        assert!(registry().referrers(&server.repository("a"), &subject).await.expect("a list").is_empty());
    }
}
