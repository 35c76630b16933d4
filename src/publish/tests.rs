//! What is published of receipts, as text and as what a cluster makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use serde_yaml::Value;

use super::*;
use crate::image::receipt::Received;
use crate::image::{Digest, Reference, Role};

const REG: &str = "reg.lab:5000";

/// An item of a receipt. `@` at the end of an origin is the digest that the destination has.
fn item(role: Role, origin: &str, name: &str) -> Received {
    let digest = Digest::of(b"root");
    let origin: Reference = origin.replace('@', &format!("@{digest}")).parse().expect(origin);
    Received { origin, name: name.parse().expect(name), digest, role, set: None }
}

fn receipt(items: Vec<Received>) -> Receipt {
    let (destination, time) = (format!("docker://{REG}"), "2026-11-21T10:00:00Z".to_owned());
    Receipt { destination, time, items, manifests: vec![], blobs: vec![] }
}

/// The documents of these items, by file name.
fn published(items: Vec<Received>, options: &Options) -> BTreeMap<&'static str, String> {
    documents(&[receipt(items)], options).expect("documents").files.into_iter().collect()
}

/// The sources and mirrors of each document, and its kind and name.
fn read(text: &str) -> BTreeMap<(String, String), BTreeMap<String, BTreeSet<String>>> {
    let string = |value: &Value| value.as_str().expect("a string").to_owned();
    let entry = |entry: &Value| {
        let mirrors = entry["mirrors"].as_sequence().expect("mirrors").iter().map(string).collect();
        (string(&entry["source"]), mirrors)
    };
    let mut sets = BTreeMap::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let document: Value = serde::Deserialize::deserialize(document).expect("yaml");
        assert_eq!(document["apiVersion"], "config.openshift.io/v1");
        let list = if document["kind"] == "ImageDigestMirrorSet" { "imageDigestMirrors" } else { "imageTagMirrors" };
        let entries = document["spec"][list].as_sequence().expect(list).iter().map(entry).collect();
        sets.insert((string(&document["kind"]), string(&document["metadata"]["name"])), entries);
    }
    sets
}

/// Where a node looks for `image`, a repository asked for by digest or by tag: all documents are one to it, and the
/// longest source counts.
fn looked_for(files: &BTreeMap<&str, String>, by: By, image: &str) -> BTreeSet<String> {
    let mut rules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in files.iter().filter(|(file, _)| **file != REGISTRIES_FILE) {
        for (source, mirrors) in read(text).into_values().flatten() {
            let there = rules.entry(source).or_default();
            there.extend(mirrors.into_iter().filter(|_| (*file == IDMS_FILE) == (by == By::Digest)));
        }
    }
    let below = |source: &&String| image == source.as_str() || image.starts_with(&format!("{source}/"));
    let Some(source) = rules.keys().filter(below).max_by_key(|source| source.len()) else { return BTreeSet::new() };
    rules[source].iter().map(|mirror| format!("{mirror}{}", &image[source.len()..])).collect()
}

fn some_of_each() -> Vec<Received> {
    vec![
        item(
            Role::Release,
            "quay.io/openshift-release-dev/ocp-release:4.20.1-x86_64",
            "reg.lab:5000/openshift/release-images:4.20.1-x86_64",
        ),
        item(Role::Component, "quay.io/openshift-release-dev/ocp-v4.0-art-dev@", "reg.lab:5000/openshift/release:4.20.1-x86_64-etcd"),
        item(Role::Bundle, "registry.redhat.io/rhacm2/acm-operator-bundle@", "reg.lab:5000/rhacm2/acm-operator-bundle:sha256-00"),
        item(Role::Related, "registry.redhat.io/rhacm2/console:v2@", "reg.lab:5000/rhacm2/console:v2"),
        item(Role::Image, "registry.redhat.io/ubi9/ubi:latest", "reg.lab:5000/ubi9/ubi:latest"),
        item(Role::Catalog, "registry.redhat.io/redhat/redhat-operator-index:v4.20", "reg.lab:5000/redhat/redhat-operator-index:v4.20"),
        item(Role::Graph, "localhost/openshift/graph-image:latest", "reg.lab:5000/openshift/graph-image:latest"),
        item(Role::Signature, "localhost/signatures:a", "reg.lab:5000/signatures:a"),
    ]
}

