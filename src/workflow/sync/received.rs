//! [`Run`]: what a push has brought to its destination, as a receipt says it.
//!
//! **Invariants.** What is not known in the end is left out, with a warning: a receipt that knows less costs bytes later, a
//! failure now would cost the receipt. Where the receipt before is of the same items and manifests, nobody is asked.
//!
//! *Not here:* where receipts are kept (`workspace`).

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use super::Settings;
use super::origins::Origins;
use crate::error::Result;
use crate::image::receipt::{Received, Stored};
use crate::image::{Descriptor, Manifest, Receipt, Source};
use crate::monitor::Event;
use crate::plan::Carried;
use crate::plan::holdings::Holdings;
use crate::transfer::{Outcome, Report};

/// What a run has brought, and from where and whereto.
pub(super) struct Run<'a> {
    pub(super) report: &'a Report,
    /// The manifests of each item.
    pub(super) carried: &'a [Vec<Carried>],
    /// Where the manifests of each item can be read without asking a registry for them.
    pub(super) sources: &'a [Option<Arc<dyn Source>>],
    /// The destination.
    pub(super) far: &'a dyn Source,
}

impl<'a> Run<'a> {
    /// The items that are complete.
    pub(super) fn items(&self, origins: &Origins) -> Vec<Received> {
        let received = |outcome: &Outcome| {
            let (item, name) = (&outcome.item, outcome.name.clone());
            Some(Received { origin: item.origin.clone(), name, digest: item.digest()?, role: item.role, set: origins.set_of(item) })
        };
        self.complete().filter_map(|item| received(item.outcome)).collect()
    }

    /// The manifests and blobs that the destination holds of the items that are complete; `before` is the newest receipt of it.
    pub(super) async fn holdings(&self, before: Option<Receipt>, settings: &Settings) -> (Vec<Stored>, Vec<Stored>) {
        if let Some(before) = before.filter(|before| self.is_as(before)) {
            return (before.manifests, before.blobs);
        }
        let read = |(carried, item)| async move { (carried, item, self.read(carried, item).await) }.boxed();
        let manifests = self.complete().flat_map(|item| item.carried.iter().map(move |one| (one, item)));
        let mut running = stream::iter(manifests).map(read).buffered(settings.jobs.max(1));
        let mut holdings = Holdings::default();
        while let Some((carried, item, manifest)) = running.next().await {
            match manifest {
                Ok(Some(manifest)) => holdings.take(&manifest, item.outcome.name.repository()),
                Ok(None) => {}
                Err(error) => settings.monitor.event(Event::Warning(&format!("the receipt lacks {}: {error}", carried.digest))),
            }
        }
        holdings.into_lists()
    }

    /// Whether a receipt is of the same items and lists all of their manifests and no other. Then it lists the same blobs.
    fn is_as(&self, before: &Receipt) -> bool {
        let items: BTreeSet<_> = self.complete().map(|item| (&item.outcome.name, item.outcome.item.digest())).collect();
        let manifests: BTreeSet<_> = self.complete().flat_map(|item| item.carried).map(|one| one.digest).collect();
        before.items.iter().map(|item| (&item.name, Some(item.digest))).collect::<BTreeSet<_>>() == items
            && before.manifests.iter().map(|stored| stored.digest).collect::<BTreeSet<_>>() == manifests
    }

    /// A manifest that was there before, and so was not read, is read where that asks nobody for it: in the place that it comes from,
    /// or, if that is a registry, at the destination, where it counts as no pull.
    async fn read(&self, carried: &Carried, item: Complete<'_>) -> Result<Option<Manifest>> {
        let unread = Descriptor::new("", carried.digest, 0);
        match (&carried.manifest, item.source) {
            (Some(manifest), _) => Ok(Some(manifest.as_ref().clone())),
            (None, Some(source)) => source.manifest(item.outcome.item.origin.repository(), &unread).await,
            (None, None) => self.far.manifest(item.outcome.name.repository(), &unread).await,
        }
    }

    fn complete(&self) -> impl Iterator<Item = Complete<'a>> + use<'a> {
        let all = self.report.items.iter().zip(self.carried).zip(self.sources);
        let all = all.map(|((outcome, carried), source)| Complete { outcome, carried, source: source.as_ref() });
        all.filter(|item| !item.outcome.has_failed())
    }
}

/// An item that is complete.
#[derive(Clone, Copy)]
struct Complete<'a> {
    outcome: &'a Outcome,
    carried: &'a [Carried],
    source: Option<&'a Arc<dyn Source>>,
}
