//! [`PublicKey`]: a key of sigstore, and whether it made a signature.
//!
//! **Invariants.** One key has one algorithm, which its file says: ECDSA with P-256 or P-384, or RSA of 2048 to 8192 bits, each with SHA-256,
//! as cosign signs.
//!
//! *Not here:* where signatures are (`attachments`). Certificates and logs (Fulcio, Rekor): what asks for them is refused (`document`).

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

use super::json::Why;

/// A public key.
pub(super) struct PublicKey(ParsedPublicKey);

impl PublicKey {
    /// Reads a PEM file.
    pub(super) fn read(pem: &[u8]) -> Why<Self> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| "there is no PEM block PUBLIC KEY in it".to_owned())?;
        let kinds: [&'static dyn VerificationAlgorithm; 3] =
            [&ECDSA_P256_SHA256_ASN1, &ECDSA_P384_SHA256_ASN1, &RSA_PKCS1_2048_8192_SHA256];
        let key = kinds.into_iter().find_map(|kind| ParsedPublicKey::new(kind, der.as_ref()).ok());
        key.map(Self).ok_or_else(|| "its kind is not supported: ECDSA with P-256 or P-384, and RSA of 2048 to 8192 bits are".to_owned())
    }

    /// Whether this key made `signature`, which is base64, of `payload`.
    pub(super) fn check(&self, payload: &[u8], signature: &str) -> Why<()> {
        let signature = STANDARD.decode(signature).map_err(|error| format!("its signature is no base64: {error}"))?;
        self.0.verify_sig(payload, &signature).map_err(|_| "it is not signed by a key of the policy".to_owned())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}