#[test]
fn documents_have_the_names_of_oc_mirror_and_stand_in_order() {
    let files = published(some_of_each(), &Options::default());
    let expected = "\
---
apiVersion: config.openshift.io/v1
kind: ImageDigestMirrorSet
metadata:
  annotations:
    createdBy: ocm
  name: idms-release-0
spec:
  imageDigestMirrors:
  - mirrors:
    - reg.lab:5000/openshift/release-images
    source: quay.io/openshift-release-dev/ocp-release
  - mirrors:
    - reg.lab:5000/openshift/release
    source: quay.io/openshift-release-dev/ocp-v4.0-art-dev
---
apiVersion: config.openshift.io/v1
kind: ImageDigestMirrorSet
metadata:
  annotations:
    createdBy: ocm
  name: idms-operator-0
spec:
  imageDigestMirrors:
  - mirrors:
    - reg.lab:5000/rhacm2
    source: registry.redhat.io/rhacm2
";
    assert_eq!(files[IDMS_FILE], expected);
    let names: Vec<String> = read(&files[ITMS_FILE]).into_keys().map(|(_, name)| name).collect();
    assert_eq!(names, ["itms-generic-0", "itms-operator-0", "itms-release-0"]);
    assert!(!files[ITMS_FILE].contains("ocp-v4.0-art-dev"), "nobody asks for a component by tag");
    assert!(!files[ITMS_FILE].contains("redhat-operator-index") && !files[ITMS_FILE].contains("graph"), "{}", files[ITMS_FILE]);
}

#[test]
fn the_order_of_receipts_makes_no_difference() {
    let (mut one, other): (Vec<_>, Vec<_>) = some_of_each().into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
    let items = |list: &[(usize, Received)]| receipt(list.iter().map(|(_, item)| item.clone()).collect());
    let whole = documents(&[items(&one), items(&other)], &Options::default()).expect("documents");
    one.reverse();
    let turned = documents(&[items(&other), items(&one), items(&other)], &Options::default()).expect("documents");
    assert_eq!(whole, turned);
}

#[test]
fn a_tag_with_a_digest_is_asked_for_by_both() {
    let files = published(vec![item(Role::Image, "quay.io/org/app:1@", "reg.lab:5000/org/app:1")], &Options::default());
    for by in [By::Digest, By::Tag] {
        assert_eq!(looked_for(&files, by, "quay.io/org/app"), ["reg.lab:5000/org/app".to_owned()].into(), "{by:?}");
    }
    let files = published(vec![item(Role::Image, "quay.io/org/app", "reg.lab:5000/org/app:latest")], &Options::default());
    assert_eq!(files.keys().copied().collect::<Vec<_>>(), [ITMS_FILE, REGISTRIES_FILE], "no tag means latest");
}

#[test]
fn entries_are_for_a_namespace_only_where_that_leads_to_the_real_name() {
    let source = |origin: &str, name: &str, mirror_scope| {
        let options = Options { mirror_scope, ..Options::default() };
        let files = published(vec![item(Role::Image, &format!("{origin}@"), &format!("reg.lab:5000/{name}:x"))], &options);
        let (source, mirrors) = read(&files[IDMS_FILE]).into_values().flatten().next().expect("an entry");
        format!("{source} -> {}", mirrors.into_iter().collect::<String>())
    };
    for (origin, name, expected) in [
        ("quay.io/org/app", "org/app", "quay.io/org -> reg.lab:5000/org"),
        ("quay.io/a/b/c", "mirror/a/b/c", "quay.io/a/b -> reg.lab:5000/mirror/a/b"),
        ("quay.io/org/app", "m/quay.io/org/app", "quay.io/org -> reg.lab:5000/m/quay.io/org"),
        ("quay.io/org/app", "other", "quay.io/org/app -> reg.lab:5000/other"),
        ("quay.io/org/app", "team/app", "quay.io/org/app -> reg.lab:5000/team/app"),
        ("quay.io/ubi/x", "ns/my-ubi/x", "quay.io/ubi/x -> reg.lab:5000/ns/my-ubi/x"),
        ("quay.io/app", "mirror/app", "quay.io/app -> reg.lab:5000/mirror/app"),
    ] {
        assert_eq!(source(origin, name, MirrorScope::Namespace), expected);
        assert_eq!(source(origin, name, MirrorScope::Repository), format!("{origin} -> reg.lab:5000/{name}"));
    }
}

