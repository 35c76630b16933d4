//! Manifests as a registry hands them out (OCI distribution-spec, "Pulling manifests").
//!
//! **Invariants.** A manifest is parsed only after its bytes had the digest asked for, or, for a tag, the digest that
//! the registry told. What is kept in memory has at most [`KEPT_BYTES`].
//!
//! *Not here:* putting manifests (`push`).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::connection::header::ACCEPT;
use super::connection::{Access, HeaderValue, Request, Response};
use super::host::{Answer, Document, Host, answered_digest, answered_length, media_type};
use super::refusal::Refusal;
use crate::error::{Error, Result};
use crate::image::manifest::{ACCEPTED, MAX_MANIFEST_BYTES, is_manifest_type};
use crate::image::{Descriptor, Digest, Manifest, Reference, Repository, Verified};

/// How many bytes of manifests fetched lately are kept.
const KEPT_BYTES: usize = 16 << 20;

impl Host {
    /// The manifest that a name stands for. The tag is asked for with HEAD, which costs no pull where pulls are
    /// counted; what HEAD leaves open, GET answers.
    pub(super) async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>> {
        let repository = name.repository();
        let request = accepting(Request::head(url(repository, &name.key()), Access::pull(repository)));
        let response = self.connection.send(request).await?;
        match response.status().as_u16() {
            404 => return Ok(None),
            200 => {
                if let Some(found) = announced(&response, name)? {
                    return Ok(Some(found));
                }
            }
            429 | 500.. => return Err(Refusal::read(response, &format!("resolve {name}")).await.into_error()),
            _ => {}
        }
        let found = self.fetch(repository, &name.key(), None).await?;
        Ok(found.map(|manifest| plain(manifest.descriptor())))
    }

    /// The manifest with this digest.
    pub(super) async fn manifest(&self, repository: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>> {
        if let Some(kept) = self.kept.get(repository, &wanted.digest) {
            return Ok(Some(kept));
        }
        if wanted.size > MAX_MANIFEST_BYTES {
            return Err(too_large(repository, wanted));
        }
        self.fetch(repository, &wanted.digest.to_string(), Some(wanted)).await
    }

    /// The manifest under a tag or digest; `wanted` is what is known of it before.
    pub(super) async fn fetch(&self, repository: &Repository, key: &str, wanted: Option<&Descriptor>) -> Result<Option<Manifest>> {
        let what = format!("manifest {key} of {repository}");
        let request = || accepting(Request::get(url(repository, key), Access::pull(repository)));
        let document = match self.document(request, MAX_MANIFEST_BYTES, &what).await? {
            Answer::Whole(document) => document,
            Answer::Refused(refusal) if refusal.is_absence() => return Ok(None),
            Answer::Refused(refusal) => return Err(refusal.into_error()),
        };
        let said = if is_manifest_type(&document.media_type) || wanted.is_none() {
            document.media_type.clone()
        } else {
            wanted.map(|wanted| wanted.media_type.clone()).unwrap_or_default()
        };
        let manifest = Manifest::parse(check(document, key, wanted, repository)?, &said).map_err(|error| error.context(repository))?;
        self.kept.put(repository, &manifest);
        Ok(Some(manifest))
    }
}

/// The address of a manifest.
pub(super) fn url(repository: &Repository, key: &str) -> String {
    format!("/v2/{}/manifests/{key}", repository.path())
}

/// `request`, asking for every kind of manifest.
pub(super) fn accepting(request: Request) -> Request {
    ACCEPTED.iter().fold(request, |request, kind| request.header(ACCEPT, HeaderValue::from_static(kind)))
}

/// What a HEAD answer says of a manifest; `None` where it says too little.
fn announced(response: &Response, name: &Reference) -> Result<Option<Descriptor>> {
    let kind = media_type(response.header("content-type"));
    let size = answered_length(response);
    let (Some(size), Some(said)) = (size, answered_digest(response)) else { return Ok(None) };
    if !is_manifest_type(&kind) {
        return Ok(None);
    }
    let asked = name.digest().unwrap_or(said);
    same(&asked, Some(said), &format!("manifest {name}"))?;
    Ok(Some(Descriptor::new(kind, asked, size)))
}

/// The document's bytes, once they have the digest that was asked for or told.
fn check(document: Document, key: &str, wanted: Option<&Descriptor>, repository: &Repository) -> Result<Verified<bytes::Bytes>> {
    let place = repository.to_string();
    let asked: Option<Digest> = wanted.map(|wanted| wanted.digest).or_else(|| key.parse().ok());
    match (asked, wanted.filter(|wanted| wanted.size > 0)) {
        (Some(asked), size) => {
            same(&asked, document.digest, &format!("manifest {key} of {place}"))?;
            match size {
                Some(wanted) => Verified::check(document.bytes, wanted, &place),
                None => Verified::check_digest(document.bytes, &asked, &place),
            }
        }
        (None, _) => match document.digest {
            Some(said) => Verified::check_digest(document.bytes, &said, &place),
            None => Ok(Verified::own(document.bytes)),
        },
    }
}

/// Refuses an answer whose digest, where it tells one of the same algorithm, is another than `asked`.
pub(super) fn same(asked: &Digest, said: Option<Digest>, what: &str) -> Result<()> {
    match said {
        Some(said) if said.algorithm() == asked.algorithm() && said != *asked => {
            Err(Error::damaged(format!("{what}: {asked} was asked for and the registry answers with {said}")))
        }
        _ => Ok(()),
    }
}

fn plain(found: &Descriptor) -> Descriptor {
    Descriptor::new(found.media_type.clone(), found.digest, found.size)
}

fn too_large(repository: &Repository, wanted: &Descriptor) -> Error {
    let (digest, size) = (wanted.digest, wanted.size);
    Error::failed(format!("manifest {digest} of {repository}: {size} bytes are more than the {MAX_MANIFEST_BYTES} that are taken"))
}

/// Manifests fetched lately, by repository and digest: a plan and its transfer read the same ones.
#[derive(Default)]
pub(super) struct Kept {
    manifests: Mutex<VecDeque<(Repository, Manifest)>>,
}

impl Kept {
    fn get(&self, repository: &Repository, digest: &Digest) -> Option<Manifest> {
        let kept = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|(home, manifest)| manifest.digest() == *digest && home == repository);
        found.map(|(_, manifest)| manifest.clone())
    }

    fn put(&self, repository: &Repository, manifest: &Manifest) {
        let mut kept = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((repository.clone(), manifest.clone()));
        let mut bytes: usize = kept.iter().map(|(_, manifest)| manifest.bytes().len()).sum();
        while bytes > KEPT_BYTES
            && let Some((_, oldest)) = kept.pop_front()
        {
            bytes -= oldest.bytes().len();
        }
    }
}
