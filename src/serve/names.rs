//! [`Names`]: under which names the repositories of an archive are found (semantics E.3).
//!
//! **Invariants.** Each repository has its full name, with the host first; where no other has the same path, the path alone will do. A
//! full name goes before a short one. Only what is complete has a name.
//!
//! *Not here:* which content belongs to a repository (`holdings`).

use std::collections::BTreeMap;

use crate::image::place::tag_of;
use crate::image::{Contents, Descriptor, Item, Repository};

/// The names of the repositories of an archive.
#[derive(Debug, Default)]
pub(super) struct Names {
    repositories: Vec<Named>,
    full: BTreeMap<String, usize>,
    short: BTreeMap<String, Option<usize>>,
}

/// A repository, and what its tags stand for.
#[derive(Debug)]
struct Named {
    repository: Repository,
    tags: BTreeMap<String, Stands>,
    /// The places of all of its items.
    items: Vec<usize>,
}

/// What a tag stands for.
#[derive(Debug, Clone, Copy)]
enum Stands {
    /// An item, by its place in the contents.
    Item(usize),
    /// What is attached to an item by that tag, by its place there.
    Tagged(usize, usize),
}

/// One repository, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Number(usize);

impl Names {
    /// The names of what is complete in `contents`.
    pub(super) fn of(contents: &Contents) -> Self {
        let mut names = Self::default();
        let complete = || contents.items().iter().enumerate().filter(|(_, item)| item.role.is_content() && item.is_complete());
        for (place, item, root) in complete().filter_map(|(place, item)| Some((place, item, item.digest()?))) {
            let named = names.named(item.origin.repository());
            named.tags.entry(tag_of(&item.origin, &root)).or_insert(Stands::Item(place));
            named.items.push(place);
        }
        // An image of that name goes before.
        for (place, item) in complete() {
            let tags = &mut names.named(item.origin.repository()).tags;
            for (at, tagged) in item.tagged.iter().enumerate() {
                tags.entry(tagged.tag.clone()).or_insert(Stands::Tagged(place, at));
            }
        }
        names
    }

    /// The entry of a repository; a new one at first.
    fn named(&mut self, repository: &Repository) -> &mut Named {
        let next = self.repositories.len();
        let number = *self.full.entry(full_name(repository)).or_insert(next);
        if number == next {
            let alone = !self.short.contains_key(repository.path());
            self.short.insert(repository.path().to_owned(), alone.then_some(next));
            self.repositories.push(Named { repository: repository.clone(), tags: BTreeMap::new(), items: Vec::new() });
        }
        &mut self.repositories[number]
    }

    /// The repository that goes by this name.
    pub(super) fn find(&self, name: &str) -> Option<Number> {
        self.full.get(name).copied().or_else(|| self.short.get(name).copied().flatten()).map(Number)
    }

    /// What a tag of a repository stands for.
    pub(super) fn tagged<'a>(&self, repository: Number, tag: &str, contents: &'a Contents) -> Option<&'a Descriptor> {
        match *self.repositories.get(repository.0)?.tags.get(tag)? {
            Stands::Item(place) => contents.items().get(place)?.root.as_ref(),
            Stands::Tagged(place, at) => contents.items().get(place)?.tagged.get(at).map(|tagged| &tagged.root),
        }
    }

    /// The roots of a repository, and what is attached to them.
    pub(super) fn roots<'a>(&'a self, repository: Number, contents: &'a Contents) -> impl Iterator<Item = &'a Descriptor> {
        let places = self.repositories.get(repository.0).into_iter().flat_map(|named| &named.items);
        places.filter_map(|place| contents.items().get(*place)).flat_map(Item::tops)
    }

    /// The tags of a repository after `last`, in order.
    pub(super) fn tags<'a>(&'a self, repository: Number, last: Option<&str>) -> impl Iterator<Item = &'a str> {
        let tags = self.repositories.get(repository.0).map(|named| after(&named.tags, last));
        tags.into_iter().flatten()
    }

    /// The full names of the repositories after `last`, in order.
    pub(super) fn full(&self, last: Option<&str>) -> impl Iterator<Item = &str> {
        after(&self.full, last)
    }

    /// The hosts that the repositories come from, in order, each once.
    pub(super) fn hosts(&self) -> std::collections::BTreeSet<&str> {
        self.repositories.iter().map(|named| named.repository.registry()).collect()
    }

    /// How many items have a name here.
    pub(super) fn items(&self) -> usize {
        self.repositories.iter().map(|named| named.items.len()).sum()
    }
}

/// The keys of `map` after `last`.
fn after<'a, V>(map: &'a BTreeMap<String, V>, last: Option<&str>) -> impl Iterator<Item = &'a str> + use<'a, V> {
    use std::ops::Bound::{Excluded, Unbounded};
    map.range::<str, _>((last.map_or(Unbounded, Excluded), Unbounded)).map(|(key, _)| key.as_str())
}

