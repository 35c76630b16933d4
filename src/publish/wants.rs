//! [`Wants`]: which images of receipts are asked for by what, and at which name they are.
//!
//! **Invariants.** What is asked for, and how, follows from origin and role alone, as oc-mirror has it: a digest that was
//! written is asked for by digest, a tag that was written, or meant, by tag; a release by digest in any case.
//!
//! *Not here:* the rules that lead there (`rules`).

use std::collections::BTreeSet;

use serde::Serialize;

use crate::image::receipt::Received;
use crate::image::{Receipt, Reference, Repository, Role};
use crate::openshift::resources::{By, takes};

/// What an image is for, as far as documents are kept apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Category {
    /// Releases and their components.
    Release,
    /// Operators: bundles, and the images that these refer to.
    Operator,
    /// Everything else that a cluster runs.
    Generic,
    /// Catalogs. A cluster asks for them by the name at the destination, and only the next hop by that of the origin.
    Catalog,
}

/// A repository that images are asked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Want<'a> {
    pub(super) by: By,
    pub(super) category: Category,
    /// Where they are asked for.
    pub(super) source: &'a Repository,
    /// Where they are.
    pub(super) mirror: &'a Repository,
}

/// Everything that is asked for.
#[derive(Debug, Default)]
pub(super) struct Wants<'a> {
    /// What a cluster asks for.
    pub(super) cluster: BTreeSet<Want<'a>>,
    /// What a cluster asks for, or the next hop.
    pub(super) all: BTreeSet<Want<'a>>,
    /// What no mirror can give.
    pub(super) left_out: BTreeSet<LeftOut>,
}

/// An image that is at the destination, and that a cluster would not find there by the name of its origin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LeftOut {
    /// Where it came from.
    pub origin: Reference,
    /// Its name at the destination.
    pub name: Reference,
    /// Why.
    pub why: String,
}

impl Category {
    /// None for what nobody asks for by the name of an origin: it was made here, or is no image.
    fn of(role: Role) -> Option<Self> {
        match role {
            Role::Release | Role::Component => Some(Self::Release),
            Role::Bundle | Role::Related => Some(Self::Operator),
            Role::Image => Some(Self::Generic),
            Role::Catalog => Some(Self::Catalog),
            Role::Graph | Role::Chart | Role::Signature | Role::Config | Role::Answer => None,
        }
    }
}

impl<'a> Wants<'a> {
    /// What is asked for of these receipts.
    pub(super) fn of(receipts: &'a [Receipt]) -> Self {
        let mut wants = Self::default();
        for received in receipts.iter().flat_map(|receipt| &receipt.items) {
            // What is at its own place needs no other.
            if let Some(category) = Category::of(received.role).filter(|_| received.origin.repository() != received.name.repository()) {
                asked_by(received).for_each(|by| wants.put(received, category, by));
            }
        }
        wants
    }

    fn put(&mut self, received: &'a Received, category: Category, by: By) {
        let want = Want { by, category, source: received.origin.repository(), mirror: received.name.repository() };
        let lost = reason(received, by);
        if lost.is_none() {
            self.all.insert(want);
        }
        if category == Category::Catalog {
            return;
        }
        match lost.or_else(|| strange(&want)) {
            None => self.cluster.insert(want),
            Some(why) => self.left_out.insert(LeftOut { origin: received.origin.clone(), name: received.name.clone(), why }),
        };
    }
}

fn asked_by(received: &Received) -> impl Iterator<Item = By> {
    let (tag, digest) = (received.origin.tag().is_some(), received.origin.digest().is_some());
    let by_digest = digest || received.role == Role::Release;
    let by_tag = tag || !digest;
    by_digest.then_some(By::Digest).into_iter().chain(by_tag.then_some(By::Tag))
}

/// Why the image would not be found at its name, if so: a mirror stands for the repository, and tag and digest stay.
fn reason(received: &Received, by: By) -> Option<String> {
    match by {
        By::Digest => {
            let asked = received.origin.digest().filter(|asked| *asked != received.digest)?;
            Some(format!("it is asked for as {asked}, and the destination has it as {}", received.digest))
        }
        By::Tag => {
            let asked = received.origin.tag().unwrap_or("latest");
            match received.name.tag() {
                Some(tag) if tag == asked => None,
                Some(tag) => Some(format!("it is asked for by tag {asked}, and the destination has it as {tag}: no mirror changes tags")),
                None => Some(format!("it is asked for by tag {asked}, and the destination has it by digest alone")),
            }
        }
    }
}

/// Why a cluster would not take the names, if so.
fn strange(want: &Want<'_>) -> Option<String> {
    let name = [want.source, want.mirror].into_iter().find(|name| !takes(name))?;
    Some(format!("OpenShift takes no mirror of or at {}: an IPv6 address, or a host with an underscore", name.registry()))
}
