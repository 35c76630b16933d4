//! What is attached to an item by tags: how it is looked for, and whether what must be attached is there.
//!
//! **Invariants.** A lookup that fails never costs an image; a person is told. What is not carried brings nothing of its own. An item whose
//! required attachments are not known to be there is not brought.
//!
//! *Not here:* which tags these are (`image::attachment`), referrers (`walk`).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use super::walk::{Found, Walker};
use crate::error::{Error, Result};
use crate::image::attachment::subject_of;
use crate::image::{Attachment, Descriptor, Digest, Manifest, Reference, Tagged};
use crate::monitor::Event;

/// A tag of what is attached, at the destination.
pub(super) struct Tag {
    pub(super) name: Reference,
    /// What it must be made to stand for, unless it does.
    pub(super) root: Option<Arc<Manifest>>,
}

/// Whether an image is signed: its root, by a tag of cosign or by a referrer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// It is, by somebody.
    Yes,
    /// It is not.
    No,
    /// It could not be told.
    Unknown,
}

/// What is known of the attachments of a root.
#[derive(Default)]
pub(super) struct Presence {
    there: BTreeSet<Attachment>,
    unknown: BTreeSet<Attachment>,
}

/// A kind of attachment, of a manifest.
type Question = (Digest, Attachment);

impl Walker<'_> {
    /// What the source has under the tags of cosign for the manifests of `tree`; and what signs a bill of materials found so.
    pub(super) async fn tagged(&mut self, tree: &[Digest]) -> Result<Vec<Tagged>> {
        let all = tree.iter().flat_map(|subject| Attachment::ALL.map(|kind| (*subject, kind)));
        let mut found = self.ask(all.collect()).await;
        let sboms = found.iter().filter(|((_, kind), _)| *kind == Attachment::Sbom);
        let of_sboms: BTreeSet<Question> = sboms.map(|(_, sbom)| (sbom.root.digest, Attachment::Signature)).collect();
        found.extend(self.ask(of_sboms.into_iter().collect()).await);
        let (questions, listed): (Vec<Question>, Vec<Tagged>) = found.into_iter().unzip();
        let doubtful = self.read(&listed).await?;
        for (question, tagged) in questions.into_iter().zip(&listed) {
            if let Some(error) = doubtful.iter().find_map(|(digest, error)| (*digest == tagged.root.digest).then_some(error)) {
                self.doubt(question, error);
            }
        }
        self.put(listed.into_iter().filter(|tagged| doubtful.iter().all(|(digest, _)| *digest != tagged.root.digest)))
    }

    /// What was pinned as attached by tags, as far as what it is attached to is carried.
    pub(super) async fn pinned_tagged(&mut self) -> Result<Vec<Tagged>> {
        let (mut subjects, mut listed): (HashSet<Digest>, Vec<Tagged>) = (self.placed.clone(), Vec::new());
        for tagged in &self.wanted.item.tagged {
            if subject_of(&tagged.tag).is_some_and(|(subject, _)| subjects.contains(&subject)) {
                subjects.insert(tagged.root.digest);
                listed.push(tagged.clone());
            }
        }
        self.stand(&listed).await?;
        self.bring(listed.iter().map(|tagged| tagged.root.clone()).collect(), false).await?;
        self.put(listed.into_iter())
    }

    /// Notices that a referrer that is placed is of some kind, if it refers to the root.
    pub(super) fn notice(&mut self, referrer: &Descriptor) {
        let subject = self.manifest(&referrer.digest).and_then(|manifest| manifest.subject()).map(|subject| subject.digest);
        // One that is at the destination already is not read; there it is taken for one of the root.
        if subject.is_none() || subject == self.wanted.item.digest() {
            self.presence.there.extend(Attachment::ALL.into_iter().filter(|kind| kind.is(referrer)));
        }
    }

    /// Fails where the root lacks an attachment that it must have.
    pub(super) fn check_required(&self) -> Result<()> {
        let place = self.wanted.source.place_of(&self.wanted.item.origin);
        for kind in &self.wanted.attachments.required {
            let why = match self.presence.of(*kind) {
                Signed::Yes => continue,
                Signed::No => format!("it has no {kind} in {place}, and one is required"),
                Signed::Unknown => format!("whether it has the {kind} that is required cannot be told in {place}"),
            };
            return Err(self.refused(why).hint("leave --require-attached out if you want it all the same"));
        }
        Ok(())
    }

    /// Whether the root is signed, if that was looked at.
    pub(super) fn signed(&self) -> Option<Signed> {
        (!self.wanted.attachments.removed).then(|| self.presence.of(Attachment::Signature))
    }

    /// Asks the source; what cannot be told is noted.
    async fn ask(&mut self, questions: Vec<Question>) -> Vec<(Question, Tagged)> {
        let (wanted, seek) = (self.wanted, self.seek);
        let named = questions.into_iter().filter_map(|(subject, kind)| Some(((subject, kind), kind.tag(&subject)?)));
        let one = |(question, tag): (Question, String)| async move { (question, seek.beside(wanted, &tag).await, tag) }.boxed();
        let mut running = stream::iter(named).map(one).buffered(seek.jobs());
        let mut found = Vec::new();
        while let Some((question, answer, tag)) = running.next().await {
            match answer {
                Ok(Some(root)) => found.push((question, Tagged { tag, root })),
                Ok(None) => {}
                Err(error) => self.doubt(question, &error),
            }
        }
        found
    }

    /// Notes that something cannot be told.
    fn doubt(&mut self, (subject, kind): Question, error: &Error) {
        if self.wanted.item.digest() == Some(subject) {
            self.presence.unknown.insert(kind);
        }
        let origin = &self.wanted.item.origin;
        if self.seek.is_news(origin.repository()) {
            let text = format!("{origin}: whether it has a {kind} cannot be told; it is brought as it is: {error}");
            self.monitor.event(Event::Warning(&text));
        }
    }

    /// Reads what was found; says what could not be read.
    async fn read(&mut self, listed: &[Tagged]) -> Result<Vec<(Digest, Error)>> {
        self.stand(listed).await?;
        let roots: Vec<Descriptor> = listed.iter().map(|tagged| tagged.root.clone()).collect();
        if self.bring(roots.clone(), false).await.is_ok() {
            return Ok(Vec::new());
        }
        let mut doubtful = Vec::new();
        for root in roots {
            if !self.placed.contains(&root.digest) {
                self.found.remove(&root.digest);
            }
            if let Err(error) = self.bring(vec![root.clone()], false).await {
                doubtful.push((root.digest, error));
            }
        }
        Ok(doubtful)
    }

    /// Finds out which of these tags stand for the same at the destination; what they stand for need not be read then.
    async fn stand(&mut self, listed: &[Tagged]) -> Result<()> {
        self.current = false;
        let (mut current, mut moved) = (HashSet::new(), HashSet::new());
        for tagged in listed {
            let name = self.wanted.name.repository().tagged(&tagged.tag)?;
            let stands = self.seek.stands_for(&name, &tagged.root.digest).await?;
            if stands {
                current.insert(tagged.root.digest)
            } else {
                moved.insert(tagged.root.digest)
            };
        }
        for digest in current.difference(&moved) {
            self.found.entry(*digest).or_insert(Found::There);
        }
        Ok(())
    }

    /// Puts these in their places, and notes their tags.
    fn put(&mut self, listed: impl Iterator<Item = Tagged>) -> Result<Vec<Tagged>> {
        let mut all = Vec::new();
        for tagged in listed {
            self.place(&tagged.root.digest, 0)?;
            let (name, root) = (self.wanted.name.repository().tagged(&tagged.tag)?, self.manifest(&tagged.root.digest).cloned());
            self.tags.push(Tag { name, root });
            if let Some((subject, kind)) = subject_of(&tagged.tag)
                && self.wanted.item.digest() == Some(subject)
            {
                self.presence.there.insert(kind);
            }
            all.push(tagged);
        }
        Ok(all)
    }
}

impl Presence {
    fn of(&self, kind: Attachment) -> Signed {
        match (self.there.contains(&kind), self.unknown.contains(&kind)) {
            (true, _) => Signed::Yes,
            (false, true) => Signed::Unknown,
            (false, false) => Signed::No,
        }
    }
}
