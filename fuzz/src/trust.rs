//! What decides whether an image or a set is accepted: policies, keys and signatures of OpenPGP and minisign, trust files.

use ocm::trust::minisign::{PublicKey, Signature};
use ocm::trust::secret::{NewKey, SecretKey};
use ocm::trust::signers::Signers;
use ocm::trust::{Keyring, check};

/// Reads a policy.
pub fn policy(bytes: &[u8]) {
    if let Err(error) = check(bytes) {
        assert!(!error.to_string().is_empty(), "a refusal says why");
    }
}

/// Policies with every kind of requirement that needs no file.
pub fn policies() -> Vec<Vec<u8>> {
    let signed = |kind: &str, key: &str| format!(r#"{{"type":"{kind}","keyType":"GPGKeys","keyData":"{key}"}}"#);
    let (accept, reject) = (r#"{"type":"insecureAcceptAnything"}"#, r#"{"type":"reject"}"#);
    let whole = format!(
        r#"{{"default":[{reject}],"transports":{{"docker":{{"":[{accept}],"q.io/a":[{},{}]}},"oci":{{"/x":[{accept}]}}}}}}"#,
        signed("signedBy", "mQENBFx"),
        signed("sigstoreSigned", "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0K"),
    );
    vec![whole.into_bytes(), format!(r#"{{"default":[{accept}]}}"#).into_bytes()]
}

/// Reads the bytes as keys, and opens them as a message by those that it holds.
pub fn openpgp(bytes: &[u8]) {
    let mut ring = Keyring::default();
    let read = ring.add(bytes);
    assert!(read.is_err() || ring.check().is_err(), "no mutation vouches for itself");
    assert!(ring.open(bytes, 1_700_000_000).is_err(), "nobody signed this");
}

/// A key without signatures, a signed message, and the same in all forms of lengths.
pub fn openpgps() -> Vec<Vec<u8>> {
    let number = [&[8, 0][..], &[0xc5; 256]].concat();
    let key = [&[4, 0x5c, 0, 0, 0, 1][..], &number, &[0, 17, 1, 0, 1]].concat();
    let literal = [&b"b\0\0\0\0\0"[..], b"{\"critical\":{}}"].concat();
    let dated = [5, 2, 0x5c, 0, 0, 0];
    let signature = [&[4, 0, 1, 8, 0, 6][..], &dated, &[0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0xab, 0xcd], &number].concat();
    let third = [&[3, 5, 0, 0x5c, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 8, 0xab, 0xcd][..], &number].concat();
    let packet = |tag: u8, body: &[u8]| [&[0xc0 | tag, 0xff][..], &u32::try_from(body.len()).expect("short").to_be_bytes(), body].concat();
    let message = [packet(4, &[3, 0, 8, 1, 1, 2, 3, 4, 5, 6, 7, 8, 1]), packet(11, &literal), packet(2, &signature)].concat();
    let certificate = [packet(6, &key), packet(13, b"a@test"), packet(2, &signature), packet(14, &key)].concat();
    let stored = packet(8, &[&[0][..], &message].concat());
    vec![certificate, message.clone(), stored, [packet(2, &third), packet(11, &literal)].concat()]
}

/// The key that signs the seeds, and what it signs.
fn signer() -> (SecretKey, &'static [u8]) {
    (SecretKey::new(&NewKey { id: [1; 8], seed: &[2; 32] }).expect("a key"), b"content")
}

/// Reads the bytes as a signature, which is that of the seeds, or does not verify.
pub fn minisign(bytes: &[u8]) {
    let (key, content) = signer();
    let Ok(signature) = Signature::read(bytes) else { return };
    assert_eq!(Signature::read(signature.file().as_bytes()).as_ref(), Ok(&signature), "it comes back from its file");
    if key.public().verify(&signature, content).is_ok() {
        assert!(
            signature == key.sign(content, signature.comment()) && ["", "a comment"].contains(&signature.comment()),
            "nobody else signed"
        );
    }
}

/// Signatures with a comment and without.
pub fn minisigns() -> Vec<Vec<u8>> {
    let (key, content) = signer();
    ["a comment", ""].map(|comment| key.sign(content, comment).file().into_bytes()).into()
}

/// Reads the bytes as a public and as a secret key; no password is tried, which takes a second.
pub fn minisign_key(bytes: &[u8]) {
    if let Ok(key) = PublicKey::read(bytes) {
        assert_eq!(PublicKey::read(key.to_string().as_bytes()), Ok(key));
    }
    if let Ok(false) = SecretKey::is_protected(bytes)
        && let Ok(key) = SecretKey::read(bytes, None)
    {
        let file = key.file(None).expect("a file");
        assert_eq!(SecretKey::read(file.as_bytes(), None).expect("a key").public(), key.public());
    }
    assert!(SecretKey::is_protected(bytes) != Ok(true) || SecretKey::read(bytes, None).is_err(), "a password is not passed over");
}

/// Keys of both kinds, one of them protected.
pub fn minisign_keys() -> Vec<Vec<u8>> {
    let (key, _) = signer();
    let plain = key.file(None).expect("a file");
    let kept = key.file(Some((b"password", [3; 32]))).expect("a file");
    let public = key.public();
    vec![plain.as_bytes().to_vec(), kept.as_bytes().to_vec(), public.file().into_bytes(), public.to_string().into_bytes()]
}

/// Reads a trust file.
pub fn trust_file(bytes: &[u8]) {
    match Signers::read("trust", bytes) {
        Ok(signers) => assert!(signers.keys_of(None) > 0, "one that says nothing is refused"),
        Err(error) => assert!(error.to_string().starts_with("trust:"), "a refusal says where"),
    }
}

/// Trust files with comments, several roles and patterns.
pub fn trust_files() -> Vec<Vec<u8>> {
    let key = signer().0.public();
    vec![format!("# a\n{key} builder disk lab-*  # b\n\n\t{key} auditor *\n").into_bytes(), format!("{key} x ?").into_bytes()]
}
