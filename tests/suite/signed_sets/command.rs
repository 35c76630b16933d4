//! Keys and demands, as a person types them.

use std::os::unix::fs::PermissionsExt as _;

use crate::serve::Home;
use crate::support::disks::{ReadOnly, can_mount};
use crate::support::images::{Image, Layout};

/// A home with a signed set in `disk`, by `builder.key`, and a key for an auditor.
pub(super) struct Signed {
    pub(super) home: Home,
    pub(super) layout: Layout,
}

impl Signed {
    pub(super) fn new() -> Self {
        let (home, layout) = (Home::new(), Layout::new());
        let root = layout.image(&Image::generated(1, 50_000));
        layout.tag("lab.test/app:1", &root);
        let signed = Self { home, layout };
        for key in ["builder", "auditor"] {
            let out = signed.done(&["key", "new", "--no-password", &format!("{key}.key")]);
            assert!(out.contains("NOT protected by a password"), "{out}");
        }
        let from = format!("oci:{}", signed.layout.path().display());
        let out = signed.done(&["sync", "-q", "--sign", "builder.key", &from, "disk"]);
        assert!(out.contains(&format!("  signed by {}\n", signed.id("builder"))), "{out}");
        signed
    }

    /// What a run that succeeds prints.
    pub(super) fn done(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.home.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {err}");
        out
    }

    pub(super) fn public(&self, key: &str) -> String {
        let text = std::fs::read_to_string(self.home.path(&format!("{key}.key.pub"))).expect("a key");
        text.lines().nth(1).expect("a line").to_owned()
    }

    pub(super) fn id(&self, key: &str) -> String {
        let out = self.done(&["key", "show", &format!("{key}.key")]);
        out.lines().next().expect("a line").trim_start_matches("key ").to_owned()
    }

    pub(super) fn trust(&self) {
        let text = format!("# whose sets we take\n{} builder disk\n{} auditor *\n", self.public("builder"), self.public("auditor"));
        std::fs::write(self.home.path("trust"), text).expect("a trust file");
    }
}

#[test]
fn keys_are_for_their_owner_alone_and_never_written_over() {
    let signed = Signed::new();
    let path = signed.home.path("builder.key");
    let before = std::fs::read(&path).expect("a key");
    assert_eq!(std::fs::metadata(&path).expect("a key").permissions().mode() & 0o777, 0o600);
    let (code, _, err) = signed.home.run(&["key", "new", "--no-password", "builder.key"]);
    assert!(code == Some(2) && err.contains("keys are never written over"), "{err}");
    std::fs::remove_file(&path).expect("removed");
    let (code, _, err) = signed.home.run(&["key", "new", "--no-password", "builder.key"]);
    assert!(code == Some(2) && err.contains("builder.key.pub: it is there already"), "{err}");
    assert!(!std::path::Path::new(&path).exists());
    std::fs::write(&path, &before).expect("put back");
    assert_eq!(
        signed.done(&["key", "show", "builder.key"]).lines().nth(1),
        signed.done(&["key", "show", "builder.key.pub"]).lines().nth(1)
    );
    let json: serde_json::Value = serde_json::from_str(&signed.done(&["key", "show", "builder.key", "-o", "json"])).expect("json");
    assert_eq!((json["publicKey"].as_str(), json["protected"].as_bool()), (Some(signed.public("builder").as_str()), Some(false)));
    // Nobody is at the terminal, and a password is read from a file alone.
    std::fs::write(signed.home.path("word"), "correct horse\n").expect("a password");
    signed.done(&["key", "new", "--password-file", "word", "kept.key"]);
    let out = signed.done(&["key", "show", "--password-file", "word", "kept.key"]);
    assert!(out.contains("protected by a password") && !out.contains("NOT"), "{out}");
    std::fs::write(signed.home.path("wrong"), "staple\n").expect("a password");
    let (code, _, err) = signed.home.run(&["key", "show", "--password-file", "wrong", "kept.key"]);
    assert!(code == Some(2) && err.contains("the password is wrong") && !err.contains("staple"), "{err}");
}

