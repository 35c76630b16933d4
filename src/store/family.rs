//! [`Family`]: how the manifests of a place stand to each other: who lists whom, and who is attached to whom.
//!
//! **Invariants.** A family holds digests and descriptors, never documents. It walks each manifest once, however
//! often it is listed, so that no index can make a walk long.
//!
//! *Not here:* where manifests come from; each flat store (memory, layout) fills its own family.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::error::Result;
use crate::image::attachment::subject_of;
use crate::image::{Descriptor, Digest, Item, Manifest, Platform, Repository, Tagged};

/// The manifests of a place, by what they say of each other.
#[derive(Debug, Clone, Default)]
pub struct Family {
    members: BTreeMap<Digest, Member>,
    referrers: BTreeMap<Digest, BTreeMap<Digest, Descriptor>>,
}

/// One manifest.
#[derive(Debug, Clone)]
struct Member {
    descriptor: Descriptor,
    subject: Option<Digest>,
    children: Vec<(Digest, Option<Platform>)>,
}

impl Family {
    /// Takes in a manifest.
    pub fn add(&mut self, manifest: &Manifest) {
        let subject = manifest.subject().map(|subject| subject.digest);
        let children = manifest.children().iter().map(|child| (child.digest, child.platform.clone())).collect();
        let descriptor = manifest.descriptor().clone();
        if let Some(subject) = subject {
            self.referrers.entry(subject).or_default().insert(manifest.digest(), descriptor.clone());
        }
        self.members.insert(manifest.digest(), Member { descriptor, subject, children });
    }

    /// The descriptor of a manifest that was taken in.
    #[must_use]
    pub fn descriptor(&self, digest: &Digest) -> Option<&Descriptor> {
        self.members.get(digest).map(|member| &member.descriptor)
    }

    /// What a manifest that was taken in is attached to.
    #[must_use]
    pub fn subject(&self, digest: &Digest) -> Option<Digest> {
        self.members.get(digest)?.subject
    }

    /// The manifests that a manifest lists.
    pub fn children(&self, digest: &Digest) -> impl Iterator<Item = Digest> {
        self.members.get(digest).into_iter().flat_map(|member| member.children.iter().map(|(child, _)| *child))
    }

    /// The manifests that refer to `subject`, by digest.
    #[must_use]
    pub fn referrers(&self, subject: &Digest) -> Vec<Descriptor> {
        self.referrers.get(subject).into_iter().flat_map(|all| all.values().cloned()).collect()
    }

    /// The manifests that refer to `root`, to what it lists, or to one that refers to these; nearest first. What
    /// `root` lists itself is not among them.
    #[must_use]
    pub fn attached(&self, root: &Digest) -> Vec<Descriptor> {
        let mut seen = self.tree(root);
        let mut subjects: VecDeque<Digest> = seen.iter().copied().collect();
        let mut attached = Vec::new();
        while let Some(subject) = subjects.pop_front() {
            for referrer in self.referrers(&subject) {
                if seen.contains(&referrer.digest) {
                    continue;
                }
                let below = self.tree(&referrer.digest);
                subjects.extend(below.difference(&seen));
                seen.extend(below);
                attached.push(referrer);
            }
        }
        attached
    }

