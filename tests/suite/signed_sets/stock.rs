//! minisign as others have it: each reads keys and signatures of the other.

use std::path::Path;
use std::process::{Command, Stdio};

use ocm::workflow::key::{self, approve};

use super::Vault;
use crate::support::tools::{Tool, run};

/// Runs minisign, which is asked for a password.
fn with_password(command: &mut Command, password: &str) {
    use std::io::Write as _;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("minisign runs");
    child.stdin.take().expect("a pipe").write_all(format!("{password}\n{password}\n").as_bytes()).expect("written");
    assert!(child.wait().expect("it ends").success(), "{command:?}");
}

/// The documents of the last volume, unpacked as anybody can.
pub(crate) fn unpacked(volume: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    run(Command::new("tar").arg("-xf").arg(volume).arg("-C").arg(to).args(["SET.json", "SET.json.minisig"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn minisign_checks_what_ocm_signed() {
    if Tool::find("minisign").is_none() {
        return;
    }
    let mut vault = Vault::new();
    (2..6).for_each(|number| vault.add(number));
    let made = key::new(&vault.lab.folder("ours.key"), &[7; 72], None).expect("a key");
    let ours = key::open(&vault.lab.folder("ours.key"), &mut || panic!("it has no password")).expect("a key");
    vault.lab.settings.signer = Some(ours);
    let small = |request: &mut ocm::workflow::sync::Request| request.archive.volume_bytes = 64 << 10;
    vault.lab.sync_with(&[vault.from()], &vault.lab.path("disk"), small).await.expect("a set");
    let catalogue = vault.volumes("disk").into_iter().find(|path| path.to_string_lossy().contains(".c001.")).expect("a catalogue");
    let last = vault.volumes("disk").into_iter().rfind(|path| path.to_string_lossy().contains(".v")).expect("a volume");
    for (number, volume) in [catalogue, last].iter().enumerate() {
        let folder = vault.lab.folder(&format!("unpacked-{number}"));
        unpacked(volume, &folder);
        let check = |key: &[&str]| {
            let mut command = Tool::find("minisign").expect("it was there");
            run(command.args(["-V", "-m", "SET.json"]).args(key).current_dir(&folder))
        };
        let said = check(&["-P", &made.public_key]);
        assert!(said.contains("Trusted comment: ocm set ") && said.contains("lineage disk"), "{said}");
        check(&["-p", &vault.lab.path("ours.key.pub")]);
    }
    // And signs with our key what ocm then takes as an approval.
    let folder = vault.lab.folder("unpacked-1");
    let mut sign = Tool::find("minisign").expect("it was there");
    run(sign.args(["-S", "-m", "SET.json", "-x", "by-minisign.minisig", "-s"]).arg(vault.lab.path("ours.key")).current_dir(&folder));
    vault.lab.settings.signer = None;
    std::fs::write(vault.lab.folder("trust"), format!("{} builder *\n", made.public_key)).expect("a trust file");
    std::fs::copy(folder.join("by-minisign.minisig"), vault.lab.folder("disk/x.minisig")).expect("copied");
    vault.demand(&vault.lab.path("trust"), &["builder"], &[]);
    vault.deliver("disk", "out").await.expect("let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn ocm_signs_with_keys_of_minisign_and_takes_its_approvals() {
    let Some(mut generate) = Tool::find("minisign") else { return };
    let mut vault = Vault::new();
    vault.sync(Some(1), "disk").await.expect("a set");
    let (secret, public) = (vault.lab.folder("stock.key"), vault.lab.path("stock.pub"));
    run(generate.args(["-G", "-W", "-p", &public, "-s"]).arg(&secret));
    let stock = key::open(&secret, &mut || panic!("it has no password")).expect("a key");
    let facts = key::show(Path::new(&public), &mut || panic!("it is public")).expect("facts");
    assert_eq!((facts.id, facts.public_key), (stock.public().id().to_string(), stock.public().to_string()));
    // minisign leaves zeros at the front out.
    let id = stock.public().id().to_string();
    assert!(std::fs::read_to_string(&public).expect("a key").contains(id.trim_start_matches('0')), "minisign calls it the same");
    // One of ocm with a key of minisign, and one of minisign alone over what tar takes out.
    let approval = approve(&vault.lab.folder("disk"), None, &stock, None).expect("approved").file;
    vault.demand(&public, &["1"], &[]);
    vault.deliver("disk", "out").await.expect("let in");
    std::fs::remove_file(approval).expect("removed");
    vault.deliver("disk", "other").await.expect_err("nothing of that key is left");
    let folder = vault.lab.folder("unpacked");
    unpacked(&vault.volumes("disk").pop().expect("a volume"), &folder);
    run(Tool::find("minisign")
        .expect("it was there")
        .args(["-S", "-m", "SET.json", "-t", "vetted", "-s"])
        .arg(&secret)
        .current_dir(&folder));
    let theirs = folder.join("SET.json.minisig");
    vault.demand(&public, &["1"], &[&theirs]);
    vault.deliver("disk", "other").await.expect("let in");
    // The old kind, without a hash, does not count.
    run(Tool::find("minisign").expect("it was there").args(["-S", "-l", "-m", "SET.json", "-s"]).arg(&secret).current_dir(&folder));
    vault.demand(&public, &["1"], &[&theirs]);
    let error = vault.deliver("disk", "third").await.expect_err("refused");
    assert!(error.to_string().contains("of the old kind"), "{error}");
}

#[test]
fn passwords_of_one_open_keys_of_the_other() {
    let Some(mut generate) = Tool::find("minisign") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    with_password(generate.arg("-G").arg("-p").arg(path("stock.pub")).arg("-s").arg(path("stock.key")), "correct horse");
    let open = |password: &'static str| key::open(&path("stock.key"), &mut || Ok(password.as_bytes().to_vec()));
    let stock = open("correct horse").expect("a key");
    let facts = key::show(&path("stock.pub"), &mut || panic!("it is public")).expect("facts");
    assert_eq!(facts.public_key, stock.public().to_string());
    let made = key::new(&path("ours.key"), &[9; 72], Some(b"battery")).expect("a key");
    assert_eq!(made.protected, Some(true));
    std::fs::write(path("m"), "content").expect("a file");
    let mut sign = Tool::find("minisign").expect("it was there");
    with_password(sign.args(["-S", "-m", "m", "-s", "ours.key"]).current_dir(folder.path()), "battery");
    run(Tool::find("minisign").expect("it was there").args(["-V", "-m", "m", "-P", &made.public_key]).current_dir(folder.path()));
    let error = key::open(&path("ours.key"), &mut || Ok(b"staple".to_vec())).expect_err("refused");
    assert!(error.to_string().contains("the password is wrong"), "{error}");
}
