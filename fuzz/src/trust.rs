//! What decides whether an image is accepted: policies, and keys and signatures of OpenPGP.

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
