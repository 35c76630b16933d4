//! [`Contents`]: what a place holds or should hold, as a list of items.
//!
//! **Invariants.** Items are sorted by origin and unique by origin and role. A complete item has a root.
//!
//! *Not here:* how items are found (`collect`), and where their bytes lie (`store`).

use serde::{Deserialize, Serialize};

use super::{Descriptor, Digest, Platform, Reference, Rename, Tagged};

/// Everything that a place holds or should hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Contents {
    items: Vec<Item>,
}

/// One named thing: an image, or an artifact that is kept as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Where it comes from, by its full name; with the digest, where one was asked for.
    pub origin: Reference,
    /// What it is for.
    #[serde(default)]
    pub role: Role,
    /// Items of one group become visible at a destination together; by default an item is its own group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How it is called at a destination, where that is not its own name.
    #[serde(default, skip_serializing_if = "Rename::is_none")]
    pub rename: Rename,
    /// The manifest or index that the name stands for; absent where it could not be resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Descriptor>,
    /// Manifests that refer to the root or to its parts (OCI 1.1 referrers), nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<Descriptor>,
    /// Images that are attached to the root or to its parts by their tags, as cosign keeps signatures; nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tagged: Vec<Tagged>,
    /// The platforms asked for; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<Platform>,
    /// The platforms that are there, for an index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// Whether all of it is there.
    #[serde(default)]
    pub state: State,
}

/// What an item is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// An image that was asked for by name.
    #[default]
    Image,
    /// A release payload.
    Release,
    /// An image that a release payload refers to.
    Component,
    /// An update graph.
    Graph,
    /// An operator catalog.
    Catalog,
    /// An operator bundle.
    Bundle,
    /// An image that a bundle refers to.
    Related,
    /// A Helm chart.
    Chart,
    /// A signature that is kept as an artifact.
    Signature,
    /// A configuration that a set was made from.
    Config,
    /// What the outside answered when a set was collected.
    Answer,
}

impl Role {
    /// Whether it is content that a person asks for, not what a set says of itself.
    #[must_use]
    pub fn is_content(self) -> bool {
        !matches!(self, Self::Config | Self::Answer)
    }
}

/// Whether all of an item is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All of it is there, as far as it was asked for.
    #[default]
    Complete,
    /// It could not be had; the text says why.
    Missing(String),
}

impl Item {
    /// An image by this name; its root is not known yet.
    #[must_use]
    pub fn image(origin: Reference) -> Self {
        Self {
            origin,
            role: Role::Image,
            group: None,
            rename: Rename::default(),
            root: None,
            attached: Vec::new(),
            tagged: Vec::new(),
            wanted: Vec::new(),
            platforms: Vec::new(),
            state: State::Complete,
        }
    }

    /// All that hangs from nothing else of it: the root, and what is attached.
    pub fn tops(&self) -> impl Iterator<Item = &Descriptor> {
        self.root.iter().chain(self.attachments())
    }

    /// All that is attached to it, in any way.
    pub fn attachments(&self) -> impl DoubleEndedIterator<Item = &Descriptor> {
        self.attached.iter().chain(self.tagged.iter().map(|tagged| &tagged.root))
    }

    /// What it is found by.
    fn key(&self) -> (&Reference, Role) {
        (&self.origin, self.role)
    }

    /// Whether all of it is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete && self.root.is_some()
    }

    /// The digest of the root, where it is known.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.root.as_ref().map(|root| root.digest)
    }
}

impl Contents {
    /// These items, sorted; of two with the same origin and role the later one counts.
    #[must_use]
    pub fn new(items: impl IntoIterator<Item = Item>) -> Self {
        let mut items: Vec<Item> = items.into_iter().collect();
        // Equal ones keep their order, and the first of them stays.
        items.reverse();
        items.sort_by(|one, other| one.key().cmp(&other.key()));
        items.dedup_by(|one, other| one.key() == other.key());
        Self { items }
    }

    /// Puts an item in its place; one with the same origin and role is replaced.
    pub fn put(&mut self, item: Item) {
        match self.items.binary_search_by(|there| there.key().cmp(&item.key())) {
            Ok(place) => self.items[place] = item,
            Err(place) => self.items.insert(place, item),
        }
    }

    /// The items in order.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The items that a person asked for, in order: all but those in which a set speaks of itself.
    pub fn content(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.role.is_content())
    }

    /// The item that goes by this name: the same repository, and the tag or digest asked for.
    #[must_use]
    pub fn find(&self, name: &Reference) -> Option<&Item> {
        let serves = |item: &&Item| {
            let tag_serves = name.tag().is_some() && item.origin.tag() == name.tag();
            let digest_serves = name.digest().is_none_or(|digest| item.digest() == Some(digest));
            item.origin.repository() == name.repository() && digest_serves && (tag_serves || name.digest().is_some())
        };
        self.items.iter().find(serves)
    }

    /// What this name stands for: the root of an item, or what is attached to one by that tag.
    #[must_use]
    pub fn root(&self, name: &Reference) -> Option<&Descriptor> {
        if let Some(item) = self.find(name) {
            return item.root.as_ref();
        }
        let beside = self.items.iter().filter(|item| item.origin.repository() == name.repository()).flat_map(|item| &item.tagged);
        let is_it = |tagged: &&Tagged| name.tag() == Some(&tagged.tag) && name.digest().is_none_or(|digest| digest == tagged.root.digest);
        beside.into_iter().find(is_it).map(|tagged| &tagged.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_found_by_tag_and_by_digest() {
        let digest = Digest::of(b"root");
        let root = Descriptor::new("", digest, 4);
        let origin: Reference = "quay.io/a/b:1".parse().expect("a name");
        let contents = Contents::new([Item { root: Some(root), ..Item::image(origin.clone()) }]);
        assert!(contents.find(&origin).is_some());
        assert!(contents.find(&origin.repository().at(digest)).is_some());
        assert!(contents.find(&origin.clone().pinned(digest)).is_some());
        assert!(contents.find(&origin.clone().pinned(Digest::of(b"other"))).is_none());
        assert!(contents.find(&"quay.io/a/b:2".parse().expect("a name")).is_none());
    }

    #[test]
    fn what_is_attached_by_a_tag_is_found_by_it() {
        let (root, signature) = (Descriptor::new("", Digest::of(b"root"), 4), Descriptor::new("", Digest::of(b"signature"), 9));
        let tagged = vec![Tagged { tag: "sha256-ab.sig".into(), root: signature.clone() }];
        let origin: Reference = "quay.io/a/b:1".parse().expect("a name");
        let contents = Contents::new([Item { root: Some(root.clone()), tagged, ..Item::image(origin.clone()) }]);
        let stands_for = |name: &str| contents.root(&name.parse().expect("a name"));
        assert_eq!((contents.root(&origin), stands_for("quay.io/a/b:sha256-ab.sig")), (Some(&root), Some(&signature)));
        assert_eq!((stands_for("quay.io/a/c:sha256-ab.sig"), stands_for("quay.io/a/b:sha256-cd.sig")), (None, None));
    }

    #[test]
    fn the_later_item_of_one_name_counts() {
        let origin: Reference = "quay.io/a/b:1".parse().expect("a name");
        let missing = Item { state: State::Missing("gone".into()), ..Item::image(origin.clone()) };
        let contents = Contents::new([missing.clone(), Item::image(origin)]);
        assert_eq!(contents.items().len(), 1);
        assert_eq!(contents.items()[0].state, State::Complete);
        let json = serde_json::to_string(&missing).expect("json");
        assert_eq!(serde_json::from_str::<Item>(&json).expect("an item"), missing);
    }
}
