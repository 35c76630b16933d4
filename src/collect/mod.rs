//! [`collect`]: from what a person asked for to a list of items, each resolved once.
//!
//! **Invariants.** A tag is looked up once, here; everything after goes by the digest. One item that is not there does
//! not stop the others. Two origins never get one name at a destination.
//!
//! *Not here:* what an item consists of and what is there already (`plan`).

mod attached;
mod wishes;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;

use crate::config;
use crate::error::{Error, Kind, Result};
use crate::image::place::{Target, lists_referrers};
use crate::image::{Attachments, Contents, Descriptor, Digest, Item, Platform, Reference, Rename, Repository, Role, Source, State, Wanted};
use crate::monitor::{Event, SharedMonitor};

pub use self::wishes::{Document, Wish, Wishes};

/// Something that a person asked for.
pub struct Ask {
    /// Where it is asked for.
    pub source: Arc<dyn Source>,
    /// What is asked for.
    pub what: What,
    /// How it is called at a destination, where a person says so.
    pub rename: Rename,
    /// The platforms wanted of it; none means those of [`Choices`].
    pub platforms: Vec<Platform>,
}

impl Ask {
    /// This, by its own name and on all platforms.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, what: What) -> Self {
        Self { source, what, rename: Rename::default(), platforms: Vec::new() }
    }
}

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// One image; without tag and digest `latest`.
    Name(Reference),
    /// Every tag of a repository.
    AllTags(Repository),
    /// All that the place lists.
    Everything,
}

/// How a collection is made.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// How images are called at the destination; `None` keeps their origins.
    pub target: Option<Target>,
    /// The platforms wanted of every index; none means all.
    pub platforms: Vec<Platform>,
    /// Images that shall not be brought: expressions on their origin and on their name at the destination (semantics E.6).
    pub blocked: config::Blocked,
    /// What of what is attached to images travels with them.
    pub attachments: Attachments,
    /// How many names are looked up at once; at least one.
    pub jobs: usize,
}

/// An image that was asked for and is not brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocked {
    /// Its origin.
    pub image: Reference,
    /// The expression that stops it.
    pub expression: String,
}

/// What was asked for.
#[derive(Default)]
pub struct Collected {
    /// What shall be brought.
    pub wanted: Vec<Wanted>,
    /// What shall not.
    pub blocked: Vec<Blocked>,
}

/// Resolves everything that was asked for, in the order of asking; what is attached to an image that is not there comes last. An item that is not there, or that nobody can tell
/// of, comes back with its failure. An error means that the asking itself makes no sense, or that a place cannot list
/// what it holds.
pub async fn collect(asks: Vec<Ask>, choices: &Choices, monitor: &SharedMonitor) -> Result<Collected> {
    let listings = Listings::read(&asks).await?;
    let mut candidates = Vec::new();
    for ask in asks {
        listings.expand(ask, &mut candidates).await?;
    }
    let blocked = choices.without_blocked(&mut candidates)?;
    let attached = attached::part(&mut candidates);
    let mut found = resolve(candidates, choices, monitor).await;
    found.retain(|found| found.answer != Answer::Dropped);
    if !choices.attachments.removed {
        let orphans = attached::without_subject(attached, &found, choices).await;
        found.extend(resolve(orphans, choices, monitor).await);
    }
    let nothing = !found.iter().any(|found| found.answer == Answer::There);
    let wanted = unique(found.into_iter().map(|found| found.wanted(nothing, choices)))?;
    Ok(Collected { wanted, blocked })
}

impl Choices {
    /// Takes out what is blocked, before anybody is asked for it.
    fn without_blocked(&self, candidates: &mut Vec<Candidate>) -> Result<Vec<Blocked>> {
        let mut blocked = Vec::new();
        if self.blocked.expressions().is_empty() {
            return Ok(blocked);
        }
        for candidate in std::mem::take(candidates) {
            let (origin, name) = (candidate.item.origin.to_string(), destination(self.target.as_ref(), &candidate.item)?.to_string());
            match self.blocked.stops(&[&origin, &name]) {
                Some(expression) => blocked.push(Blocked { image: candidate.item.origin, expression: expression.to_owned() }),
                None => candidates.push(candidate),
            }
        }
        Ok(blocked)
    }
}

/// One item to be resolved, or resolved by the list that it comes from.
struct Candidate {
    source: Arc<dyn Source>,
    item: Item,
    /// It stands so in what the source lists of itself.
    listed: bool,
    /// The source lists itself: what it does not have is somewhere else.
    lists: bool,
    /// It was found as a tag, not asked for by name.
    by_tag: bool,
    /// The platforms asked for of it alone.
    platforms: Vec<Platform>,
    answer: Answer,
}