#[test]
fn no_rule_hides_what_another_leads_to() {
    let cases: [&[(&str, &str)]; 5] = [
        // One repository at two places, one of which has no rule for its namespace.
        &[("quay.io/org/app:1", "org/app:1"), ("quay.io/org/app:2", "other/app:2")],
        // A repository that is also a namespace, and goes elsewhere.
        &[("quay.io/a/b@", "one/a/b:x"), ("quay.io/a/b/c@", "two/a/b/c:x")],
        &[("quay.io/a/b@", "elsewhere:x"), ("quay.io/a/b/c@", "a/b/c:x"), ("quay.io/a/b/c/d@", "deep/a/b/c/d:x")],
        // A rule for digests is the longer one, and tags are asked for below it.
        &[("quay.io/org/app@", "other:x"), ("quay.io/org/app:1", "org/app:1")],
        &[("quay.io/a/b/c@", "x/a/b/c:x"), ("quay.io/a/b:1", "a/b:1"), ("quay.io/a/b/c:2", "a/b/c:2")],
    ];
    for case in cases {
        for mirror_scope in [MirrorScope::Namespace, MirrorScope::Repository] {
            let roles = [Role::Image, Role::Related, Role::Component];
            let items = case.iter().zip(roles).map(|((origin, name), role)| item(role, origin, &format!("reg.lab:5000/{name}")));
            let items: Vec<Received> = items.collect();
            let files = published(items.clone(), &Options { mirror_scope, ..Options::default() });
            for item in items {
                let by = if item.origin.digest().is_some() { By::Digest } else { By::Tag };
                let places = looked_for(&files, by, &item.origin.repository().to_string());
                assert!(places.contains(&item.name.repository().to_string()), "{} in {case:?}: {places:?}", item.origin);
            }
        }
    }
}

#[test]
fn an_upgrade_changes_no_file() {
    let images = |version: &str| {
        let image = |name: &str| item(Role::Related, &format!("quay.io/org/{name}@"), &format!("reg.lab:5000/org/{name}:{version}"));
        receipt(vec![image("a"), image(&format!("new-in-{version}"))])
    };
    let folder = tempfile::tempdir().expect("a folder");
    let publish = |receipts: &[Receipt]| publish(receipts, &Options::default(), folder.path()).expect("published");
    let first = publish(&[images("1")]);
    assert!(first.files.len() == 2 && first.files.iter().all(|file| file.changed), "{first:?}");
    let second = publish(&[images("2"), images("1")]);
    assert!(second.files.len() == 2 && second.files.iter().all(|file| !file.changed), "{second:?}");
}

#[test]
fn what_no_mirror_can_give_is_told_and_not_promised() {
    let mut other = item(Role::Image, "quay.io/c/rebuilt@", "reg.lab:5000/c/rebuilt:x");
    other.digest = Digest::of(b"another root");
    let items = vec![
        item(Role::Image, "quay.io/a/renamed:1", "reg.lab:5000/a/renamed:2"),
        item(Role::Image, "[::1]:5000/b/six:1", "reg.lab:5000/b/six:1"),
        other,
        item(Role::Catalog, "quay.io/d/index:1", "reg.lab:5000/d/index:prod"),
    ];
    let told = documents(&[receipt(items)], &Options::default()).expect("documents");
    let whys: Vec<&str> = told.left_out.iter().map(|left| left.why.as_str()).collect();
    assert!(whys[0].contains("of or at [::1]:5000"), "{whys:?}");
    assert_eq!(whys[1], "it is asked for by tag 1, and the destination has it as 2: no mirror changes tags");
    assert!(whys.len() == 3 && whys[2].starts_with("it is asked for as sha256:"), "{whys:?}");
    let files: Vec<&str> = told.files.iter().map(|(name, _)| *name).collect();
    assert_eq!(files, [REGISTRIES_FILE], "podman takes an IPv6 address");
}

