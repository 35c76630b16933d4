//! What files mean, and what is said of those that mean nothing.

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod real;
#[cfg(test)]
mod saying;

use super::*;

const HEAD: &str = "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\n";
const DELETE: &str = "kind: DeleteImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\n";

fn checked(text: &str, strict: bool) -> Checked {
    check(Source::new("f", text.as_bytes().to_vec()).expect("text"), strict)
}

/// What is said of a file, each as `LINE:COLUMN what [what to write]`.
fn said(text: &str) -> Vec<String> {
    let help = |finding: &Finding| finding.help.as_ref().map(|help| format!(" [{help}]")).unwrap_or_default();
    let word = |finding: &Finding| if finding.severity == Severity::Warning { "warning: " } else { "" };
    let findings = checked(text, false).findings;
    findings.iter().map(|f| format!("{}:{} {}{}{}", f.place.line, f.place.column, word(f), f.what, help(f))).collect()
}

fn image_set(text: &str) -> ImageSet {
    let checked = checked(text, false);
    assert_eq!(checked.findings, [], "{text}");
    match checked.configuration {
        Some(Configuration::ImageSet(set)) => set,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_file_becomes_plain_data() {
    let set = image_set(&format!(
        "{HEAD}archiveSize: 4
mirror:
  additionalImages:
    - name: quay.io/org/app:1
      targetRepo: tools/app
      targetTag: v1
      platforms: [{{os: linux, architecture: arm64}}]
    - name: docker://busybox@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    - name: oci:///srv/layout
  blockedImages:
    - name: /ubi8
"
    ));
    assert_eq!(set.archive_size_bytes, Some(4 << 30));
    let [app, busybox, layout] = &set.wishes.additional_images[..] else { panic!("{set:?}") };
    assert_eq!(app.origin, Origin::Image("quay.io/org/app:1".parse().expect("a name")));
    assert_eq!((app.target_repository.as_deref(), app.target_tag.as_deref()), (Some("tools/app"), Some("v1")));
    assert_eq!(app.platforms, ["linux/arm64".parse().expect("a platform")]);
    assert_eq!((app.place.line, app.place.column), (6, 13));
    assert!(matches!(&busybox.origin, Origin::Image(name) if name.repository().to_string() == "docker.io/library/busybox"));
    assert_eq!(layout.origin, Origin::Layout { path: "/srv/layout".into(), reference: None });
    assert_eq!(set.blocked.stops(&["reg/a:1", "mirror/ubi8:8.6"]), Some("/ubi8"));
    assert_eq!(set.blocked.stops(&["reg/a:1"]), None);
    set.supported().expect("all of it is supported");
}

#[test]
fn nothing_is_asked_of_an_empty_stanza() {
    for text in ["mirror:\n", "mirror: {}\n", "mirror:\n  operators: []\n  helm: {}\n  platform:\n", "archiveSize: 0\nmirror: ~\n"] {
        let set = image_set(&format!("{HEAD}{text}"));
        assert_eq!((set.wishes.additional_images.len(), set.archive_size_bytes), (0, None), "{text}");
        set.supported().expect(text);
    }
}

#[test]
fn what_parses_and_what_is_supported_are_two_answers() {
    let text = "mirror:\n  helm:\n    local: [{name: x, path: ./x}]\n  operators:\n    - catalog: r.io/c:1\n  platform:\n    graph: yes\n";
    let error = image_set(&format!("{HEAD}{text}")).supported().expect_err("not yet");
    assert_eq!(error.kind(), crate::error::Kind::Usage);
    assert_eq!(error.to_string(), "f:4:3: not supported yet: mirror.helm");
    assert_eq!(error.notes(), ["f:6:3: not supported yet: mirror.operators", "f:8:3: not supported yet: mirror.platform"]);
    let delete = checked(&format!("{DELETE}delete:\n  operators: [{{catalog: c:1}}]\n"), false);
    let Some(Configuration::DeleteImageSet(delete)) = delete.configuration else { panic!("{delete:?}") };
    assert_eq!(delete.supported().expect_err("not yet").to_string(), "f:4:3: not supported yet: delete.operators");
}

#[test]
fn every_field_of_the_api_is_read() {
    let text = "archiveSize: 1
mirror:
  platform:
    graph: true
    channels: [{name: a, type: okd, minVersion: 4.1.0, maxVersion: 4.2.0, shortestPath: on, full: no}]
    platforms: [{os: linux, architecture: amd64}]
    release: r.io/a:1
    kubeVirtContainer: true
  operators:
    - catalog: r.io/c:1
      targetCatalog: a/b
      targetTag: x
      full: true
      skipDependencies: false
      targetCatalogSourceTemplate: t.yaml
      platforms: []
      packages:
        - {name: p, defaultChannel: c, minVersion: '1', maxVersion: v2.0, channels: [{name: c}]}
        - {name: q, channels: [{name: c, minVersion: 1.2.3, maxVersion: 1.2.4}]}
  additionalImages: []
  helm:
    repositories: [{name: r, url: u, charts: [{name: c, version: 1.0.0, imagePaths: [x], platforms: [], values: {a: [1, x]}}]}]
    local: [{name: c, path: ./c, valuesFiles: [v.yaml]}]
  blockedImages: []
  samples: []
";
    let set = image_set(&format!("{HEAD}{text}"));
    let channels = set.wishes.platform.expect("a platform").channels.expect("channels");
    assert!(channels.value[0].value.shortest_path.as_ref().expect("a flag").value);
    let charts = set.wishes.helm.expect("charts").repositories.expect("some").value[0].value.charts.clone().expect("some");
    assert_eq!(charts.value[0].value.values.as_ref().expect("values").value, serde_json::json!({"a": [1, "x"]}));
    assert_eq!(set.wishes.operators[0].value.packages.as_ref().expect("some").value.len(), 2);
}

#[test]
fn what_oc_mirror_forgives_is_a_warning_and_strict_an_error() {
    let text = "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v1alpha2\nstorageConfig:\n  local: {path: x}\nMirror:\n  additionalimages:\n    - Name: a.io/b\n";
    assert_eq!(
        said(text),
        [
            "2:13 warning: apiVersion \"mirror.openshift.io/v1alpha2\" is read as mirror.openshift.io/v2alpha1 [write mirror.openshift.io/v2alpha1]",
            "3:1 warning: storageConfig is ignored: the workspace keeps what it kept [leave it out]",
            "5:1 warning: field \"Mirror\" in ImageSetConfiguration is written mirror [write mirror]",
            "6:3 warning: field \"additionalimages\" in mirror is written additionalImages [write additionalImages]",
            "7:7 warning: field \"Name\" in mirror.additionalImages[0] is written name [write name]",
            "7:13 warning: mirror.additionalImages[0].name: \"a.io/b\" has neither tag nor digest [write a.io/b:latest]",
        ]
    );
    let Some(Configuration::ImageSet(set)) = checked(text, false).configuration else { panic!("it loads") };
    assert_eq!(set.wishes.additional_images[0].origin, Origin::Image("a.io/b:latest".parse().expect("a name")));
    let strict = checked(text, true);
    assert!(strict.configuration.is_none() && strict.findings.iter().all(|finding| finding.severity == Severity::Error));
}

#[test]
fn a_document_is_of_one_kind() {
    let list: &[(&str, &[&str])] = &[
        ("", &["1:1 a configuration is a map, and this is nothing [begin with kind: ImageSetConfiguration]"]),
        (
            "apiVersion: mirror.openshift.io/v2alpha1\ndelete: {}",
            &["1:1 configuration missing `kind` [write kind: DeleteImageSetConfiguration]"],
        ),
        (
            "kind: ImagesetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\nmirror:",
            &["1:7 cannot parse \"ImagesetConfiguration\" as \"ImageSetConfiguration\" [write ImageSetConfiguration]"],
        ),
        (HEAD, &["1:1 configuration missing the `mirror` stanza"]),
        (DELETE, &["1:1 configuration missing the `delete` stanza"]),
        (
            &format!("{HEAD}mirror:\ndelete:\n"),
            &["4:1 delete: is not allowed in ImageSetConfiguration [keep what is mirrored and what is deleted in two files]"],
        ),
        (
            &format!("{DELETE}delete:\narchiveSize: 4\n"),
            &["4:1 unknown field \"archiveSize\" in DeleteImageSetConfiguration [known here: apiVersion, kind, delete]"],
        ),
    ];
    for (text, expected) in list {
        assert_eq!(said(text), *expected, "{text}");
    }
}

#[test]
fn all_errors_of_a_file_are_one_error_for_a_run() {
    let one = checked(&format!("{HEAD}mirror: 1\n"), false).into_result().expect_err("an error");
    assert_eq!((one.to_string().as_str(), one.notes().len()), ("f:3:9: mirror is a number, not a map", 3));
    let two = checked(&format!("{HEAD}mirror: 1\nx: 2\n"), false).into_result().expect_err("errors");
    assert_eq!((two.to_string().as_str(), two.notes().len()), ("f: 2 errors", 8));
    assert_eq!(two.notes()[4], "f:4:1: unknown field \"x\" in ImageSetConfiguration");
}

#[test]
fn a_run_wants_one_kind_of_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("disc.yaml");
    std::fs::write(&path, format!("{DELETE}delete:\n")).expect("written");
    load_delete_set(&path, |_| panic!("no warning")).expect("what is to be deleted");
    let error = load_image_set(&path, |_| panic!("no warning")).expect_err("another kind");
    assert!(error.to_string().ends_with("cannot parse \"DeleteImageSetConfiguration\" as \"ImageSetConfiguration\""), "{error}");
    assert!(load_image_set(&directory.path().join("none"), |_| ()).expect_err("no file").to_string().starts_with("reading "));
}

#[test]
fn the_starter_is_sound_and_supported() {
    let checked = checked(STARTER, true);
    assert_eq!(checked.findings, []);
    let Some(Configuration::ImageSet(set)) = checked.configuration else { panic!("it is sound") };
    set.supported().expect("it is supported");
}
