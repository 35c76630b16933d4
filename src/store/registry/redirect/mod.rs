//! [`Redirects`]: where content of a name is read, by registries.conf; and [`Redirected`], registries that are read so.
//!
//! **Invariants.** Only the place that something is read from changes: an item keeps its name everywhere. Nothing is ever written by a
//! rule. Without rules every name is its own place.
//!
//! *Not here:* what is written to (`push`), how a place is reached (`connection`).

mod course;
mod document;
mod files;
mod redirected;
mod rule;
mod standing;
#[cfg(test)]
mod tests;
mod tried;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub use self::redirected::Redirected;

use self::files::Files;
use self::rule::{Pulls, Rule, covered};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::image::Repository;

/// What a run knows of other places for names; the default knows of none.
#[derive(Debug, Clone, Default)]
pub struct Redirects {
    rules: Arc<BTreeMap<String, Rule>>,
    mirrors_only: bool,
}

/// One place that a repository can be read from.
#[derive(Debug, Clone)]
struct Place {
    /// What it is called there.
    at: Repository,
    /// Why nothing may be read there, where nothing may.
    blocked: Option<Error>,
    /// Whether any certificate will do there, and plain HTTP.
    insecure: bool,
    /// What it is asked for.
    pulls: Pulls,
}

impl Redirects {
    /// Reads the file `named` and its drop-ins (`FILE.d/*.conf`); without one what podman would read, with `environment` as that of
    /// the process. A file that cannot be read, or has a mistake, is an error; none at all is not, unless it was named.
    pub fn load(environment: &Environment, named: Option<&Path>) -> Result<Self> {
        Ok(Self { rules: Arc::new(Files::find(environment, named).rules()?), mirrors_only: false })
    }

    /// Whether no registry is asked for anything by the very name that an image has.
    #[must_use]
    pub fn mirrors_only(self, mirrors_only: bool) -> Self {
        Self { mirrors_only, ..self }
    }

    /// The rule of the longest prefix of a name.
    fn rule(&self, name: &Repository) -> Option<&Rule> {
        let name = name.to_string();
        let fitting = self.rules.values().filter(|rule| covered(&name, &rule.prefix).is_some());
        fitting.max_by_key(|rule| rule.prefix.len())
    }

    /// The places that have what is called `origin`, in the order in which they are asked; an error where there is none.
    fn places(&self, origin: &Repository) -> Result<Vec<Place>> {
        let mut places = match self.rule(origin) {
            None => vec![Place { at: origin.clone(), blocked: None, insecure: false, pulls: Pulls::All }],
            Some(rule) => {
                let mirrors = rule.mirrors.iter().map(|mirror| (Some(mirror.location.as_str()), mirror.insecure, mirror.pulls));
                let all = mirrors.chain([(rule.location.as_deref(), rule.insecure, Pulls::All)]);
                let place = |(location, insecure, pulls)| {
                    let at = rule.rewritten(origin, location)?;
                    Ok(Place { blocked: self.blocked(&at), at, insecure, pulls })
                };
                all.map(place).collect::<Result<_>>()?
            }
        };
        if self.mirrors_only {
            places.retain(|place| place.at != *origin);
        }
        if places.is_empty() {
            return Err(Error::failed(format!("{origin}: no mirror is known of it, and nothing but mirrors is asked"))
                .hint("name a mirror in registries.conf, or leave --mirrors-only out"));
        }
        Ok(places)
    }

    /// Why nothing may be read by this name. It is asked of the name at the place: so a registry that is blocked is still read from its
    /// mirrors.
    fn blocked(&self, at: &Repository) -> Option<Error> {
        let rule = self.rule(at).filter(|rule| rule.blocked)?;
        Some(Error::failed(format!("{at}: {} is blocked by {}", rule.prefix, rule.file)).hint("name a mirror of it in registries.conf"))
    }
}