/// The full name of a repository, as it stands in a URL.
pub(super) fn full_name(repository: &Repository) -> String {
    format!("{}/{}", component(repository.registry()), repository.path())
}

/// A host as a component of a path: a port has no place there.
pub(super) fn component(host: &str) -> String {
    host.replace([':', '[', ']'], "-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Digest, State, Tagged};

    fn contents(names: &[&str]) -> Contents {
        Contents::new(names.iter().map(|name| {
            let root = Descriptor::new("", Digest::of(name.as_bytes()), 1);
            Item { root: Some(root), ..Item::image(name.parse().expect("a name")) }
        }))
    }

    fn tag(names: &Names, contents: &Contents, name: &str, tag: &str) -> Option<Digest> {
        Some(names.tagged(names.find(name)?, tag, contents)?.digest)
    }

    #[test]
    fn a_repository_is_found_by_its_full_name_and_by_its_path_where_that_is_its_alone() {
        let contents = contents(&["nginx:1", "nginx:2", "quay.io/a/b:1", "ghcr.io/a/b:1", "localhost:5000/x:1"]);
        let names = Names::of(&contents);
        let nginx = Some(Digest::of(b"nginx:1"));
        assert_eq!(tag(&names, &contents, "docker.io/library/nginx", "1"), nginx);
        assert_eq!(tag(&names, &contents, "library/nginx", "1"), nginx);
        assert_eq!(names.find("nginx"), None);
        assert_eq!(names.find("a/b"), None, "two repositories have this path");
        assert!(tag(&names, &contents, "quay.io/a/b", "1").is_some() && tag(&names, &contents, "ghcr.io/a/b", "1").is_some());
        assert!(names.find("localhost-5000/x").is_some() && names.find("x").is_some());
        assert_eq!(names.tags(names.find("library/nginx").expect("there"), Some("1")).collect::<Vec<_>>(), ["2"]);
        assert_eq!(names.full(Some("docker.io/z")).collect::<Vec<_>>(), ["ghcr.io/a/b", "localhost-5000/x", "quay.io/a/b"]);
        assert_eq!(names.items(), 5);
    }

    #[test]
    fn a_million_tags_are_found_and_listed_from_any_place() {
        let tagged = |n: u32| Item {
            root: Some(Descriptor::new("", Digest::of(b"1"), 1)),
            ..Item::image(format!("quay.io/a/b:t{n:06}").parse().expect("a name"))
        };
        let contents = Contents::new((0..1_000_000).map(tagged));
        let names = Names::of(&contents);
        let repository = names.find("a/b").expect("there");
        assert_eq!(names.tags(repository, Some("t500000")).next(), Some("t500001"));
        assert_eq!(names.tags(repository, Some("t999998")).count(), 1);
        assert!(names.tagged(repository, "t777777", &contents).is_some());
    }

    #[test]
    fn what_is_attached_by_a_tag_is_found_by_it_unless_an_image_has_that_name() {
        let (signature, other) = (Descriptor::new("", Digest::of(b"signature"), 1), Descriptor::new("", Digest::of(b"other"), 1));
        let tagged = |tag: &str, root: &Descriptor| Tagged { tag: tag.to_owned(), root: root.clone() };
        let mut signed = contents(&["quay.io/a:1", "quay.io/a:x.att"]).items().to_vec();
        signed[0].tagged = vec![tagged("x.sig", &signature), tagged("x.att", &other)];
        let contents = Contents::new(signed);
        let names = Names::of(&contents);
        let repository = names.find("a").expect("there");
        assert_eq!(tag(&names, &contents, "quay.io/a", "x.sig"), Some(signature.digest));
        assert_eq!(tag(&names, &contents, "quay.io/a", "x.att"), Some(Digest::of(b"quay.io/a:x.att")));
        assert_eq!(names.tags(repository, None).collect::<Vec<_>>(), ["1", "x.att", "x.sig"]);
        assert!(names.roots(repository, &contents).any(|root| root.digest == signature.digest));
        assert_eq!(names.items(), 2);
    }

    #[test]
    fn an_image_by_digest_has_its_digest_as_tag_and_what_is_missing_has_no_name() {
        let digest = Digest::of(b"root");
        let root = Some(Descriptor::new("", digest, 1));
        let by_digest = Item { root: root.clone(), ..Item::image(format!("quay.io/a@{digest}").parse().expect("a name")) };
        let missing = Item { root, state: State::Missing("gone".into()), ..Item::image("quay.io/b:1".parse().expect("a name")) };
        let contents = Contents::new([by_digest, missing]);
        let names = Names::of(&contents);
        assert_eq!(tag(&names, &contents, "quay.io/a", &format!("sha256-{}", digest.hex())), Some(digest));
        assert_eq!(names.find("quay.io/b"), None);
    }
}
