//! The options of `ocm sync` and `ocm plan`.

use std::path::Path;

use crate::cli::plan;

#[test]
fn a_policy_that_is_not_there_or_wrong_stops_a_run_before_it_begins() {
    let home = tempfile::tempdir().expect("a home");
    let path = |name: &str| home.path().join(name).display().to_string();
    std::fs::write(home.path().join("bad.json"), r#"{"default":[]}"#).expect("a file");
    std::fs::write(home.path().join("good.json"), r#"{"default":[{"type":"reject"}]}"#).expect("a file");
    let (bad, none, good) = (path("bad.json"), path("none.json"), path("good.json"));
    for (variables, arguments, told) in [
        (&[][..], &["--policy", &bad][..], "bad.json: default: the list is empty"),
        (&[("OCM_POLICY", bad.as_str())], &[], "bad.json: default: the list is empty"),
        (&[], &["--policy", &none], "none.json: it is not there"),
        (&[], &["--policy", &good, "--registries-d", &none], "none.json: there is no such directory"),
        (&[], &["--policy", &good, "--registries.d", &none], "none.json: there is no such directory"),
        (&[("OCM_REGISTRIES_D", none.as_str())], &["--policy", &good], "none.json: there is no such directory"),
    ] {
        let (code, said) = plan(home.path(), variables, arguments);
        assert!(code == Some(2) && said.contains(told) && said.contains("hint:"), "{variables:?} {arguments:?}: {code:?} {said}");
    }
}

#[test]
fn the_default_policy_is_that_of_podman() {
    let home = tempfile::tempdir().expect("a home");
    if !Path::new("/etc/containers/policy.json").exists() {
        let (code, said) = plan(home.path(), &[], &["--secure-policy"]);
        assert!(code == Some(2) && said.contains("--secure-policy: there is no policy"), "{code:?} {said}");
    }
    let own = home.path().join(".config/containers");
    std::fs::create_dir_all(&own).expect("a directory");
    std::fs::write(own.join("policy.json"), "{").expect("a file");
    for (variables, arguments) in [(&[][..], &["--secure-policy"][..]), (&[("OCM_SECURE_POLICY", "1")], &[])] {
        let (code, said) = plan(home.path(), variables, arguments);
        assert!(code == Some(2) && said.contains(".config/containers/policy.json: EOF"), "{code:?} {said}");
    }
    let (_, said) = plan(home.path(), &[], &[]);
    assert!(!said.contains("policy"), "without a word of it no policy is read: {said}");
}