    /// The platforms of an index whose manifests are here, sorted; none for an image.
    #[must_use]
    pub fn platforms(&self, index: &Digest) -> Vec<Platform> {
        let children = self.members.get(index).into_iter().flat_map(|member| &member.children);
        let here = children.filter(|(child, _)| self.members.contains_key(child));
        let named = here.filter_map(|(_, platform)| platform.clone()).filter(|platform| !platform.is_unknown());
        named.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A manifest and all that it lists, at any depth.
    #[must_use]
    pub fn tree(&self, root: &Digest) -> BTreeSet<Digest> {
        let (mut all, mut todo) = (BTreeSet::new(), vec![*root]);
        while let Some(next) = todo.pop() {
            if all.insert(next) {
                todo.extend(self.children(&next));
            }
        }
        all
    }
}

/// Moves images whose tags say that they are attached to another image of their repository to that one; `tree` gives all
/// that a root lists. What is attached to none of them stays an image.
#[must_use]
pub fn gathered(items: Vec<Item>, tree: impl Fn(&Digest) -> BTreeSet<Digest>) -> Vec<Item> {
    let (mut waiting, mut images): (Vec<Item>, Vec<Item>) =
        items.into_iter().partition(|item| item.is_complete() && subject(item).is_some());
    if waiting.is_empty() {
        return images;
    }
    let own = |item: &Item| item.digest().map(|root| tree(&root)).unwrap_or_default();
    let mut owners: BTreeMap<(Repository, Digest), BTreeSet<usize>> = BTreeMap::new();
    for (at, image) in images.iter().enumerate() {
        for part in own(image) {
            owners.entry((image.origin.repository().clone(), part)).or_default().insert(at);
        }
    }
    // Twice, because what is attached may be signed itself.
    for _ in 0..2 {
        let mut found = BTreeMap::new();
        waiting.retain(|item| {
            let (Some((tag, subject)), Some(root)) = (subject(item), &item.root) else { return true };
            let repository = item.origin.repository();
            let Some(of) = owners.get(&(repository.clone(), subject)) else { return true };
            of.iter().for_each(|at| images[*at].tagged.push(Tagged { tag: tag.to_owned(), root: root.clone() }));
            found.insert((repository.clone(), root.digest), of.clone());
            false
        });
        owners = found;
    }
    images.extend(waiting);
    images
}

/// The tag of an image, and what it is attached to by that.
fn subject(item: &Item) -> Option<(&str, Digest)> {
    let tag = item.origin.tag()?;
    Some((tag, subject_of(tag)?.0))
}

/// Whether `root` is somewhere with everything that it refers to: `load` gives manifests, `has` answers for blobs.
pub fn is_complete(
    root: &Descriptor,
    mut load: impl FnMut(&Descriptor) -> Result<Option<Manifest>>,
    mut has: impl FnMut(&Descriptor) -> Result<bool>,
) -> Result<bool> {
    let (mut todo, mut seen) = (vec![root.clone()], BTreeSet::new());
    while let Some(next) = todo.pop() {
        if !seen.insert(next.digest) {
            continue;
        }
        let Some(manifest) = load(&next)? else { return Ok(false) };
        for blob in manifest.blobs() {
            if !has(blob)? {
                return Ok(false);
            }
        }
        todo.extend(manifest.children().iter().cloned());
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::image::{Attachment, Verified};

    fn manifest(json: String) -> Manifest {
        Manifest::parse(Verified::own(Bytes::from(json)), "").expect("a manifest")
    }

    fn describe(of: &Manifest) -> String {
        format!(r#"{{"mediaType":"{}","digest":"{}","size":1}}"#, of.descriptor().media_type, of.digest())
    }

    fn image(note: &str, subject: Option<&Manifest>) -> Manifest {
        let config = format!(r#"{{"mediaType":"c","digest":"{}","size":0}}"#, Digest::of(b""));
        let subject = subject.map(|subject| format!(r#","subject":{}"#, describe(subject))).unwrap_or_default();
        manifest(format!(r#"{{"schemaVersion":2,"config":{config},"annotations":{{"n":"{note}"}}{subject}}}"#))
    }

    fn index(of: &[&Manifest]) -> Manifest {
        let children: Vec<String> = of.iter().map(|child| describe(child)).collect();
        manifest(format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, children.join(",")))
    }

    #[test]
    fn what_refers_to_a_child_is_attached_to_the_index_and_what_refers_to_that_too() {
        let (child, inner) = (image("child", None), image("inner", None));
        let listed = image("listed", Some(&child));
        let root = index(&[&child, &listed, &index(&[&inner])]);
        let signature = image("signature", Some(&inner));
        let note = image("note", Some(&signature));
        let mut family = Family::default();
        for manifest in [&note, &signature, &child, &inner, &listed, &index(&[&inner]), &root, &image("other", None)] {
            family.add(manifest);
        }
        let attached: Vec<Digest> = family.attached(&root.digest()).iter().map(|one| one.digest).collect();
        assert_eq!(attached, [signature.digest(), note.digest()]);
        assert_eq!(family.referrers(&child.digest()).len(), 1, "one that an index lists is a referrer too");
    }

    #[test]
    fn what_its_tag_attaches_is_gathered_and_what_is_attached_to_nothing_here_stays() {
        let item = |tag: &str, root: &Manifest| Item {
            root: Some(root.descriptor().clone()),
            ..Item::image(format!("quay.io/{tag}").parse().expect("a name"))
        };
        let (child, gone, sbom) = (image("child", None), image("gone", None), image("sbom", None));
        let (root, signature) = (index(&[&child]), image("signature", None));
        let tag = |kind: Attachment, of: &Manifest| kind.tag(&of.digest()).expect("a tag");
        let mut family = Family::default();
        [&child, &root].into_iter().for_each(|manifest| family.add(manifest));
        let (of_child, of_gone) = (tag(Attachment::Sbom, &child), tag(Attachment::Signature, &gone));
        let (of_sbom, elsewhere) = (tag(Attachment::Signature, &sbom), tag(Attachment::Signature, &root));
        let items = vec![
            item(&format!("a:{of_sbom}"), &signature),
            item("a:1", &root),
            item(&format!("a:{of_child}"), &sbom),
            item(&format!("a:{of_gone}"), &signature),
            item(&format!("b:{elsewhere}"), &signature),
        ];
        let gathered = gathered(items, |digest| family.tree(digest));
        let names: Vec<String> = gathered.iter().map(|item| item.origin.to_string()).collect();
        assert_eq!(names, ["quay.io/a:1".to_owned(), format!("quay.io/a:{of_gone}"), format!("quay.io/b:{elsewhere}")]);
        let tagged: Vec<&str> = gathered[0].tagged.iter().map(|tagged| tagged.tag.as_str()).collect();
        assert_eq!(tagged, [of_child, of_sbom]);
    }

    #[test]
    fn completeness_is_lost_with_any_part() {
        let child = image("child", None);
        let root = index(&[&child]);
        let load = |gone: Option<Digest>| {
            let all = [child.clone(), root.clone()];
            move |wanted: &Descriptor| Ok(all.iter().find(|one| one.digest() == wanted.digest && gone != Some(wanted.digest)).cloned())
        };
        assert!(is_complete(root.descriptor(), load(None), |_| Ok(true)).expect("an answer"));
        assert!(!is_complete(root.descriptor(), load(Some(child.digest())), |_| Ok(true)).expect("an answer"));
        assert!(!is_complete(root.descriptor(), load(None), |_| Ok(false)).expect("an answer"));
    }
}
