//! What people write: configuration files.

use ocm::config::{MAX_FINDINGS, STARTER, Severity, Source, check};

/// Reads a configuration; it says something exactly if it is sound, and strict reading finds the same things.
pub fn configuration(bytes: &[u8]) {
    let Ok(source) = Source::new("f", bytes.to_vec()) else { return };
    let read = check(source.clone(), false);
    let strict = check(source, true);
    let errors = read.of(Severity::Error).count();
    assert_eq!(read.configuration.is_some(), errors == 0, "{:?}", read.findings);
    assert_eq!(read.findings.len(), strict.findings.len(), "strict changes severities alone");
    assert!(read.findings.len() <= MAX_FINDINGS + 1);
    for finding in &read.findings {
        assert!(finding.place.line > 0 && finding.place.column > 0, "{finding:?} has no place");
        let _ = finding.excerpt(&read.source);
    }
}

/// One of each kind of content, and what YAML can do besides.
pub fn configurations() -> Vec<Vec<u8>> {
    let head = "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v1alpha2\n";
    let operators =
        "mirror:\n  operators:\n    - &c {catalog: r.io/c:v1, packages: [{name: p, minVersion: 1.2}]}\n    - {<<: *c, full: on}\n";
    let platform = "mirror: {platform: {channels: [{name: stable-4.16, type: okd}], graph: yes}}\narchiveSize: 0x10\nstorageConfig: ~\n";
    let blocked = "mirror:\n  blockedImages:\n  - name: |-\n      ^a[b-d]+\n  helm: {local: [{name: x, values: {a: [1, .5]}}]}\n";
    let delete = "kind: DeleteImageSetConfiguration\ndelete:\n  additionalImages:\n  - name: oci:///x\n    platforms: [{os: linux}]\n";
    let files =
        [STARTER.to_owned(), format!("{head}{operators}"), format!("{head}{platform}"), format!("{head}{blocked}"), delete.to_owned()];
    files.into_iter().map(String::into_bytes).collect()
}

/// Reads a registries.conf.
pub fn registries_conf(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("registries.conf");
    std::fs::write(&file, bytes).expect("it is written");
    if let Err(error) = ocm::workflow::Redirects::load(&ocm::environment::Environment::default(), Some(&file)) {
        assert!(error.to_string().contains("registries.conf"), "a refusal names the file: {error}");
    }
}

/// Files with every kind of table.
pub fn registries_confs() -> Vec<Vec<u8>> {
    let whole = "unqualified-search-registries = [\"a.io\"]\n[[registry]]\nprefix = \"*.b.io\"\nlocation = \"c.io/d\"\ninsecure = true\n\
                 blocked = false\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"m.io\"\npull-from-mirror = \"tag-only\"\n\
                 [aliases]\n\"x\" = \"y.io/x\"\n";
    vec![whole.as_bytes().to_vec(), b"[registries.search]\nregistries = ['a']\n".to_vec()]
}
