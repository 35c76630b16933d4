//! Which places a name is read from, by rules as people write them.

use std::sync::Arc;

use super::standing::{By, Standings};
use super::{Place, Redirects, document};
use crate::error::Result;

/// Rules of one file.
fn redirects(text: &str) -> Redirects {
    let rules = document::read(text, "x.conf").expect("rules");
    Redirects { rules: Arc::new(rules.into_iter().map(|rule| (rule.prefix.clone(), rule)).collect()), mirrors_only: false }
}

/// The places of a name: `!` before one that is insecure, `-` before one that is blocked.
fn places(redirects: &Redirects, name: &str, by: By) -> Result<String> {
    let places = Standings::default().order(redirects.places(&name.parse().expect("a name"))?, by);
    let told = |place: Place| {
        let mark = if place.blocked.is_some() { "-" } else { "" };
        format!("{mark}{}{}", if place.insecure { "!" } else { "" }, place.at)
    };
    Ok(places.into_iter().map(told).collect::<Vec<_>>().join(" "))
}

const RULES: &str = r#"
    [[registry]]
    prefix = "quay.io"
    location = "internal.lab/quay"
    insecure = true
    [[registry.mirror]]
    location = "one.lab/q"
    [[registry.mirror]]
    location = "two.lab"
    insecure = true
    pull-from-mirror = "digest-only"
    [[registry.mirror]]
    location = "three.lab"
    pull-from-mirror = "tag-only"

    [[registry]]
    location = "quay.io/org"
    mirror-by-digest-only = true
    [[registry.mirror]]
    location = "org.lab/org"

    [[registry]]
    prefix = "*.example.com"
    [[registry.mirror]]
    location = "example.lab"

    [[registry]]
    location = "docker.io"
    blocked = true
    [[registry.mirror]]
    location = "hub.lab"

    [[registry]]
    location = "evil.test"
    blocked = true

    [[registry]]
    prefix = "short.test"
    location = "evil.test/short"

    [[registry]]
    prefix = "bad.test/one"
    location = "bad.lab"
"#;

#[test]
fn a_name_leads_to_its_mirrors_and_then_to_its_location() {
    let redirects = redirects(RULES);
    for (name, by_tag, by_digest) in [
        ("gcr.io/app", "gcr.io/app", "gcr.io/app"),
        ("quay.io/app", "one.lab/q/app three.lab/app !internal.lab/quay/app", "one.lab/q/app !two.lab/app !internal.lab/quay/app"),
        ("quay.io/org/app", "quay.io/org/app", "org.lab/org/app quay.io/org/app"),
        (
            "quay.io/organic/app",
            "one.lab/q/organic/app three.lab/organic/app !internal.lab/quay/organic/app",
            "one.lab/q/organic/app !two.lab/organic/app !internal.lab/quay/organic/app",
        ),
        ("a.b.example.com/app", "example.lab/app a.b.example.com/app", "example.lab/app a.b.example.com/app"),
        ("example.com/app", "example.com/app", "example.com/app"),
        ("nginx", "hub.lab/library/nginx -docker.io/library/nginx", "hub.lab/library/nginx -docker.io/library/nginx"),
        ("evil.test/app", "-evil.test/app", "-evil.test/app"),
        ("short.test/app", "-evil.test/short/app", "-evil.test/short/app"),
    ] {
        assert_eq!(places(&redirects, name, By::Tag).expect(name), by_tag);
        assert_eq!(places(&redirects, name, By::Digest).expect(name), by_digest);
    }
    let error = places(&redirects, "bad.test/one", By::Tag).expect_err("a location without a path");
    assert!(error.to_string().starts_with("bad.test/one by x.conf: "), "{error}");
}

#[test]
fn with_mirrors_only_a_name_is_never_its_own_place() {
    let redirects = redirects(RULES).mirrors_only(true);
    for (name, by_tag) in [
        ("quay.io/app", "one.lab/q/app three.lab/app !internal.lab/quay/app"),
        ("a.example.com/app", "example.lab/app"),
        ("nginx", "hub.lab/library/nginx"),
        ("quay.io/org/app", ""),
    ] {
        assert_eq!(places(&redirects, name, By::Tag).expect(name), by_tag);
    }
    let error = places(&redirects, "gcr.io/app", By::Tag).expect_err("no rule");
    assert_eq!(error.to_string(), "gcr.io/app: no mirror is known of it, and nothing but mirrors is asked");
    assert!(places(&Redirects::default().mirrors_only(true), "gcr.io/app", By::Tag).is_err());
}
