//! What the program says while it syncs, and where.

use std::io::Write as _;
use std::process::Stdio;

use super::archive::document;
use super::{Ocm, Said};
use crate::support::images::{Image, Layout, push};
use crate::support::registry::Registry;

/// A layout of two images, as a place.
fn source(ocm: &Ocm) -> String {
    let layout = Layout::at(&ocm.home.path().join("layout"));
    layout.tag("registry.example/team/one:1", &layout.image(&Image::generated(1, 300_000)));
    layout.tag("registry.example/team/two:1", &layout.image(&Image::generated(2, 200_000)));
    format!("oci:{}", ocm.path("layout"))
}

#[test]
fn a_run_tells_its_plan_before_it_begins_and_never_on_stdout() {
    let ocm = Ocm::new();
    let from = source(&ocm);
    for (to, options, end) in [
        (ocm.path("disk"), &["--volume-size", "16MiB"][..], ", 1 volume below 16 MiB\n"),
        (format!("oci:{}", ocm.path("out")), &[], " to fetch\n"),
    ] {
        let dry = ocm.run(&[&["sync", "--dry-run"], options, &[&from, &to]].concat());
        let plan = dry.out.lines().next().expect("a plan").to_owned() + "\n";
        assert!(plan.starts_with("plan: 2 images, ") && plan.ends_with(end) && !dry.err.contains("plan:"), "{dry:?}");
        let real = ocm.run(&[&["sync"], options, &[&from, &to]].concat());
        assert_eq!(real.code, Some(0), "{real:?}");
        assert!(real.err.contains(&plan) && !real.out.contains("plan:"), "{real:?}");
        let again = ocm.run(&["sync", &from, &to]);
        assert!(again.out.starts_with("nothing new") && !again.err.contains("plan:"), "{again:?}");
    }
    let quiet = ocm.run(&["sync", "-q", &from, &ocm.path("quiet")]);
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(0), ""), "{quiet:?}");
}

#[test]
fn a_plan_is_a_dry_run_by_another_name() {
    let ocm = Ocm::new();
    let (from, disk) = (source(&ocm), ocm.path("disk"));
    for options in [&["--volume-size", "16MiB", &from, &disk][..], &["-o", "json", &from, &disk], &["--on-volume", "exit 1", &from, &disk]]
    {
        let planned = ocm.run(&[&["plan"], options].concat());
        let dry = ocm.run(&[&["sync", "--dry-run"], options].concat());
        assert_eq!(planned.code, Some(0), "{planned:?}");
        assert_eq!((planned.code, &planned.out), (dry.code, &dry.out));
        assert!(!std::path::Path::new(&disk).exists(), "a plan writes nothing");
    }
}

#[test]
fn a_command_for_volumes_has_our_stdin_and_speaks_on_stderr() {
    let ocm = Ocm::new();
    let command = "echo next disc; read answer; echo got $answer; echo trouble >&2";
    let arguments = ["sync", "-o", "json", "--on-volume", command, &source(&ocm), &ocm.path("disk")];
    let mut run = ocm.command(&arguments);
    let mut child = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ocm runs");
    child.stdin.take().expect("stdin").write_all(b"ready\nready\n").expect("an answer");
    let said = Said::of(&child.wait_with_output().expect("its end"));
    assert_eq!((said.code, document(&said)["schema"].as_str()), (Some(0), Some("ocm.sync.v1")), "{said:?}");
    for word in ["next disc\n", "got ready\n", "trouble\n"] {
        assert!(said.err.contains(word), "{word}: {said:?}");
    }
}

/// An ImageSetConfiguration of three images of a registry, one of which is blocked, with a size of archives.
fn configuration(host: &str) -> String {
    format!(
        "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\narchiveSize: 1\nmirror:\n  additionalImages:\n  - name: {host}/team/one:1\n    targetRepo: our/one\n    targetTag: stable\n  - name: {host}/team/two:1\n  - name: {host}/team/bad:1\n  blockedImages:\n  - name: team/bad\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_says_what_is_brought_and_clusters_are_told_where_it_is() {
    let (Some(near), Some(far)) = (Registry::start(), Registry::start()) else { return };
    let (ocm, layout) = (Ocm::new(), Layout::new());
    for (seed, name) in (1..).zip(["one", "two", "bad"]) {
        let root = layout.image(&Image::generated(seed, 50_000));
        push(&layout, &root, &format!("{}/team/{name}", near.host()), Some("1")).await;
    }
    std::fs::write(ocm.path("isc.yaml"), configuration(near.host())).expect("a configuration");
    let to = format!("docker://{}/mirror", far.host());
    let planned = ocm.run(&["plan", "-c", "isc.yaml", "disk"]);
    assert!(planned.code == Some(0) && planned.out.contains("1 volume below 1 GiB"), "{planned:?}");
    let made = ocm.run(&["sync", "-c", "isc.yaml", "disk"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(
        made.out.contains("2 images") && made.out.contains(&format!("  blocked {}/team/bad:1   by team/bad\n", near.host())),
        "{made:?}"
    );
    let nothing = ocm.run(&["sync", "-c", "isc.yaml", "disk"]);
    assert!(nothing.code == Some(0) && nothing.out.starts_with("nothing new"), "{nothing:?}");
    drop(near);
    let pushed = ocm.run(&["sync", "-c", "isc.yaml", "disk", &to, "--workspace", "ws"]);
    assert_eq!(pushed.code, Some(0), "{pushed:?}");
    let told: Vec<&str> = pushed.out.lines().filter(|line| line.starts_with("  cluster  ws/cluster-resources/")).collect();
    assert!(told.iter().any(|line| line.ends_with("/itms-oc-mirror.yaml")), "{pushed:?}");
    assert!(pushed.out.contains("  no mirror for "), "a tag that was changed cannot be mirrored: {pushed:?}");
    let again = ocm.run(&["sync", "-c", "isc.yaml", "disk", &to, "--workspace", "ws"]);
    assert!(again.code == Some(0) && again.out.contains("/itms-oc-mirror.yaml   as it was\n"), "{again:?}");
}

#[test]
fn what_is_wrong_with_a_configuration_is_said_before_any_work() {
    let ocm = Ocm::new();
    let head = "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\nmirror:\n";
    for (text, why) in [
        ("  additionalImages:\n  - nam: a\n", "isc.yaml:5:5: unknown field \"nam\""),
        ("  operators:\n  - catalog: a.io/b:1\n", "isc.yaml:4:3: not supported yet: mirror.operators"),
    ] {
        std::fs::write(ocm.path("isc.yaml"), format!("{head}{text}")).expect("a configuration");
        let refused = ocm.run(&["sync", "-c", "isc.yaml", "disk"]);
        assert!(refused.code == Some(2) && refused.err.contains(why), "{refused:?}");
        assert!(!ocm.home.path().join("disk").exists());
    }
    let absent = ocm.run(&["sync", "-c", "gone.yaml", "disk"]);
    assert!(absent.code == Some(1) && absent.err.contains("gone.yaml"), "{absent:?}");
}