/// What is known of a candidate.
#[derive(Debug, Clone)]
enum Answer {
    Open,
    There,
    Absent,
    /// It is the list of referrers of another image, which travel with that image.
    Dropped,
    Failed(Error),
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// What each source lists of itself, read once.
struct Listings(Vec<(Arc<dyn Source>, Option<Contents>)>);

impl Listings {
    async fn read(asks: &[Ask]) -> Result<Self> {
        let mut listings = Self(Vec::new());
        for ask in asks {
            if !listings.0.iter().any(|(source, _)| Arc::ptr_eq(source, &ask.source)) {
                listings.0.push((ask.source.clone(), ask.source.contents().await?));
            }
        }
        Ok(listings)
    }

    fn of(&self, source: &Arc<dyn Source>) -> Option<&Contents> {
        self.0.iter().find(|(known, _)| Arc::ptr_eq(known, source))?.1.as_ref()
    }

    async fn expand(&self, ask: Ask, out: &mut Vec<Candidate>) -> Result<()> {
        let (listing, before) = (self.of(&ask.source), out.len());
        match ask.what {
            What::Name(name) => out.push(Candidate::named(&ask.source, name.or_latest(), listing)),
            What::AllTags(repository) => match ask.source.tags(&repository).await {
                Ok(tags) => out.extend(Candidate::tagged(&ask.source, &repository, tags.unwrap_or_default(), listing)),
                Err(error) => out.push(Candidate::failed(&ask.source, repository, error)),
            },
            What::Everything => {
                let all = listing.ok_or_else(|| unlistable(&ask.source.place()))?;
                out.extend(all.content().map(|item| Candidate::listed(&ask.source, item.clone())));
            }
        }
        out[before..].iter_mut().for_each(|candidate| candidate.said(&ask.rename, &ask.platforms));
        Ok(())
    }
}

fn unlistable(place: &str) -> Error {
    Error::usage(format!("{place}: it cannot list all that it holds")).hint("name the repositories that you want")
}

impl Candidate {
    fn open(source: &Arc<dyn Source>, item: Item) -> Self {
        Self { source: source.clone(), item, listed: false, lists: false, by_tag: false, platforms: Vec::new(), answer: Answer::Open }
    }

    fn listed(source: &Arc<dyn Source>, item: Item) -> Self {
        let answer = match &item.state {
            State::Missing(why) => Answer::Failed(Error::failed(why.clone()).note(format!("it is missing in {} too", source.place()))),
            State::Complete if item.root.is_none() => Answer::Absent,
            State::Complete => Answer::There,
        };
        Self { listed: true, lists: true, answer, ..Self::open(source, item) }
    }

    fn named(source: &Arc<dyn Source>, name: Reference, listing: Option<&Contents>) -> Self {
        match listing.and_then(|listing| listing.find(&name)) {
            Some(item) => Self::listed(source, Item { origin: name, ..item.clone() }),
            None => Self { lists: listing.is_some(), ..Self::open(source, Item::image(name)) },
        }
    }

    fn tagged(source: &Arc<dyn Source>, repository: &Repository, tags: Vec<String>, listing: Option<&Contents>) -> Vec<Self> {
        if tags.is_empty() {
            let none = Error::failed(format!("repository {repository}: it has no tags in {}", source.place_of(&repository.clone().into())));
            return vec![Self::failed(source, repository.clone(), none)];
        }
        let one = |tag: String| match repository.tagged(&tag) {
            Ok(name) => Self { by_tag: true, ..Self::named(source, name, listing) },
            Err(error) => Self::failed(source, repository.clone(), error.context(format!("tags from {}", source.place()))),
        };
        tags.into_iter().map(one).collect()
    }

    fn failed(source: &Arc<dyn Source>, repository: Repository, error: Error) -> Self {
        Self { answer: Answer::Failed(error), ..Self::open(source, Item::image(repository.into())) }
    }

    /// Takes over what was said of it when it was asked for.
    fn said(&mut self, rename: &Rename, platforms: &[Platform]) {
        if !rename.is_none() {
            self.item.rename = rename.clone();
        }
        self.platforms = platforms.to_vec();
    }

    async fn resolve(mut self) -> Self {
        if self.answer == Answer::Open {
            self.answer = match self.source.resolve(&self.item.origin).await {
                Ok(Some(root)) => self.take(root),
                Ok(None) => Answer::Absent,
                Err(error) => Answer::Failed(error),
            };
        }
        self
    }

