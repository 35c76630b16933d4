//! [`content`]: what a new set shall hold: as an interrupted run has left it, as a set was that is written once more, or as its origins
//! answer now; and the configurations that ask for it.
//!
//! *Not here:* what is there already (`plan`).

use super::configs;
use super::judging::judged;
use super::origins::Origins;
use super::to_archive::Again;
use super::{Request, Settings};
use crate::collect::Collected;
use crate::error::{Error, Result};
use crate::image::{Attachments, Wanted};
use crate::store::archive::{Pinned, Unfinished};

/// What a new set shall hold, in order, without what the policy refuses.
pub(super) async fn content(
    request: &Request,
    origins: &Origins,
    settings: &Settings,
    resumed: Option<&Unfinished>,
    again: Option<&Again>,
) -> Result<Collected> {
    let only = |wanted| Collected { wanted, blocked: Vec::new() };
    let Collected { wanted, blocked } = match (resumed, again) {
        (Some(unfinished), _) => only(pinned(unfinished, origins, &request.attachments)?),
        (None, Some(again)) => only(again.wanted.clone()),
        (None, None) => origins.collect(request, None, settings).await?,
    };
    let mut wanted = judged(wanted, request, origins, settings).await;
    wanted.extend(match again {
        Some(again) => again.kept.clone(),
        None => configs::wanted(request.documents())?,
    });
    Ok(Collected { wanted, blocked })
}

/// The items of an interrupted run, with the digests that it had resolved.
fn pinned(unfinished: &Unfinished, origins: &Origins, attachments: &Attachments) -> Result<Vec<Wanted>> {
    let wanted = |pinned: &Pinned| {
        let gone = || Error::failed("the unfinished run names a source that this one does not have");
        let source = origins.source(pinned.source).ok_or_else(gone)?;
        let (item, name) = (pinned.item.clone(), pinned.item.origin.clone());
        // What is attached to one that failed was not looked at.
        let (pinned, sparse) = (item.is_complete(), !item.wanted.is_empty());
        Ok(Wanted { pinned, sparse, attachments: attachments.clone(), ..Wanted::new(item, source, name) })
    };
    unfinished.items.iter().filter(|pinned| pinned.item.role.is_content()).map(wanted).collect()
}
