//! [`RegistrySink`]: one registry that content is brought to (OCI distribution-spec, "Push").
//!
//! **Invariants.** A blob is pushed to a registry once and mounted everywhere else; of two tasks that bring the same
//! blob the second waits for the first. What the registry says that it took is what it was given. A manifest with a
//! subject is listed as its referrer, by the API or under the fallback tag, and never at the cost of an image.
//!
//! *Not here:* the order of steps (`plan`), how bytes go up (`upload`).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Registry;
use super::connection::header::CONTENT_TYPE;
use super::connection::{Access, Request, RequestBody};
use super::host::{Host, answered_digest, is_success, value};
use super::known::Known;
use super::manifests::{accepting, same, url};
use super::referrers::{Fallback, with_entry};
use super::refusal::Refusal;
use super::upload::{Session, Upload};
use crate::error::{Error, Result};
use crate::image::ends::{Moved, Rest};
use crate::image::place::digest_tag;
use crate::image::{Blob, Contents, Descriptor, Digest, Manifest, Reference, Repository, Sink};
use crate::monitor::Event;

/// One registry as a place to bring content to.
pub struct RegistrySink {
    name: String,
    host: Arc<Host>,
    known: Known,
}

/// How an attempt to mount ended.
enum Mount {
    /// The blob is there.
    Done,
    /// The registry opened an upload instead.
    Opened(Session),
    /// The registry would not.
    Refused,
}

impl RegistrySink {
    /// The registry `host`, over the connection that `registry` has to it. All names that it is given are of that
    /// host.
    pub fn new(registry: &Registry, host: &str) -> Result<Self> {
        Ok(Self { name: host.to_owned(), host: registry.host(host)?, known: Known::default() })
    }

    /// Brings a blob that is not in the repository: mounted from `from` where that works, pushed otherwise.
    async fn bring(&self, repository: &Repository, blob: &Blob, from: Option<Repository>, moved: &Moved) -> Result<()> {
        let session = match from {
            Some(from) => match self.mount(repository, &blob.descriptor().digest, &from).await? {
                Mount::Done => return Ok(()),
                Mount::Opened(session) => Some(session),
                Mount::Refused => None,
            },
            None => None,
        };
        Upload::new(&self.host, repository, blob, moved).run(session).await
    }

    /// Asks the registry to take a blob over from another of its repositories.
    async fn mount(&self, to: &Repository, content: &Digest, from: &Repository) -> Result<Mount> {
        let what = format!("mount blob {content} of {from} in {to}");
        let url = format!("/v2/{}/blobs/uploads/?mount={content}&from={}", to.path(), from.path());
        let response = self.host.connection.send(Request::post(url, Access::mount(from, to))).await?;
        match response.status().as_u16() {
            201 => same(content, answered_digest(&response), &what).map(|()| Mount::Done),
            202 => Session::of(&response, &what).map(Mount::Opened),
            // A refusal is about the other repository as often as about this one: the push that follows will show.
            _ => Ok(Mount::Refused),
        }
    }

    /// Puts a manifest under a tag or digest; whether the registry has listed it as a referrer.
    async fn put_under(&self, repository: &Repository, key: &str, manifest: &Manifest) -> Result<bool> {
        let what = format!("push manifest {key} to {repository}");
        let body = manifest.bytes().clone().into_inner();
        let mut waits = UNSETTLED_WAITS.iter();
        loop {
            let request = Request::put(url(repository, key), Access::push(repository))
                .header(CONTENT_TYPE, value(&manifest.descriptor().media_type)?)
                .body(RequestBody::Bytes(body.clone()));
            let response = self.host.connection.send(request).await?;
            if is_success(&response) {
                same(&manifest.digest(), answered_digest(&response), &what)?;
                return Ok(response.header("oci-subject").is_some());
            }
            let refusal = Refusal::read(response, &what).await;
            match waits.next().filter(|_| refusal.has("DIGEST_INVALID")) {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Err(named(refusal, manifest)),
            }
        }
    }

    /// Lists `manifest` as a referrer of `subject` where the registry does not do so itself.
    async fn attach(&self, repository: &Repository, manifest: &Manifest, subject: &Digest) -> Result<()> {
        if self.host.listed_referrers(repository, subject).await?.is_some() {
            return Ok(());
        }
        let turn = self.known.turn(*subject);
        let _held = turn.lock().await;
        let index = match self.host.fallback(repository, subject).await? {
            Fallback::Absent => with_entry(None, manifest.descriptor())?,
            Fallback::Index(there) => with_entry(Some(&there), manifest.descriptor())?,
            Fallback::Taken => {
                self.warn_unlisted(repository, subject);
                None
            }
        };
        match index {
            Some(index) => self.put_under(repository, &digest_tag(subject), &index).await.map(drop),
            None => Ok(()),
        }
    }

    fn warn_unlisted(&self, repository: &Repository, subject: &Digest) {
        let tag = digest_tag(subject);
        self.host.options.monitor.event(Event::Warning(&format!(
            "{repository}: the tag {tag} is that of an image, and the registry has no referrers API: what refers to the image is pushed and not listed"
        )));
    }

