//! The repositories of a registry, where it tells them (docker registry API, `_catalog`; no part of the OCI
//! distribution-spec).
//!
//! **Invariants.** The list is whole, sorted and without doubles, or it is an error.
//!
//! *Not here:* what is in a repository (`tags`).

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Registry;
use super::connection::header::ACCEPT;
use super::connection::{Access, HeaderValue, Request};
use super::host::{Answer, Host};
use super::paging::{MAX_LIST_BYTES, Pages};
use crate::error::{Error, Result};
use crate::image::Repository;
use crate::monitor::Event;

#[derive(Deserialize)]
struct Wire {
    repositories: Option<Vec<String>>,
}

impl Registry {
    /// All repositories of the registry `host`. One that does not tell them is an error with a way out.
    pub async fn repositories(&self, host: &str) -> Result<Vec<Repository>> {
        self.host(host)?.repositories(host).await
    }
}

impl Host {
    async fn repositories(&self, host: &str) -> Result<Vec<Repository>> {
        let what = format!("repositories of {host}");
        let mut page = "/v2/_catalog?n=1000".to_owned();
        let mut pages = Pages::new(&what, &page);
        let mut names = BTreeSet::new();
        loop {
            let request = || Request::get(page.clone(), Access::Catalog).header(ACCEPT, HeaderValue::from_static("application/json"));
            let document = match self.document(request, MAX_LIST_BYTES, &what).await? {
                Answer::Whole(document) => document,
                Answer::Refused(refusal) => return Err(unlisted(host, &refusal.into_error())),
            };
            let wire: Wire = serde_json::from_slice(&document.bytes).map_err(|error| unlisted(host, &Error::failed(error.to_string())))?;
            names.extend(wire.repositories.unwrap_or_default());
            match pages.after(&document.url, document.link.as_deref(), document.bytes.len())? {
                Some(next) => page = next,
                None => return Ok(self.usable_names(host, &names)),
            }
        }
    }

    /// The repositories that can be asked for.
    fn usable_names(&self, host: &str, names: &BTreeSet<String>) -> Vec<Repository> {
        let usable: Vec<Repository> = names.iter().filter_map(|name| Repository::new(host, name).ok()).collect();
        if usable.len() < names.len() {
            let (odd, all) = (names.len() - usable.len(), names.len());
            self.options
                .monitor
                .event(Event::Warning(&format!("{host}: {odd} of {all} repositories have no usable name and are left out")));
        }
        usable
    }
}

fn unlisted(host: &str, why: &Error) -> Error {
    Error::failed(format!("docker://{host}: the registry does not list its repositories: {why}"))
        .hint("name repositories: docker://HOST/REPO, as many as there are")
}
