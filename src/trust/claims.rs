//! [`Claims`]: what a signature says of an image: its digest, and the name that it was signed for.
//!
//! **Invariants.** Claims are read from bytes whose signature holds, and from nothing else; what stands there besides is an error, as
//! in the library behind podman and skopeo, except below `optional`.
//!
//! *Not here:* whether the signature holds (`openpgp`, `sigstore`), whether the name is the right one (`identity`).

use super::identity::Identity;
use super::json::{Json, Why};
use crate::image::{Digest, Reference};

/// The type of what simple signing signs.
pub(super) const SIMPLE: &str = "atomic container signature";
/// The type of what cosign signs.
pub(super) const COSIGN: &str = "cosign container image signature";

/// What a signature says of an image.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    digest: String,
    reference: String,
}

impl Claims {
    /// Reads signed bytes, which must be of type `kind`.
    pub(super) fn read(payload: &[u8], kind: &str) -> Why<Self> {
        let mut top = Json::read(payload)?.object("payload")?;
        let mut critical = top.object("critical")?;
        let is = critical.text("type")?;
        if is != kind {
            return Err(format!("it signs {is:?}, which is not {kind:?}"));
        }
        let (mut image, mut identity) = (critical.object("image")?, critical.object("identity")?);
        let (digest, reference) = (image.text("docker-manifest-digest")?, identity.text("docker-reference")?);
        top.need("optional")?;
        [image, identity, critical, top].into_iter().try_for_each(|fields| fields.end())?;
        Ok(Self { digest, reference })
    }

    /// Whether it is for the manifest `digest` of the image that is called `name`.
    pub(super) fn check(&self, digest: &Digest, name: &Reference, identity: &Identity) -> Why<()> {
        if self.digest != digest.to_string() {
            return Err(format!("it is for the digest {:?}", self.digest));
        }
        let signed: Option<Reference> = self.reference.parse().ok();
        match signed.is_some_and(|signed| identity.accepts(name, &signed)) {
            true => Ok(()),
            false => Err(format!("it is for the name {:?}, which does not match by {identity}", self.reference)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(kind: &str, digest: &str, name: &str, more: &str) -> String {
        format!(
            r#"{{"critical":{{"type":"{kind}","image":{{"docker-manifest-digest":"{digest}"}},"identity":{{"docker-reference":"{name}"}}{more}}},"optional":null}}"#
        )
    }

    #[test]
    fn claims_hold_for_one_digest_and_name() {
        let (digest, name): (_, Reference) = (Digest::of(b"x"), "q.io/a:1".parse().expect("a name"));
        let read = |digest: &str, signed: &str| {
            let claims = Claims::read(payload(SIMPLE, digest, signed, "").as_bytes(), SIMPLE).expect("claims");
            claims.check(&Digest::of(b"x"), &name, &Identity::RepoDigestOrExact)
        };
        assert_eq!(read(&digest.to_string(), "q.io/a:1"), Ok(()));
        for (digest, signed, why) in [
            (Digest::of(b"y").to_string(), "q.io/a:1", "for the digest"),
            (String::new(), "q.io/a:1", "for the digest \"\""),
            (digest.to_string(), "q.io/a:2", "for the name \"q.io/a:2\", which does not match by matchRepoDigestOrExact"),
            (digest.to_string(), "NO NAME", "for the name"),
        ] {
            let error = read(&digest, signed).expect_err("refused");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_is_not_exactly_such_a_document_is_refused() {
        let digest = Digest::of(b"x").to_string();
        for (text, why) in [
            (payload(COSIGN, &digest, "q.io/a", ""), "it signs \"cosign container image signature\""),
            (payload(SIMPLE, &digest, "q.io/a", ",\"more\":1"), "payload.critical: field \"more\" is not known"),
            (payload(SIMPLE, &digest, "q.io/a", ",\"type\":\"x\""), "twice"),
            (payload(SIMPLE, &digest, "q.io/a", "").replace(",\"optional\":null", ""), "no field \"optional\""),
            ("[]".to_owned(), "payload: it is no object"),
            ("{".to_owned(), "EOF"),
        ] {
            let error = Claims::read(text.as_bytes(), SIMPLE).expect_err(&text);
            assert!(error.contains(why), "{error}");
        }
    }
}