    /// Whether putting `root` under `tag` takes the place of a list of its referrers.
    async fn hides_referrers(&self, repository: &Repository, tag: &str, root: &Manifest) -> Result<bool> {
        if tag != digest_tag(&root.digest()) || self.host.lists_referrers.get() == Some(&true) {
            return Ok(false);
        }
        Ok(matches!(self.host.fallback(repository, &root.digest()).await?, Fallback::Index(_)))
    }
}

#[async_trait]
impl Sink for RegistrySink {
    fn place(&self) -> String {
        self.name.clone()
    }

    fn shares_blobs(&self) -> bool {
        false
    }

    fn names_bring_manifests(&self) -> bool {
        true
    }

    async fn current(&self, name: &Reference) -> Result<Option<Digest>> {
        let name = match name.tag() {
            Some(tag) => name.repository().tagged(tag)?,
            None => name.clone(),
        };
        Ok(self.host.resolve(&name).await?.map(|there| there.digest))
    }

    async fn has(&self, repository: &Repository, content: &Descriptor) -> Result<bool> {
        if self.known.is_in(&content.digest, repository) {
            return Ok(true);
        }
        let digest = content.digest;
        let request = match content.is_manifest() {
            true => accepting(Request::head(url(repository, &digest.to_string()), Access::pull(repository))),
            false => Request::head(format!("/v2/{}/blobs/{digest}", repository.path()), Access::pull(repository)),
        };
        let response = self.host.connection.send(request).await?;
        match response.status().as_u16() {
            200 => self.known.note(digest, repository),
            404 => return Ok(false),
            _ => return Err(Refusal::read(response, &format!("look for {digest} in {repository}")).await.into_error()),
        }
        Ok(true)
    }

    async fn put(&self, repository: &Repository, blob: &Blob, moved: &Moved) -> Result<Rest> {
        let content = blob.descriptor().digest;
        let turn = self.known.turn(content);
        // The first brings the blob, and the others wait: then they find it and mount it, side by side.
        let held = turn.lock().await;
        if self.known.is_in(&content, repository) {
            return Ok(None);
        }
        let (from, _held) = match self.known.anywhere(&content) {
            Some(from) => (Some(from), None),
            None => (Some(blob.repository().clone()).filter(|from| from.registry() == self.name && from != repository), Some(held)),
        };
        self.bring(repository, blob, from, moved).await?;
        self.known.note(content, repository);
        Ok(None)
    }

    async fn put_manifest(&self, repository: &Repository, manifest: &Manifest) -> Result<Rest> {
        let listed = self.put_under(repository, &manifest.digest().to_string(), manifest).await?;
        self.known.note(manifest.digest(), repository);
        if let Some(subject) = manifest.subject().filter(|_| !listed) {
            self.attach(repository, manifest, &subject.digest).await?;
        }
        Ok(None)
    }

    async fn point(&self, name: &Reference, root: &Manifest) -> Result<Rest> {
        let Some(tag) = name.tag() else { return Ok(None) };
        if self.hides_referrers(name.repository(), tag, root).await? {
            self.warn_unlisted(name.repository(), &root.digest());
        }
        self.put_under(name.repository(), tag, root).await?;
        self.known.note(root.digest(), name.repository());
        Ok(None)
    }

    async fn finish(self: Box<Self>, _: &Contents) -> Result<()> {
        Ok(())
    }
}

/// docker-registry writes the link of a manifest in place: an index that is checked while one of its manifests gets another
/// tag meets an empty link and is refused with `DIGEST_INVALID`. A moment later it is taken.
const UNSETTLED_WAITS: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

/// A refusal of a manifest, with what it usually means and the choice there is.
fn named(refusal: Refusal, manifest: &Manifest) -> Error {
    let (status, is_index) = (refusal.status(), !manifest.children().is_empty());
    let kind = manifest.descriptor().media_type.clone();
    let (absent, name) = (refusal.has("MANIFEST_BLOB_UNKNOWN"), refusal.has("NAME_INVALID"));
    let invalid = refusal.has("MANIFEST_INVALID") || refusal.has("UNSUPPORTED");
    let error = refusal.into_error();
    match status {
        400 | 404 if absent && is_index => error
            .note("the registry takes no index whose platforms are not all there")
            .hint("mirror all platforms of the image (name none), or one platform by its digest"),
        400 | 404 if absent => error.note("the registry says that it lacks a blob of this manifest").hint("run the same command again"),
        _ if name => error.note("the registry does not take this repository path; some take two components at most"),
        413 => error.note(format!("the manifest has {} bytes", manifest.bytes().len())),
        415 => error.note(format!("the registry does not take {kind}")).hint("push to a registry that takes OCI 1.1 content"),
        400 | 405 if invalid => error
            .note(format!("the registry may not take {kind}, or refuses what refers to it"))
            .hint("push to a registry that takes OCI 1.1 content"),
        _ => error,
    }
}
