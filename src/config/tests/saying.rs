//! What is said of each rule that is broken, and where.

use super::{HEAD, said};

#[test]
fn a_field_that_is_not_known_is_named_with_the_one_that_was_meant() {
    for (text, expected) in [
        (
            "mirror:\n  platform:\n    channels:\n    - minVerson: 4.16.1\n      name: a\n",
            "6:7 unknown field \"minVerson\" in mirror.platform.channels[0] [did you mean minVersion?]",
        ),
        ("mirror:\n  ocp: {}\n", "4:3 unknown field \"ocp\" in mirror [of an earlier API; write platform]"),
        (
            "mirror:\n  operators: [{catalog: 'r.io/c:1', targetName: x}]\n",
            "4:37 unknown field \"targetName\" in mirror.operators[0] [of an earlier API; write targetCatalog, with all of the path]",
        ),
        ("mirror:\n  blockedImages: [{name: x, quux: y}]\n", "4:29 unknown field \"quux\" in mirror.blockedImages[0] [known here: name]"),
        ("mirror:\n  helm: {}\n  helm: {}\n", "5:3 duplicate field \"helm\" in mirror [leave one of them]"),
        ("mirror:\n  helm: {}\n  Helm: {}\n", "5:3 duplicate field \"Helm\" in mirror [leave one of them]"),
    ] {
        assert_eq!(said(&format!("{HEAD}{text}")), [expected], "{text}");
    }
}

#[test]
fn a_value_of_another_type_is_named_with_what_to_write() {
    for (text, expected) in [
        (
            "mirror: {platform: {channels: [{minVersion: 4.10}]}}",
            "3:45 mirror.platform.channels[0].minVersion: \"4.10\" without quotation marks is a number, not text [write \"4.10\"]",
        ),
        (
            "mirror: {platform: {channels: [{name: on}]}}",
            "3:39 mirror.platform.channels[0].name: \"on\" without quotation marks is true or false, not text [write \"on\"]",
        ),
        ("mirror: {platform: {graph: 'yes'}}", "3:28 mirror.platform.graph is text, not true or false [write true or false]"),
        ("mirror: {platform: {channels: {name: x}}}", "3:31 mirror.platform.channels is a map, not a list [begin each entry with -]"),
        ("mirror: []", "3:9 mirror is a list, not a map"),
        ("mirror: {platform: {architectures: [~]}}", "3:37 mirror.platform.architectures[0] is nothing, not text"),
        ("mirror:\narchiveSize: 1.5", "4:14 archiveSize is not a whole number"),
        ("mirror:\narchiveSize: '4'", "4:14 archiveSize is text, not a whole number"),
        ("mirror:\narchiveSize: -1", "4:14 archiveSize: -1 GiB is no size of a file [write how many GiB a file may be long]"),
        (
            "mirror:\narchiveSize: 99999999999",
            "4:14 archiveSize: 99999999999 GiB is no size of a file [write how many GiB a file may be long]",
        ),
    ] {
        assert_eq!(said(&format!("{HEAD}{text}\n")), [expected], "{text}");
    }
    assert_eq!(super::image_set(&format!("{HEAD}mirror:\narchiveSize: 5e2\n")).archive_size_bytes, Some(500 << 30));
}

#[test]
fn an_image_that_cannot_be_asked_for_is_named() {
    for (entry, expected) in [
        ("{}", "5:7 mirror.additionalImages[0] has no name"),
        ("{name: ''}", "5:8 mirror.additionalImages[0] has no name"),
        ("{name: 'a.io/b:1', targetRepo: 'A/b'}", "targetRepo: \"A/b\" is no repository path"),
        ("{name: 'a.io/b:1', targetRepo: 'a/b:1'}", "targetRepo: \"a/b:1\" is no repository path"),
        ("{name: 'a.io/b:1', targetTag: 'a b'}", "targetTag: \"a b\" is no tag"),
        ("{name: 'a.io/B:1'}", "repository names are lower case"),
        ("{name: 'oci:'}", "has no path"),
        ("{name: 'a.io/b:1', platforms: [{os: linux}]}", "platforms[0] has no architecture"),
    ] {
        let said = said(&format!("{HEAD}mirror:\n  additionalImages:\n    - {entry}\n"));
        assert!(matches!(&said[..], [one] if one.contains(expected)), "{entry}: {said:?}");
    }
}