    fn take(&mut self, root: Descriptor) -> Answer {
        let (origin, place) = (&self.item.origin, self.source.place());
        if origin.digest().is_some_and(|asked| asked != root.digest) {
            return Answer::Failed(Error::damaged(format!("image {origin}: {place} answered with {}", root.digest)));
        }
        if self.by_tag && origin.tag().is_some_and(|tag| lists_referrers(tag, &root.digest)) {
            return Answer::Dropped;
        }
        self.item.root = Some(root);
        Answer::There
    }

    /// What the plan is told. `nothing` is there of all that was asked for: then what a place that lists itself does
    /// not have is needed from elsewhere.
    fn wanted(mut self, nothing: bool, choices: &Choices) -> Result<Wanted> {
        let sparse = self.listed && !self.item.wanted.is_empty();
        let platforms = if self.platforms.is_empty() { &choices.platforms } else { &self.platforms };
        if !platforms.is_empty() || !self.listed {
            self.item.wanted.clone_from(platforms);
        }
        let name = destination(choices.target.as_ref(), &self.item)?;
        let (origin, place) = (self.item.origin.clone(), self.source.place_of(&self.item.origin));
        let attachments = choices.attachments.clone();
        let wanted = Wanted { pinned: self.listed, attachments, sparse, ..Wanted::new(self.item, self.source, name) };
        Ok(match self.answer {
            Answer::Failed(error) => wanted.fail(error),
            Answer::Absent => {
                let kind = if nothing && self.lists { Kind::Needed } else { Kind::Failed };
                wanted.fail(Error::new(kind, format!("image {origin}: it is not in {place}")))
            }
            Answer::Open | Answer::There | Answer::Dropped => wanted,
        })
    }
}

async fn resolve(candidates: Vec<Candidate>, choices: &Choices, monitor: &SharedMonitor) -> Vec<Candidate> {
    let (done, total) = (AtomicU64::new(0), candidates.len() as u64);
    let one = |candidate: Candidate| {
        let done = &done;
        async move {
            let candidate = candidate.resolve().await;
            monitor.event(Event::Counted { what: "resolving", done: done.fetch_add(1, Ordering::Relaxed) + 1, total });
            candidate
        }
        .boxed()
    };
    stream::iter(candidates).map(one).buffered(choices.jobs.max(1)).collect().await
}

/// The name of an item at the destination.
fn destination(target: Option<&Target>, item: &Item) -> Result<Reference> {
    let Some(target) = target else { return Ok(item.origin.clone()) };
    match (target, item.digest().or(item.origin.digest())) {
        (_, Some(root)) => target.name(&item.origin, &item.rename, &root),
        (Target::Exact(name), None) => Ok(name.clone()),
        // Without a digest there is a tag, or `latest`: the root is not looked at.
        (Target::Below { .. }, None) => target.name(&item.origin, &item.rename, &Digest::of(b"")),
    }
}

/// The items, each once. Two origins on one name, or two images of one name from two places, stop here.
fn unique(all: impl Iterator<Item = Result<Wanted>>) -> Result<Vec<Wanted>> {
    let mut list: Vec<Wanted> = Vec::new();
    let mut places: HashMap<(Reference, Role), usize> = HashMap::new();
    let mut names: HashMap<Reference, usize> = HashMap::new();
    for wanted in all {
        let wanted = wanted?;
        if let Some(first) = names.get(&wanted.name).map(|first| &list[*first]) {
            check_same(first, &wanted)?;
        }
        if let Some(place) = places.get(&(wanted.name.clone(), wanted.item.role)) {
            if list[*place].failed.is_some() {
                list[*place] = wanted;
            }
            continue;
        }
        names.entry(wanted.name.clone()).or_insert(list.len());
        places.insert((wanted.name.clone(), wanted.item.role), list.len());
        list.push(wanted);
    }
    Ok(list)
}

fn check_same(first: &Wanted, second: &Wanted) -> Result<()> {
    let both_known = first.failed.is_none() && second.failed.is_none();
    let (one, other) = match (first.item.origin == second.item.origin, both_known && first.item.digest() != second.item.digest()) {
        (true, false) => return Ok(()),
        (true, true) => (first.source.place(), second.source.place()),
        (false, _) => (first.item.origin.to_string(), second.item.origin.to_string()),
    };
    Err(Error::usage(format!("{}: it would be two images, from {one} and from {other}", second.name))
        .hint("name a destination for each, or keep their hosts apart with --keep-host"))
}

#[cfg(test)]
mod tests;
