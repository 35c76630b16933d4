//! The tags of a repository (OCI distribution-spec, "Listing Tags").
//!
//! **Invariants.** The list is whole, sorted and without doubles, or it is an error.
//!
//! *Not here:* which tags are wanted (`collect`).

use std::collections::BTreeSet;

use serde::Deserialize;

use super::connection::header::ACCEPT;
use super::connection::{Access, HeaderValue, Request};
use super::host::{Answer, Host};
use super::paging::{MAX_LIST_BYTES, Pages};
use crate::error::{Error, Result};
use crate::image::Repository;
use crate::image::name::is_tag;
use crate::monitor::Event;

#[derive(Deserialize)]
struct Wire {
    tags: Option<Vec<String>>,
}

impl Host {
    /// All tags of a repository; `None` where there is no such repository.
    pub(super) async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>> {
        let what = format!("tags of {repository}");
        let mut page = format!("/v2/{}/tags/list?n=1000", repository.path());
        let mut pages = Pages::new(&what, &page);
        let mut tags = BTreeSet::new();
        loop {
            let request =
                || Request::get(page.clone(), Access::pull(repository)).header(ACCEPT, HeaderValue::from_static("application/json"));
            let document = match self.document(request, MAX_LIST_BYTES, &what).await? {
                Answer::Whole(document) => document,
                Answer::Refused(refusal) if refusal.is_absence() && tags.is_empty() => return Ok(None),
                Answer::Refused(refusal) => return Err(refusal.into_error()),
            };
            let wire: Wire = serde_json::from_slice(&document.bytes).map_err(|error| Error::failed(format!("{what}: {error}")))?;
            tags.extend(wire.tags.unwrap_or_default());
            match pages.after(&document.url, document.link.as_deref(), document.bytes.len())? {
                Some(next) => page = next,
                None => return Ok(Some(self.usable(tags, &what))),
            }
        }
    }

    /// The tags that an image can be asked for by.
    fn usable(&self, mut tags: BTreeSet<String>, what: &str) -> Vec<String> {
        let all = tags.len();
        tags.retain(|tag| is_tag(tag));
        if tags.len() < all {
            let odd = all - tags.len();
            self.options.monitor.event(Event::Warning(&format!("{what}: {odd} of {all} are no tags and are left out")));
        }
        tags.into_iter().collect()
    }
}
