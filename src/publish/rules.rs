//! [`Rules`]: sources, and the mirrors of each.
//!
//! **Invariants.** Each want is reached under the rule that clients go by: of all sources that a name lies below, whichever
//! document they stand in, only the longest counts. Where a rule would hide another, or lead elsewhere, the repository gets a rule
//! of its own.
//!
//! *Not here:* what is wanted (`wants`), how rules are written down (`openshift::resources`, `registries_conf`).

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use super::MirrorScope;
use super::wants::{Category, Want};
use crate::openshift::resources::{By, Mirrors};

/// For whom a mirror is.
type Group = (By, Category);

/// For each source the mirrors of each group.
#[derive(Debug, Default)]
pub(super) struct Rules(BTreeMap<String, BTreeMap<Group, BTreeSet<String>>>);

impl Rules {
    /// Rules by which every want is reached.
    pub(super) fn of(wants: &BTreeSet<Want<'_>>, scope: MirrorScope) -> Self {
        let mut rules = Self::default();
        if scope == MirrorScope::Namespace {
            for want in wants {
                namespace(want).into_iter().for_each(|(source, mirror)| rules.put(want, source, mirror));
            }
        }
        // A rule for one repository can hide what others below it were reached by, so look again until nothing is hidden. Each
        // round gives a want a rule that it had not; it ends when all have one at the latest.
        loop {
            let missed: Vec<&Want<'_>> = wants.iter().filter(|want| !rules.reaches(want)).collect();
            if missed.is_empty() {
                return rules;
            }
            missed.into_iter().for_each(|want| rules.put(want, want.source.to_string(), want.mirror.to_string()));
        }
    }

    fn put(&mut self, want: &Want<'_>, source: String, mirror: String) {
        self.0.entry(source).or_default().entry((want.by, want.category)).or_default().insert(mirror);
    }

    fn reaches(&self, want: &Want<'_>) -> bool {
        let (asked, there) = (want.source.to_string(), want.mirror.to_string());
        let above = successors(Some(asked.as_str()), |name| Some(name.rsplit_once('/')?.0));
        let Some((source, groups)) = above.filter_map(|name| self.0.get_key_value(name)).next() else { return false };
        let leads_there = |mirror: &String| there.strip_prefix(mirror.as_str()) == Some(&asked[source.len()..]);
        groups.iter().any(|((by, _), mirrors)| *by == want.by && mirrors.iter().any(leads_there))
    }

    /// The entries of one document.
    pub(super) fn entries(&self, by: By, category: Category) -> Vec<Mirrors> {
        let entry = |(source, groups): (&String, &BTreeMap<Group, BTreeSet<String>>)| {
            let mirrors = groups.get(&(by, category))?.iter().cloned().collect();
            Some(Mirrors { mirrors, source: source.clone() })
        };
        self.0.iter().filter_map(entry).collect()
    }

    /// Each source with its mirrors, and by what images are to be asked for there.
    pub(super) fn merged(&self) -> impl Iterator<Item = (&str, BTreeMap<&str, BTreeSet<By>>)> {
        self.0.iter().map(|(source, groups)| {
            let mut merged = BTreeMap::<&str, BTreeSet<By>>::new();
            for ((by, _), mirrors) in groups {
                for mirror in mirrors {
                    merged.entry(mirror).or_default().insert(*by);
                }
            }
            (source.as_str(), merged)
        })
    }
}

/// The rule for all of a namespace, where the name at the destination ends with the path of the source. A repository without a
/// namespace has none: that would be a rule for all of its host.
fn namespace(want: &Want<'_>) -> Option<(String, String)> {
    let (path, mirror) = (want.source.path(), want.mirror.path());
    let (space, _) = path.rsplit_once('/')?;
    let above = mirror.strip_suffix(path).filter(|above| above.is_empty() || above.ends_with('/'))?;
    Some((format!("{}/{space}", want.source.registry()), format!("{}/{above}{space}", want.mirror.registry())))
}
