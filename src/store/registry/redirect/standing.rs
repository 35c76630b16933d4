//! [`Standings`]: what a run has learned of the places that it read from.
//!
//! **Invariants.** The last answer counts. Places are never dropped for what is known of them, only asked later.
//!
//! *Not here:* which places there are ([`Redirects`](super::Redirects)).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::Place;
use super::rule::Pulls;
use crate::image::Repository;

/// What one place has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// It had what it was asked for.
    Serves,
    /// It was not asked, or did not have it.
    Unknown,
    /// It gave no answer.
    Fails,
}

/// How something is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// By a tag, which may stand for something else at each place.
    Tag,
    /// By digest, so that it is the same wherever it is.
    Digest,
}

/// What all places of a run have shown, by the name of the repository there.
#[derive(Debug, Default)]
pub(super) struct Standings(Mutex<BTreeMap<Repository, Standing>>);

impl Standings {
    /// What is known of a place.
    fn of(&self, place: &Place) -> Standing {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&place.at).copied().unwrap_or(Standing::Unknown)
    }

    /// Notes what a place showed; says what was known before.
    pub(super) fn note(&self, at: &Repository, standing: Standing) -> Standing {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(at.clone(), standing).unwrap_or(Standing::Unknown)
    }

    /// The places that are asked for something, in their order: what goes by a digest where something was found before, and places
    /// that failed last. What belongs to a tag is read where the tag was found, also where other digests are not asked for.
    pub(super) fn order(&self, places: Vec<Place>, by: By) -> Vec<Place> {
        let mut asked: Vec<(Standing, Place)> = places.into_iter().map(|place| (self.of(&place), place)).collect();
        asked.retain(|(standing, place)| match (by, place.pulls) {
            (_, Pulls::All) | (By::Tag, Pulls::ByTag) | (By::Digest, Pulls::ByDigest) => true,
            (By::Digest, Pulls::ByTag) => *standing == Standing::Serves,
            (By::Tag, Pulls::ByDigest) => false,
        });
        asked.sort_by_key(|(standing, _)| match by {
            By::Digest => *standing,
            By::Tag => Standing::Unknown.max(*standing),
        });
        asked.into_iter().map(|(_, place)| place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(at: &str, pulls: Pulls) -> Place {
        Place { at: at.parse().expect("a name"), blocked: None, insecure: false, pulls }
    }

    fn order(standings: &Standings, by: By) -> Vec<String> {
        let places = vec![place("a.test/x", Pulls::ByDigest), place("b.test/x", Pulls::ByTag), place("c.test/x", Pulls::All)];
        let order = standings.order(places, by).into_iter();
        order.map(|place| place.at.registry().replace(".test", "")).collect()
    }

    #[test]
    fn places_that_served_come_first_for_digests_and_those_that_failed_last() {
        let standings = Standings::default();
        let at = |name: &str| format!("{name}.test/x").parse::<Repository>().expect("a name");
        assert_eq!(
            (order(&standings, By::Tag), order(&standings, By::Digest)),
            (vec!["b".into(), "c".into()], vec!["a".into(), "c".into()])
        );
        standings.note(&at("b"), Standing::Serves);
        standings.note(&at("c"), Standing::Serves);
        assert_eq!(
            (order(&standings, By::Tag), order(&standings, By::Digest)),
            (vec!["b".into(), "c".into()], vec!["b".into(), "c".into(), "a".into()])
        );
        assert_eq!(standings.note(&at("b"), Standing::Fails), Standing::Serves);
        assert_eq!(
            (order(&standings, By::Tag), order(&standings, By::Digest)),
            (vec!["c".into(), "b".into()], vec!["c".into(), "a".into()])
        );
    }
}
