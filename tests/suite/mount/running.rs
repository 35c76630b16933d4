//! How a mount begins and ends: in the foreground, in the background, in use, killed.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::seen::{Archive, Seen, ocm, said};
use super::sums;
use crate::support::disks::{ReadOnly, can_mount};
use crate::support::images::Image;
use crate::support::tools::{Tool, run};

async fn small() -> Archive {
    Archive::of(&[("one", Image::generated(1, 300_000))]).await
}

/// Waits until something is so.
fn soon(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_mounted(path: &Path) -> bool {
    std::fs::read_to_string("/proc/self/mountinfo").expect("mounts").contains(&format!(" {} ", path.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_unmounts_and_ends_it_well() {
    let archive = small().await;
    for signal in [Signal::TERM, Signal::INT] {
        let Some(mut seen) = Seen::mount(&archive, &[]) else { return };
        assert_eq!(seen.end(signal), Some(0), "{signal:?}");
        assert!(std::fs::read_dir(seen.at("")).expect("the folder below").next().is_none());
    }
    // One that is in use ends all the same; who uses it has nothing any more.
    let Some(mut seen) = Seen::mount(&archive, &[]) else { return };
    let _open = std::fs::File::open(seen.at("index.json")).expect("a file");
    assert_eq!(seen.end(Signal::TERM), Some(0));
    assert!(std::fs::read_dir(seen.at("")).expect("the folder below").next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn umount_ends_it_unless_it_is_in_use() {
    let archive = small().await;
    let Some(mut seen) = Seen::mount(&archive, &[]) else { return };
    let view = seen.at("").display().to_string();
    let open = std::fs::File::open(seen.at("index.json")).expect("a file");
    let (code, _, err) = said(&ocm(&["umount", &view]).output().expect("ocm runs"));
    assert!(code == Some(1) && err.contains(": it is in use\n  hint:    end what uses it"), "{err}");
    drop(open);
    soon("it is free", || ocm(&["umount", &view]).stderr(Stdio::null()).status().expect("ocm runs").success());
    assert_eq!(seen.child.wait().expect("an end").code(), Some(0));
    let (code, _, err) = said(&ocm(&["umount", &view]).output().expect("ocm runs"));
    assert!(code == Some(2) && err.contains("nothing of ocm is mounted there"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_killed_makes_room_for_the_next() {
    let archive = small().await;
    let Some(mut seen) = Seen::mount(&archive, &[]) else { return };
    let before = sums(&seen.at("images"));
    assert_eq!(seen.end(Signal::KILL), None);
    assert!(std::fs::read(seen.at(".ocm/status")).is_err(), "nobody serves it any more");
    let seen = seen.again(&archive);
    assert_eq!(sums(&seen.at("images")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_background_it_is_ready_when_the_command_is_over() {
    let archive = small().await;
    if !can_mount() {
        return;
    }
    let home = tempfile::tempdir().expect("a home");
    let view = home.path().join("view");
    std::fs::create_dir(&view).expect("a folder");
    let (place, at) = (archive.path(), view.display().to_string());
    let (code, out, err) = said(&ocm(&["mount", "--daemon", "-o", "json", &place, &at]).output().expect("ocm runs"));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let ready: serde_json::Value = serde_json::from_str(&out).expect("a document");
    assert_eq!((ready["schema"].as_str(), ready["images"].as_u64(), ready["sets"].as_u64()), (Some("ocm.mount.v1"), Some(1), Some(1)));
    assert!(sums(&view).contains("index.json"));
    let (code, _, err) = said(&ocm(&["mount", "--daemon", &place, &at]).output().expect("ocm runs"));
    assert!(code == Some(2) && err.contains("ocm has mounted something there already"), "{err}");
    run(&mut ocm(&["umount", &at]));
    soon("it is gone", || !is_mounted(&view));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_mounted_is_refused_with_its_reason() {
    let archive = small().await;
    let place = archive.path();
    let (home, inside) = (tempfile::tempdir().expect("a home"), format!("{place}/view"));
    std::fs::create_dir(&inside).expect("a folder");
    std::fs::write(home.path().join("x"), "x").expect("a file");
    let full = home.path().display().to_string();
    for (arguments, code, text) in [
        (&[place.as_str(), &full][..], 2, "it is not empty"),
        (&[&place, &inside], 2, "it lies in the archive itself"),
        (&[&place, "/nowhere/view"], 1, "No such file"),
        (&[&place], 2, "one place alone is no mount"),
        (&[&full, &inside], 2, "there is no ocm archive here"),
    ] {
        let (found, _, err) = said(&ocm(&[&["mount"], arguments].concat()).output().expect("ocm runs"));
        assert!(found == Some(code) && err.contains(text), "{arguments:?}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_mounts_of_one_read_only_medium_show_the_same() {
    let archive = small().await;
    if !can_mount() {
        return;
    }
    let _disk = ReadOnly::new(&archive.path());
    let all: Vec<Seen> = (0..8).filter_map(|_| Seen::mount(&archive, &[])).collect();
    let digests: std::collections::BTreeSet<String> = all.iter().map(|seen| sums(&seen.at("images"))).collect();
    assert_eq!(digests.len(), 1);
}

/// Somebody who is not root: `nobody` everywhere.
const NOBODY: &str = "65534";

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_root_mounts_and_unmounts_through_fusermount() {
    let Some(_) = Tool::find("fusermount3") else { return };
    let archive = small().await;
    let is_open_to_all = |path: &str| std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o006 == 0o006);
    if !can_mount() || !is_open_to_all("/dev/fuse") {
        writeln!(std::io::stderr(), "skipped: /dev/fuse is root's alone (rootless mount)").expect("stderr");
        return;
    }
    // Where nobody may go: a home below a folder of root's alone, as temporary folders are.
    let home = tempfile::tempdir().expect("a home");
    let at = |name: &str| home.path().join(name).display().to_string();
    let (program, view) = (at("ocm"), at("view"));
    std::fs::copy(env!("CARGO_BIN_EXE_ocm"), &program).expect("a copy");
    std::fs::create_dir(&view).expect("a folder");
    run(Command::new("cp").args(["-r", &archive.path(), &at("disk")]));
    run(Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(home.path()));
    let nobody = |command: &str| {
        let mut other = Command::new("setpriv");
        other.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "sh", "-c", command]);
        other.current_dir(home.path()).env("HOME", home.path()).env("TMPDIR", home.path());
        other
    };
    run(&mut nobody("./ocm mount --daemon disk view"));
    let listed = run(&mut nobody("cat view/index.json && find view/images -type f | wc -l"));
    assert!(listed.contains("manifests"), "{listed}");
    run(&mut nobody("./ocm umount view"));
    assert!(std::fs::read_dir(&view).expect("the folder below").next().is_none());
}
