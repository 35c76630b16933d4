//! Signed receipts: made, checked where they count, and read by stock minisign.

use std::path::Path;

use serde_json::Value;

use super::command::Signed;
use crate::support::registry::Registry;
use crate::support::tools::{Tool, run};

/// A home with keys, a trust file, and a registry whose receipt `lab.json` is signed by `builder.key`.
struct Received {
    signed: Signed,
    far: Registry,
}

impl Received {
    fn new() -> Option<Self> {
        let far = Registry::start()?;
        let received = Self { signed: Signed::new(), far };
        received.signed.done(&["sync", "-q", "disk", &received.place()]);
        let trust =
            format!("{} far {}/*\n{} near disk\n", received.signed.public("builder"), received.host(), received.signed.public("builder"));
        std::fs::write(received.path("trust"), trust).expect("a trust file");
        received.look(&["--sign", "builder.key"]);
        Some(received)
    }

    fn host(&self) -> String {
        format!("docker://{}", self.far.host())
    }

    fn place(&self) -> String {
        format!("{}/mirror", self.host())
    }

    fn path(&self, name: &str) -> String {
        self.signed.home.path(name)
    }

    fn look(&self, options: &[&str]) -> String {
        self.signed.done(&[&["receipt", &self.place(), "--to", "lab.json"], options].concat())
    }

    /// Flips a letter of the receipt that changes nothing of what it says but its time.
    fn forge(&self) {
        let text = std::fs::read_to_string(self.path("lab.json")).expect("a receipt");
        std::fs::write(self.path("lab.json"), text.replacen("\"time\": \"20", "\"time\": \"21", 1)).expect("changed");
    }

    /// Every verb that takes a receipt, as far as it counts there.
    fn verbs(&self) -> [Vec<String>; 4] {
        let from = format!("oci:{}", self.signed.layout.path().display());
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        [
            words(&format!("sync -q {from} out --since lab.json --trust trust --require-signature=far")),
            words(&format!("plan {from} out --since lab.json --trust trust --require-signature=far")),
            words("diff lab.json disk --trust trust"),
            words("verify lab.json --trust trust --require-signature=far"),
        ]
    }

    /// Exit code and all that each of them says.
    fn run(&self, verb: &[String]) -> (Option<i32>, String) {
        let words: Vec<&str> = verb.iter().map(String::as_str).collect();
        let (code, out, err) = self.signed.home.run(&words);
        (code, out + &err)
    }
}

#[test]
fn minisign_checks_the_receipts_of_looks_and_of_pushes() {
    if Tool::find("minisign").is_none() {
        return;
    }
    let Some(received) = Received::new() else { return };
    let check = |file: &str| {
        let mut command = Tool::find("minisign").expect("it was there");
        run(command.args(["-V", "-m", file, "-p", &received.path("builder.key.pub")]))
    };
    let said = check(&received.path("lab.json"));
    assert!(said.contains("Trusted comment: ocm receipt sha256:"), "{said}");
    assert!(said.contains(&format!("destination {}", received.place())), "{said}");
    let pushed = received.signed.done(&["sync", "-o", "json", "--sign", "builder.key", "disk", &received.place()]);
    let pushed: Value = serde_json::from_str(&pushed).expect("json");
    let receipt = pushed["receipt"].as_str().expect("a receipt");
    check(receipt);
    received.signed.done(&["verify", receipt, "--trust", "trust", "--require-signature=far"]);
    // And what minisign signs counts here: beside the receipt, and elsewhere as an approval.
    let sign = |to: &str| {
        let mut command = Tool::find("minisign").expect("it was there");
        run(command.args(["-S", "-m", &received.path("lab.json"), "-x", &received.path(to), "-s", &received.path("auditor.key")]));
    };
    received.signed.trust();
    sign("other.minisig");
    let asked = ["verify", "lab.json", "--trust", "trust", "--require-signature=auditor"];
    assert_eq!(received.signed.home.run(&asked).0, Some(5));
    received.signed.done(&[&asked[..], &["--approval", "other.minisig"]].concat());
    sign("lab.json.minisig");
    received.signed.done(&asked);
}

#[test]
fn a_receipt_without_what_is_asked_for_is_built_on_nowhere() {
    let Some(received) = Received::new() else { return };
    let signature = received.path("lab.json.minisig");
    let kept = std::fs::read(&signature).expect("a signature");
    let id = received.signed.id("builder");
    std::fs::remove_file(&signature).expect("removed");
    for verb in received.verbs() {
        let (code, said) = received.run(&verb);
        assert_eq!(code, Some(5), "{verb:?}: {said}");
        let lacks = if verb[0] == "diff" { "1 of 1 key (there: 0)" } else { "1 of 1 key of role far (there: 0)" };
        assert!(said.contains(lacks), "{verb:?}: {said}");
        let refused = format!("error: receipt lab.json of {}: it is not signed as it must be: it lacks", received.place());
        assert!(verb[0] == "verify" || (said.contains(&refused) && said.contains("hint:")), "{verb:?}: {said}");
    }
    std::fs::write(&signature, &kept).expect("put back");
    received.forge();
    for verb in received.verbs() {
        let (code, said) = received.run(&verb);
        assert_eq!(code, Some(4), "{verb:?}: {said}");
        assert!(said.contains("it is not of these bytes, or was changed"), "{verb:?}: {said}");
    }
    // By a key that is trusted for sets alone, and by one that nobody knows.
    received.look(&["--sign", "auditor.key"]);
    for (trust, why) in [
        (format!("{} far *\n", received.signed.public("builder")), "not trusted"),
        (
            format!("{} far *\n{} far disk\n", received.signed.public("builder"), received.signed.public("auditor")),
            "trusted for other lineages",
        ),
    ] {
        std::fs::write(received.path("trust"), trust).expect("a trust file");
        for verb in received.verbs() {
            let (code, said) = received.run(&verb);
            assert!(code == Some(5) && said.contains(why), "{verb:?}: {code:?} {said}");
        }
    }
    let written = std::fs::read_dir(received.path("out"))
        .map(|entries| entries.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "tar")).count());
    assert_eq!(written.unwrap_or(0), 0, "nothing was written");
    received.look(&["--sign", "builder.key"]);
    for verb in received.verbs() {
        let (code, said) = received.run(&verb);
        assert_eq!(code, Some(0), "{verb:?}: {said}");
        let told = format!("receipt lab.json  {} at ", received.place());
        let by = format!("signature by {id} (far): trusted");
        assert!(verb[0] != "verify" || (said.contains(&told) && said.contains(&by)), "{said}");
    }
}