#[test]
fn an_expression_that_is_none_is_named() {
    let blocked = |name: &str| said(&format!("{HEAD}mirror:\n  blockedImages:\n    - name: '{name}'\n"));
    assert_eq!(blocked("[x"), ["5:13 blocked image \"[x\": invalid regular expression: unclosed character class"]);
    assert_eq!(blocked(""), ["5:7 mirror.blockedImages[0] has no name"]);
    let large = blocked("(a{1000}){1000}");
    assert!(large[0].contains("size limit"), "{large:?}");
    let many = "    - name: x\n".repeat(1001);
    assert_eq!(said(&format!("{HEAD}mirror:\n  blockedImages:\n{many}")), ["1005:13 more than 1000 blocked images"]);
}

#[test]
fn releases_are_checked_as_oc_mirror_checks_them() {
    let of = |platform: &str| said(&format!("{HEAD}mirror:\n  platform: {platform}\n"));
    assert_eq!(
        of("{channels: [{name: a}, {name: b}, {name: a}]}"),
        ["4:47 release channel \"a\": duplicate found in configuration [leave one of them]"]
    );
    assert_eq!(
        of("{architectures: [amd64], platforms: [{os: linux, architecture: amd64}]}"),
        ["4:14 platform.platforms and platform.architectures cannot be used together [leave it out: platforms says it]"]
    );
    assert_eq!(
        of("{architectures: [amd64]}"),
        ["4:14 warning: mirror.platform.architectures is deprecated [write platforms, with os and architecture]"]
    );
    assert_eq!(of("{channels: [{name: a, type: OCP}]}"), ["4:41 warning: type \"OCP\" means ocp [write ocp or okd]"]);
}

#[test]
fn operators_are_checked_as_oc_mirror_checks_them() {
    let of = |catalog: &str| said(&format!("{HEAD}mirror:\n  operators:\n    - {catalog}\n"));
    for (catalog, expected) in [
        ("{full: true}", "mirror.operators[0] has no catalog"),
        ("{catalog: 'c:1', packages: [{name: p}, {name: p}]}", "catalog \"c:1\": duplicate package entry \"p\""),
        (
            "{catalog: 'c:1', packages: [{name: p, channels: [{name: h}, {name: h}]}]}",
            "catalog \"c:1\": operator \"p\": duplicate channel entry \"h\"",
        ),
        (
            "{catalog: 'c:1', packages: [{name: p, maxVersion: abc}]}",
            "catalog \"c:1\": operator \"p\": maxVersion \"abc\" must respect semantic versioning notation",
        ),
        (
            "{catalog: 'c:1', packages: [{name: p, channels: [{name: h, minVersion: x}]}]}",
            "catalog \"c:1\": operator \"p\": channel \"h\": minVersion \"x\" must respect semantic versioning notation",
        ),
        (
            "{catalog: 'c:1', packages: [{name: p, minVersion: '1', channels: [{name: h, maxVersion: '2'}]}]}",
            "catalog \"c:1\": operator \"p\": mixing both filtering by minVersion/maxVersion",
        ),
        ("{catalog: 'c:1', targetCatalog: 'x:1'}", "mirror.operators[0].targetCatalog: \"x:1\" is no repository path"),
        ("{catalog: 'c:1', skipDependencies: true}", "warning: skipDependencies has no effect"),
        ("{catalog: 'r.io/c:1'}\n    - {catalog: 'r.io/d:1', targetCatalog: c}", "catalog \"r.io/c:1\": duplicate found in configuration"),
    ] {
        let said = of(catalog);
        assert!(matches!(&said[..], [one] if one.contains(expected)), "{catalog}: {said:?}");
    }
}

#[test]
fn samples_are_said_to_have_no_effect() {
    let said = said(&format!("{HEAD}mirror:\n  samples: [{{name: x}}]\n"));
    assert_eq!(said, ["4:3 warning: mirror.samples has no effect [leave it out]"]);
}