#[test]
fn sets_without_what_is_asked_for_are_neither_brought_nor_served_nor_shown() {
    let signed = Signed::new();
    signed.trust();
    let asked = ["--trust", "trust", "--require-signature=builder", "--require-signature=auditor=1"];
    std::fs::create_dir(signed.home.path("view")).expect("a folder");
    for verb in [&["sync", "disk", "oci:out"][..], &["serve", "--listen", "127.0.0.1:0", "disk"], &["mount", "disk", "view"]] {
        let (code, out, err) = signed.home.run(&[verb, &asked].concat());
        assert!(code == Some(5) && out.is_empty(), "{verb:?}: {code:?} {out} {err}");
        assert!(
            err.contains("error: set 1 of \"disk\": it is not signed as it must be: it lacks 1 of 1 key of role auditor (there: 0)"),
            "{err}"
        );
        assert!(
            err.contains(&format!("there: signature by {} (builder): trusted", signed.id("builder"))) && err.contains("hint:"),
            "{err}"
        );
    }
    assert!(!std::path::Path::new(&signed.home.path("out")).exists());
    let (code, out, _) = signed.home.run(&[&["verify", "disk"][..], &asked].concat());
    assert!(code == Some(5) && out.contains("  LACKS 1 of 1 key of role auditor (there: 0)\n"), "{out}");
    let out = signed.done(&["key", "approve", "disk", "--key", "auditor.key"]);
    let root =
        out.lines().find_map(|line| line.trim().strip_prefix("root   ")).expect("a root").split(' ').next().expect("a label").to_owned();
    for verb in [&["sync", "-q", "disk", "oci:out"][..], &["verify", "disk"]] {
        let out = signed.done(&[verb, &asked].concat());
        assert!(out.contains(&root), "{out}");
    }
    for verb in ["ls", "inspect", "verify"] {
        let out = signed.done(&[verb, "disk"]);
        assert!(out.contains(&root) && out.contains(&signed.id("builder")), "{out}");
    }
    let served = signed.home.serve(&[&asked[..], &["-o", "json", "disk"]].concat());
    drop(served);
    // Variables do as options do; a key alone is enough, and what cannot be met is told at once.
    let mut command = signed.home.command(&["verify", "disk"]);
    let said = command.env("OCM_TRUST", "trust").env("OCM_REQUIRE_SIGNATURE", "builder,2").output().expect("ocm runs");
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    signed.done(&["verify", "disk", "--trust", &signed.public("builder")]);
    for (arguments, code, why) in [
        (&["verify", "disk", "--require-signature"][..], 2, "whose signatures count is not said"),
        (&["verify", "disk", "--trust", "trust", "--require-signature=owner"], 2, "1 key of role owner must sign, and there are 0"),
        (&["verify", "disk", "--trust", "trust", "--require-signature=3"], 2, "3 keys must sign, and there are 2"),
        (&["verify", "disk", "--trust", "trust", "--require-signature=auditor=x"], 2, "is no demand for signatures"),
        (&["verify", "disk", "--trust", "nowhere"], 2, "neither a key nor a file"),
        (&["sync", "--sign", "builder.key.pub", "disk", "oci:x"], 2, "builder.key.pub: "),
        (&["sync", "--sign", "nowhere", "disk", "oci:x"], 1, "key nowhere: No such file"),
    ] {
        let (found, _, err) = signed.home.run(arguments);
        assert!(found == Some(code) && err.contains(why), "{arguments:?}: {found:?} {err}");
    }
    std::fs::write(signed.home.path("bad"), format!("\n{} builder\n", signed.public("builder"))).expect("a trust file");
    let (code, _, err) = signed.home.run(&["verify", "disk", "--trust", "bad"]);
    assert!(code == Some(2) && err.contains("error: bad:2:65: what the key counts for is missing"), "{err}");
}

#[test]
fn a_set_on_read_only_media_is_approved_elsewhere() {
    let signed = Signed::new();
    signed.trust();
    if !can_mount() {
        return;
    }
    let disk = ReadOnly::new(&signed.home.path("disk"));
    let read_only = |arguments: &[&str]| {
        let (code, out, err) = signed.home.run(arguments);
        (code, out + &err)
    };
    let (code, said) = read_only(&["key", "approve", "disk", "--key", "auditor.key"]);
    assert!(code == Some(1) && said.contains("Read-only file system") && said.contains("hint:"), "{code:?} {said}");
    let (code, said) = read_only(&["key", "approve", "disk@1", "--key", "auditor.key", "--to", "ok.minisig"]);
    assert!(code == Some(0) && said.contains("is approved by"), "{said}");
    let (code, said) = read_only(&["verify", "disk", "--trust", "trust", "--require-signature=auditor", "--approval", "ok.minisig"]);
    assert!(code == Some(0) && said.contains("(auditor): trusted, in ok.minisig"), "{said}");
    drop(disk);
}