#[test]
fn who_signed_a_receipt_is_told_also_where_nobody_asks() {
    let Some(received) = Received::new() else { return };
    let id = received.signed.id("builder");
    let out = received.signed.done(&["verify", "lab.json"]);
    assert!(out.starts_with("receipt lab.json  ") && out.ends_with(&format!("   signature by {id}: not checked\n")), "{out}");
    let json: Value = serde_json::from_str(&received.signed.done(&["verify", "lab.json", "disk", "-o", "json"])).expect("json");
    let receipt = &json["receipts"][0];
    assert_eq!((receipt["destination"].as_str(), receipt["class"].as_str()), (Some(received.place().as_str()), Some("done")));
    assert_eq!(
        (receipt["signatures"][0]["key"].as_str(), receipt["signatures"][0]["standing"].as_str()),
        (Some(id.as_str()), Some("notChecked"))
    );
    assert_eq!(json["signatures"].as_array().map(Vec::len), Some(1), "the set beside it has its own");
    // A new one without a key is not left beside the signature of the one before.
    let out = received.look(&[]);
    assert!(!out.contains("signed by") && !Path::new(&received.path("lab.json.minisig")).exists(), "{out}");
    assert!(received.signed.done(&["verify", "lab.json"]).ends_with("   not signed\n"));
    let json: Value = serde_json::from_str(&received.look(&["--sign", "builder.key", "-o", "json"])).expect("json");
    assert_eq!((json["signature"].as_str(), json["signedBy"].as_str()), (Some("lab.json.minisig"), Some(id.as_str())));
    let signed = received.look(&["--sign", "builder.key"]);
    assert!(signed.contains(&format!("  signed by {id}\n")), "{signed}");
    // What begins as a document and is no receipt is damage, as any file is that is not what it should be.
    std::fs::write(received.path("cut.json"), "{\"destination\": \"docker://lab").expect("a file");
    let (code, out, _) = received.signed.home.run(&["verify", "cut.json"]);
    assert!(code == Some(4) && out.contains("cut.json   NOT READABLE") && out.contains("nor a receipt"), "{code:?} {out}");
}

#[test]
fn keys_and_demands_that_would_count_for_nothing_are_refused() {
    let Some(received) = Received::new() else { return };
    let (host, place) = (received.host(), received.place());
    let from = format!("oci:{}", received.signed.layout.path().display());
    for (arguments, why, hint) in [
        (&["receipt", &place, "--sign", "builder.key"][..], "--sign: a receipt that is only printed", "name a file with --to FILE"),
        (&["sync", &from, &place, "--since", "lab.json", "--trust", "trust"], "and this is no archive", "leave --trust out"),
        (&["sync", &from, "out", "--since", "disk", "--trust", "trust"], "and this is no archive", "a receipt with --since"),
        (&["diff", &from, &host, "--trust", "trust"], "neither is one", "leave --trust out"),
    ] {
        let (code, _, err) = received.signed.home.run(arguments);
        assert!(code == Some(2) && err.contains(why) && err.contains(hint), "{arguments:?}: {code:?} {err}");
    }
    // A variable does as an option does; and sets that are compared are judged as receipts are.
    let mut command = received.signed.home.command(&["receipt", &place]);
    let said = command.env("OCM_SIGN", "builder.key").env("OCM_TO", "again.json").output().expect("ocm runs");
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    assert!(Path::new(&received.path("again.json.minisig")).exists());
    std::fs::write(received.path("strict"), format!("{} far {host}/*\n", received.signed.public("builder"))).expect("a trust file");
    let (code, _, err) = received.signed.home.run(&["diff", "lab.json", "disk", "--trust", "strict"]);
    assert!(code == Some(5) && err.contains("error: set 1 of \"disk\": it is not signed as it must be"), "{code:?} {err}");
}

#[test]
fn a_key_with_a_password_signs_a_receipt() {
    let Some(received) = Received::new() else { return };
    std::fs::write(received.path("word"), "correct horse\n").expect("a password");
    received.signed.done(&["key", "new", "--password-file", "word", "kept.key"]);
    received.look(&["--sign", "kept.key", "--password-file", "word"]);
    received.signed.done(&["verify", "lab.json", "--trust", &received.signed.public("kept")]);
}
