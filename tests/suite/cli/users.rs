//! The program as a user that nobody knows: the random user ids of OpenShift, whose group is root, without a home.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Ocm, Said, enclave};
use crate::support::disks::can_mount;
use crate::support::registry::Registry;
use crate::support::tools::{Tool, run};

/// A user id that no other test has at this time.
fn user() -> String {
    (1_000_680_000 + std::process::id() % 100_000).to_string()
}

/// The program as that user, in a folder that it cannot write to.
fn as_user(program: &Path, arguments: &[&str], home: Option<&str>) -> Option<Command> {
    let mut command = Tool::find("setpriv")?;
    command.args(["--reuid", &user(), "--regid", "0", "--clear-groups"]).arg(program).args(arguments);
    command.env_clear().current_dir("/").stdin(Stdio::null()).envs(home.map(|home| ("HOME", home)));
    Some(command)
}

/// What that user owns in the places that are open to all.
fn owned() -> String {
    let places = ["/tmp", "/var/tmp", "/dev/shm", "/run"].into_iter().filter(|place| Path::new(place).is_dir());
    // What goes away meanwhile is of others.
    let mut find = Command::new("find");
    let output = find.args(places).args(["-maxdepth", "2", "-user", &user()]).output().expect("find runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_user_without_name_and_home_does_all_with_a_workspace_alone() {
    if !can_mount() {
        return;
    }
    let ocm = Ocm::new();
    // As volumes are in a pod: the group may write.
    let open = |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(0o770)).expect("root may do that");
    let folder = ocm.home.path().join("volume");
    std::fs::create_dir(&folder).expect("a folder");
    [ocm.home.path(), &folder].into_iter().for_each(open);
    let program = ocm.home.path().join("ocm");
    let built = Path::new(env!("CARGO_BIN_EXE_ocm"));
    std::fs::hard_link(built, &program).or_else(|_| std::fs::copy(built, &program).map(drop)).expect("the program");
    let (Some(_), Some(far)) = (enclave::disk(&ocm), Registry::start()) else { return };
    let (all, to) = (ocm.path("all.yaml"), format!("docker://{}/mirror", far.host()));
    // The images that the configuration names are in the disk of another user.
    let (given, made, state) = (ocm.path("disk"), ocm.path("volume/disk"), ocm.path("volume/state"));
    let before = owned();
    // A home with a folder that belongs to somebody else, as `/run/containers` may.
    let (closed, docker) = (ocm.path("home"), ocm.home.path().join("home/.docker"));
    std::fs::create_dir_all(&docker).expect("a folder");
    std::fs::set_permissions(&docker, Permissions::from_mode(0o700)).expect("root may do that");
    for home in [None, Some("/"), Some(closed.as_str())] {
        let workspace = ["--workspace", state.as_str()];
        for arguments in [
            &["sync", "-c", &all, &given, &made][..],
            &["sync", "-c", &all, &made, &to],
            &["ls", &made],
            &["verify", &made],
            &["receipt", &to, "--to", &ocm.path("volume/receipt.json")],
        ] {
            let arguments = [arguments, &workspace[..if arguments[0] == "receipt" { 0 } else { 2 }]].concat();
            let Some(mut command) = as_user(&program, &arguments, home) else { return };
            let said = Said::of(&command.env("OCM_REGISTRIES_CONF", "/dev/null").output().expect("it runs"));
            assert_eq!(said.code, Some(0), "{home:?} {arguments:?}: {said:?}");
        }
        let Some(mut command) = as_user(&program, &["serve", &made, "--listen", "127.0.0.1:0"], home) else { return };
        let mut served = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut lines = BufReader::new(served.stdout.take().expect("a pipe")).lines();
        let said = lines.find_map(|line| line.ok().filter(|line| line.contains("http://")));
        served.kill().expect("it ran");
        served.wait().expect("its end");
        assert!(said.is_some(), "{home:?}: it serves");
    }
    assert_eq!(owned(), before, "nothing is written elsewhere");
    assert_eq!(run(Command::new("find").args(["/", "-maxdepth", "1", "-user", &user()])), "");
    let catalogues = std::fs::read_dir(Path::new(&state).join("catalogues")).expect("the workspace");
    assert!(catalogues.count() > 0 && Path::new(&state).join("receipts").is_dir());
}
