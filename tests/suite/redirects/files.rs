//! Files that others wrote, and files that a command line names.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ocm::environment::Environment;
use ocm::workflow::Redirects;

use crate::cli::plan;

/// The files that containers/image tests itself with, below `$OCM_TEST_DATA`, and whether ocm takes them.
const FILES: [(&str, Result<(), &str>); 20] = [
    ("aliases.conf", Ok(())),
    ("base-for-registries.d.conf", Ok(())),
    ("cred-helper.conf", Ok(())),
    ("empty.conf", Ok(())),
    ("find-registry.conf", Ok(())),
    ("invalidate-cache.conf", Ok(())),
    ("mirrors.conf", Ok(())),
    ("mixing-v1-v2-empty.conf", Ok(())),
    ("pull-sources-from-reference.conf", Ok(())),
    ("unmarshal.conf", Ok(())),
    ("unqualified-search.conf", Ok(())),
    ("blocked-conflicts.conf", Err("registry.com is there twice, and once it is blocked")),
    ("insecure-conflicts.conf", Err("registry.com is there twice, and once it is insecure")),
    ("invalid-config-level-mirror.conf", Err(":4:20: pull-from-mirror stands in")),
    ("invalid-conflict-mirror.conf", Err("exclude each other")),
    ("invalid-prefix.conf", Err(":3:10: \"http://schema-is-invalid.com\" has a scheme")),
    ("invalid-value-mirror.conf", Err("\"notvalid\" is none of all")),
    ("missing-mirror-location.conf", Err(":10:1: [[registry.mirror]] has no location")),
    ("mixing-v1-v2.conf", Err("version 1")),
    ("v1-compatibility.conf", Err("version 1")),
];

#[test]
fn files_of_others_are_taken_and_refused_as_by_their_own_library() {
    let below = "registries-config/containers-image/pkg/sysregistriesv2/testdata";
    let Some(folder) = std::env::var_os("OCM_TEST_DATA").map(|data| PathBuf::from(data).join(below)).filter(|folder| folder.is_dir())
    else {
        writeln!(std::io::stderr(), "skipped: OCM_TEST_DATA names no directory with {below}").expect("stderr is open in a test");
        return;
    };
    let load = |path: &Path| Redirects::load(&Environment::default(), Some(path));
    for (name, expected) in FILES {
        match (load(&folder.join(name)), expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(words)) => {
                assert!(error.to_string().starts_with(&folder.join(name).display().to_string()), "{error}");
                assert!(error.to_string().contains(words) && error.way_out().is_some(), "{name}: {error:?}");
            }
            (other, _) => panic!("{name}: {:?}", other.map(drop)),
        }
    }
    load(&folder.join("registries.conf")).map_or_else(|error| assert!(error.to_string().contains("not there"), "{error}"), drop);
}

#[test]
fn a_file_with_a_mistake_stops_a_run_before_it_begins() {
    let home = tempfile::tempdir().expect("a home");
    let path = |name: &str| home.path().join(name).display().to_string();
    std::fs::write(home.path().join("bad.conf"), "[[registry]]\nlocation = 1\n").expect("a file");
    let own = home.path().join(".config/containers");
    std::fs::create_dir_all(&own).expect("a directory");
    let told = format!("error: {}:2:12: invalid type", path("bad.conf"));
    let bad = path("bad.conf");
    for (variables, arguments) in [
        (&[][..], &["--registries-conf", &bad][..]),
        (&[("OCM_REGISTRIES_CONF", bad.as_str())], &[]),
        (&[("CONTAINERS_REGISTRIES_CONF", bad.as_str())], &[]),
    ] {
        let (code, said) = plan(home.path(), variables, arguments);
        assert!(code == Some(2) && said.contains(&told), "{variables:?} {arguments:?}: {code:?} {said}");
        assert!(said.contains("hint:    correct the file"), "{said}");
    }
    std::fs::write(own.join("registries.conf"), "unqualified-search-registries = [").expect("a file");
    let (code, said) = plan(home.path(), &[], &[]);
    assert!(code == Some(2) && said.contains(".config/containers/registries.conf:1:"), "{said}");
    let (code, said) = plan(home.path(), &[], &["--registries-conf", "/dev/null", "--mirrors-only"]);
    assert!(code == Some(1) && said.contains("origin.invalid/a: no mirror is known of it"), "{code:?} {said}");
}