#[test]
fn what_is_at_its_own_place_or_nowhere_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cluster-resources");
    let own = receipt(vec![item(Role::Image, "reg.lab:5000/a/b:1", "reg.lab:5000/a/b:1")]);
    assert_eq!(publish(&[own, receipt(vec![])], &Options::default(), &path).expect("nothing"), Published::default());
    assert!(!path.exists());
    publish(&[receipt(some_of_each())], &Options::default(), &path).expect("published");
    let after = publish(&[], &Options::default(), &path).expect("nothing");
    assert_eq!(after.stale, [IDMS_FILE, ITMS_FILE, REGISTRIES_FILE].map(|name| path.join(name)));
    assert!(after.files.is_empty() && after.stale.iter().all(|path| path.exists()));
}

#[test]
fn a_suffix_ends_the_name_of_each_object() {
    let named = |suffix: &str| {
        let options = Options { name_suffix: Some(suffix.to_owned()), ..Options::default() };
        documents(&[receipt(some_of_each())], &options)
    };
    let documents = named("site-b").expect("documents");
    let names: Vec<String> = documents.files[..2].iter().flat_map(|(_, text)| read(text).into_keys()).map(|(_, name)| name).collect();
    assert!(names.len() == 5 && names.iter().all(|name| name.ends_with("-0-site-b")), "{names:?}");
    for suffix in ["", "-", "Site", "a b", "a\nb"] {
        assert!(named(suffix).expect_err(suffix).way_out().is_some());
    }
}

#[test]
fn registries_conf_says_for_what_each_mirror_is() {
    let items = vec![
        item(Role::Image, "quay.io/a/both:1@", "reg.lab:5000/a/both:1"),
        item(Role::Related, "quay.io/b/digest@", "reg.lab:5000/b/digest:x"),
        item(Role::Catalog, "quay.io/c/index:1", "reg.lab:5000/c/index:1"),
    ];
    let expected = "\
[[registry]]
prefix = \"quay.io/a\"
location = \"quay.io/a\"

[[registry.mirror]]
location = \"reg.lab:5000/a\"

[[registry]]
prefix = \"quay.io/b\"
location = \"quay.io/b\"

[[registry.mirror]]
location = \"reg.lab:5000/b\"
pull-from-mirror = \"digest-only\"

[[registry]]
prefix = \"quay.io/c\"
location = \"quay.io/c\"

[[registry.mirror]]
location = \"reg.lab:5000/c\"
pull-from-mirror = \"tag-only\"
";
    assert_eq!(published(items.clone(), &Options::default())[REGISTRIES_FILE], expected);
    let insecure = published(items, &Options { insecure: true, ..Options::default() });
    assert_eq!(insecure[REGISTRIES_FILE].matches("insecure = true\n").count(), 3);
}

/// Real documents, where this machine has them: what they say of the mirrors of a cluster must be what ocm says of the images
/// that they were made for.
#[test]
fn real_documents_say_the_same() {
    let Some(folder) = std::env::var_os("OCM_TEST_CLUSTER_RESOURCES") else {
        // Past the capture of the harness, as for programs that are missing.
        writeln!(std::io::stderr(), "skipped: OCM_TEST_CLUSTER_RESOURCES names no folder of real documents").expect("stderr is open");
        return;
    };
    let mut compared = 0;
    for file in ["idms-operator", "idms-release", "itms-generic", "itms-release"] {
        let path = Path::new(&folder).join(file).with_extension("yaml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // The host at the destination stands there as a blank to fill in.
        let text = text.replace("<registry.example.com:8443>", REG);
        for ((kind, name), expected) in read(&text) {
            let files = published(images_of(&name, &expected), &Options::default());
            let file = if kind == "ImageDigestMirrorSet" { IDMS_FILE } else { ITMS_FILE };
            let ours = &read(&files[file])[&(kind, name.clone())];
            assert_eq!(*ours, expected, "{name}");
            compared += 1;
        }
    }
    assert_eq!(compared, 4);
}

/// Images that oc-mirror would have made these entries for: one in each namespace, one where the last word is a repository.
fn images_of(name: &str, entries: &BTreeMap<String, BTreeSet<String>>) -> Vec<Received> {
    let role = match name.split('-').nth(1) {
        Some("release") => Role::Component,
        Some("operator") => Role::Related,
        _ => Role::Image,
    };
    let mark = if name.starts_with("idms") { "@" } else { ":x" };
    let images = entries.iter().flat_map(|(source, mirrors)| mirrors.iter().map(move |mirror| (source, mirror)));
    images.map(|(source, mirror)| item(role, &format!("{source}/image{mark}"), &format!("{mirror}/image:x"))).collect()
}
