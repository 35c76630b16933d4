//! Keys, signatures and policies of others, below `$OCM_TEST_DATA`.

use std::io::Write as _;
use std::path::PathBuf;

use ocm::trust::{Keyring, check};

/// Signatures that Red Hat and others made, the file with their keys, and a word on what is wrong with them.
const SIGNATURES: [(&str, &str, Result<&str, &str>); 7] = [
    ("real-release-signatures/sha256=0da6316466d60a3a4535d5fed3589feb0391989982fba59d47d4c729912d6363/signature-1", REDHAT, Ok("4.15")),
    (
        "library-go-verify-testdata/signatures/sha256=e3f12513a4b22a2d7c0e7c9207f52128113758d9d68c7d06b11a0ac7672966f7/signature-1",
        REDHAT,
        Ok("e3f12513a4b2"),
    ),
    ("oc-mirror/tests/unit/testdata/noo-bundle-image/signature-1", REDHAT, Ok("atomic container signature")),
    ("oc-mirror/tests/unit/testdata/noo-bundle-image/signature-4", REDHAT, Ok("atomic container signature")),
    (
        "oc-mirror/tests/integration/keys/v0.0.1-sha256-2352c020dacb945a96cf665e553644f3a3c39341b636a4d9ef1653944fd9de1f",
        "oc-mirror/tests/integration/keys/release-pk.asc",
        Ok("2352c020dacb"),
    ),
    (
        "library-go-verify-testdata/signatures/sha256=edd9824f0404f1a139688017e7001370e2f3fbc088b94da84506653b473fe140/signature-1",
        "library-go-verify-testdata/keyrings/simple.txt",
        Err("the key has expired"),
    ),
    (
        "real-release-signatures/sha256=0da6316466d60a3a4535d5fed3589feb0391989982fba59d47d4c729912d6363/signature-1",
        "library-go-verify-testdata/keyrings/simple.txt",
        Err("it is by key 199E2F91FD431D51"),
    ),
];
const REDHAT: &str = "cluster-update-keys/keys/verifier-public-key-redhat-release";

/// A time at which none of these has expired that does not say so, in 2026.
const NOW: u64 = 1_795_000_000;

fn data(below: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("OCM_TEST_DATA").map(|data| PathBuf::from(data).join(below)).filter(|folder| folder.is_dir());
    if folder.is_none() {
        writeln!(std::io::stderr(), "skipped: OCM_TEST_DATA names no directory with {below}").expect("stderr is open in a test");
    }
    folder
}

#[test]
fn signatures_of_versions_3_and_4_that_others_made_hold_and_no_flipped_bit_does() {
    let Some(folder) = data("signatures") else { return };
    for (name, keys, expected) in SIGNATURES {
        let mut ring = Keyring::default();
        ring.add(&std::fs::read(folder.join(keys)).expect("keys")).expect(keys);
        let signature = std::fs::read(folder.join(name)).expect("a signature");
        match (ring.open(&signature, NOW), expected) {
            (Ok(content), Ok(words)) => assert!(String::from_utf8_lossy(&content).contains(words), "{name}"),
            (Err(why), Err(words)) => assert!(why.contains(words), "{name}: {why}"),
            (is, _) => panic!("{name}: {is:?}"),
        }
        for at in 0..signature.len() {
            let mut flipped = signature.clone();
            flipped[at] ^= 1 << (at % 8);
            let good = ring.open(&signature, NOW).ok();
            assert!(ring.open(&flipped, NOW).ok().is_none_or(|content| Some(content) == good), "{name}: flipped at {at}");
        }
    }
}

#[test]
fn all_keys_of_others_are_read() {
    let Some(folder) = data("signatures/cluster-update-keys/keys") else { return };
    for entry in std::fs::read_dir(folder).expect("a directory") {
        let path = entry.expect("an entry").path();
        let mut ring = Keyring::default();
        ring.add(&std::fs::read(&path).expect("a key")).expect("a key");
        ring.check().unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    }
}

#[test]
fn policies_of_others_are_read_or_refused_for_what_is_not_supported() {
    let Some(folder) = data("registries-config/containers-image") else { return };
    let read = |name: &str| check(&std::fs::read(folder.join(name)).expect("a policy")).map_err(|error| error.to_string());
    assert_eq!(read("default-policy.json"), Ok(()));
    let why = read("signature/fixtures/policy.json").expect_err("it names keys that are not here");
    assert!(why.contains("transports.docker[\"example.com/production\"][0].keyPath: /keys/employee-gpg-keyring: it is not there"), "{why}");
}
