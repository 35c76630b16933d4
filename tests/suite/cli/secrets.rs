//! What a run says and leaves behind: no secret, and nothing in any place that nobody named.

use std::path::{Path, PathBuf};

use base64::Engine as _;

use super::Ocm;
use crate::support::images::{Image, Layout};
use crate::support::registry::{PASSWORD, Registry, USER};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = open.pop() {
        match path.is_dir() {
            true => open.extend(std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path())),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

#[test]
fn no_secret_is_said_or_written() {
    let Some(far) = Registry::options().with_password().start() else { return };
    let ocm = Ocm::new();
    let layout = Layout::at(&ocm.home.path().join("layout"));
    layout.tag("registry.example/team/app:1", &layout.image(&Image::generated(1, 50_000)));
    let encode = |password: &str| base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
    let (pair, wrong) = (encode(PASSWORD), encode("mistaken-77"));
    let to = format!("docker://{}/mirror", far.host());
    let from = format!("{to}/team/app:1");
    let mut said = String::new();
    for (pair, code) in [(&wrong, 1), (&pair, 0)] {
        let file = format!(r#"{{"auths":{{"{}":{{"auth":"{pair}"}}}}}}"#, far.host());
        std::fs::write(ocm.home.path().join("auth.json"), file).expect("written");
        for arguments in
            [&["sync", "oci:layout", to.as_str()][..], &["sync", from.as_str(), "disk"], &["-o", "json", "plan", from.as_str(), "disk"]]
        {
            let mut command = ocm.command(arguments);
            let output = command.args(["-v", "--authfile", "auth.json", "--retry-times", "0"]).output().expect("ocm runs");
            said += &String::from_utf8_lossy(&[output.stdout, output.stderr].concat());
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        }
    }
    assert!(said.contains("401") && said.contains("auth.json"), "the wrong ones are told with their place: {said}");
    std::fs::remove_file(ocm.home.path().join("auth.json")).expect("removed");
    let kept = files(ocm.home.path());
    assert!(kept.iter().any(|path| path.to_string_lossy().contains("receipts")), "{kept:?}");
    for secret in [PASSWORD, pair.as_str(), "mistaken-77", wrong.as_str()] {
        assert!(!said.contains(secret), "{secret} was said");
        for path in &kept {
            assert!(!holds(&std::fs::read(path).expect("a file"), secret), "{secret} is in {}", path.display());
        }
    }
}

#[test]
fn a_run_leaves_files_where_it_was_told_to_and_nowhere_else() {
    let Some(far) = Registry::start() else { return };
    let ocm = Ocm::new();
    let home = ocm.home.path().join("home");
    for folder in ["home/here", "home/tmp", "state", "data"] {
        std::fs::create_dir_all(ocm.home.path().join(folder)).expect("a folder");
    }
    let layout = Layout::at(&ocm.home.path().join("data/layout"));
    layout.tag("registry.example/team/app:1", &layout.image(&Image::generated(1, 3 << 20)));
    let to = format!("docker://{}/mirror", far.host());
    let data = ocm.home.path().join("data");
    let place = |name: &str| data.join(name).display().to_string();
    for arguments in [
        vec!["sync".to_owned(), format!("oci:{}", place("layout")), place("disk"), "--level".into(), "1".into()],
        vec!["sync".into(), place("disk"), to.clone()],
        vec!["recover".into(), place("disk"), format!("oci:{}", place("rescued"))],
        vec!["sync".into(), format!("{to}/team/app:1"), place("disk2")],
        vec!["verify".into(), place("disk")],
        vec!["ls".into(), place("disk")],
    ] {
        let state = ocm.home.path().join("state");
        let mut command = ocm.command(&[]);
        command.args(&arguments).current_dir(home.join("here")).env("HOME", &home).env("TMPDIR", home.join("tmp"));
        let output = command.env("OCM_WORKSPACE", state).output().expect("ocm runs");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(files(&home), Vec::<PathBuf>::new(), "after {arguments:?}");
    }
    let left: Vec<_> = files(&data).into_iter().filter(|path| path.to_string_lossy().contains("/.ocm/")).collect();
    assert_eq!(left, Vec::<PathBuf>::new(), "nothing of a finished set is left beside it");
}
