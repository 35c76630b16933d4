//! [`LayoutSource`]: an OCI layout that images are read from.
//!
//! **Invariants.** A manifest that refers to another and has no name is no image of its own: it is attached to what
//! it refers to, unless that is not here; so is one whose tag says so. Reading never changes the layout.
//!
//! *Not here:* the list itself (`index`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::Folder;
use super::files::{blocking, open, parts, size_of};
use super::index::{Entry, Index};
use crate::error::{Error, Result};
use crate::image::attachment::subject_of;
use crate::image::name::is_tag;
use crate::image::place::{Location, digest_tag, layout_name};
use crate::image::{Body, Contents, Descriptor, Digest, Item, Manifest, Reference, Repository, Source, State};
use crate::store::family::{Family, gathered};

/// How many names a message lists.
const NAMES_SHOWN: usize = 8;

/// An OCI layout, or one image of it.
pub struct LayoutSource {
    place: String,
    folder: Folder,
    index: Arc<Index>,
    /// The one image that was asked for, by its place in the index.
    chosen: Option<usize>,
    survey: OnceCell<Arc<Survey>>,
}

/// What all manifests of a layout say of each other.
struct Survey {
    family: Family,
    /// Manifests that are here and cannot be read.
    unreadable: BTreeMap<Digest, Descriptor>,
}

impl LayoutSource {
    /// Opens the layout at `path`. With a `reference`, the image by that name, tag or digest is all that it holds.
    pub async fn open(path: impl Into<PathBuf>, reference: Option<&str>) -> Result<Self> {
        let folder = Folder { path: path.into() };
        let place = Location::Layout { path: folder.path.clone(), reference: reference.map(str::to_owned) }.to_string();
        let asked = folder.clone();
        let (is_layout, index) = blocking(move || Ok((asked.is_layout()?, asked.index()?))).await?;
        if !is_layout {
            let why =
                if folder.path.is_dir() { "it is not an OCI layout: it has no file oci-layout" } else { "there is no such directory" };
            return Err(Error::usage(format!("{place}: {why}")).hint("check the path"));
        }
        let chosen = reference.map(|reference| choose(&index, reference, &place)).transpose()?;
        Ok(Self { place, folder, index: Arc::new(index), chosen, survey: OnceCell::new() })
    }

    /// The entries that this place shows.
    fn entries(&self) -> &[Entry] {
        match self.chosen {
            Some(chosen) => &self.index.entries()[chosen..=chosen],
            None => self.index.entries(),
        }
    }

    async fn survey(&self) -> Result<&Arc<Survey>> {
        let look = || {
            let (folder, index) = (self.folder.clone(), Arc::clone(&self.index));
            blocking(move || Ok(Arc::new(Survey::of(&folder, &index))))
        };
        self.survey.get_or_try_init(look).await
    }

    /// The name of an image: that of its annotations, or its digest.
    fn name(&self, entry: &Entry) -> Result<Reference> {
        entry.name.clone().map_or_else(|| layout_name(None, None, &self.folder.name(), &entry.root.digest), Ok)
    }

    fn item(&self, entry: &Entry, survey: &Survey) -> Result<Item> {
        let (family, root) = (&survey.family, &entry.root.digest);
        let known = family.descriptor(root).unwrap_or(&entry.root);
        let is_here = family.descriptor(root).is_some() || survey.unreadable.contains_key(root);
        let absent = || State::Missing(format!("manifest {root}: it is not in {}", self.place));
        Ok(Item {
            root: Some(Descriptor { annotations: None, ..known.clone() }),
            attached: family.attached(root),
            platforms: family.platforms(root),
            state: if is_here { State::Complete } else { absent() },
            ..Item::image(self.name(entry)?)
        })
    }

    /// What the entries mean: images first, then what is attached to none of them.
    fn list(&self, survey: &Survey) -> Result<Contents> {
        let named: BTreeSet<Digest> = self.entries().iter().filter(|entry| entry.name.is_some()).map(|entry| entry.root.digest).collect();
        let shown = self.entries().iter().filter(|entry| entry.name.is_some() || !named.contains(&entry.root.digest));
        let (attachments, images): (Vec<&Entry>, Vec<&Entry>) =
            shown.partition(|entry| self.chosen.is_none() && survey.is_attachment(entry));
        let mut items: Vec<Item> = images.into_iter().map(|entry| self.item(entry, survey)).collect::<Result<_>>()?;
        let roots = items.iter().flat_map(|item| item.root.iter().chain(&item.attached));
        let held: BTreeSet<Digest> = roots.flat_map(|root| survey.family.tree(&root.digest)).collect();
        for entry in attachments {
            if !survey.means(entry).iter().all(|digest| held.contains(digest)) {
                items.push(self.item(entry, survey)?);
            }
        }
        let chosen = self.chosen.and_then(|_| items.first()).map(|item| item.origin.clone());
        if let Some(chosen) = &chosen {
            let beside = |name: &Reference| name != chosen && name.tag().and_then(subject_of).is_some();
            for entry in self.index.entries().iter().filter(|entry| entry.name.as_ref().is_some_and(beside)) {
                items.push(self.item(entry, survey)?);
            }
        }
        let mut items = gathered(Contents::new(items).items().to_vec(), |root| survey.family.tree(root));
        items.retain(|item| chosen.as_ref().is_none_or(|chosen| item.origin == *chosen));
        Ok(Contents::new(items))
    }
}

/// The image that `reference` means: by its full name, else by what the annotation says, else by tag or digest.
fn choose(index: &Index, reference: &str, place: &str) -> Result<usize> {
    let full: Option<Reference> = reference.parse().ok();
    let by_name = |entry: &Entry| entry.name.is_some() && entry.name == full;
    let by_annotation = |entry: &Entry| entry.ref_name.as_deref() == Some(reference);
    let by_part = |entry: &Entry| {
        let tag = entry.name.as_ref().and_then(Reference::tag);
        (is_tag(reference) && tag == Some(reference)) || entry.root.digest.to_string() == reference
    };
    let ways: [&dyn Fn(&Entry) -> bool; 3] = [&by_name, &by_annotation, &by_part];
    let found = |way: &&dyn Fn(&Entry) -> bool| {
        let serving = index.entries().iter().enumerate().filter(|(_, entry)| way(entry));
        serving.map(|(at, _)| at).collect::<Vec<_>>()
    };
    let serving = ways.iter().map(found).find(|serving| !serving.is_empty()).unwrap_or_default();
    let last = *serving.last().ok_or_else(|| not_found(index, place))?;
    let is_last = |at: &usize| {
        let (one, last) = (&index.entries()[*at], &index.entries()[last]);
        one.root.digest == last.root.digest || one.name == last.name
    };
    if serving.iter().all(is_last) { Ok(last) } else { Err(ambiguous(index, &serving, place)) }
}

fn not_found(index: &Index, place: &str) -> Error {
    let error = Error::failed(format!("{place}: there is no image by that name in the layout"));
    match names(index.entries().iter()) {
        none if none.is_empty() => error,
        there => error.hint(format!("use one that is there: {there}")),
    }
}

fn ambiguous(index: &Index, serving: &[usize], place: &str) -> Error {
    let there = names(serving.iter().map(|at| &index.entries()[*at]));
    Error::usage(format!("{place}: several images go by that name")).hint(format!("use a full name: {there}"))
}

fn names<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    let names = entries.filter_map(|entry| entry.name.as_ref()).map(Reference::to_string);
    let mut shown: Vec<String> = names.take(NAMES_SHOWN + 1).collect();
    if shown.len() > NAMES_SHOWN {
        shown[NAMES_SHOWN] = "…".to_owned();
    }
    shown.join(", ")
}

impl Survey {
    /// Reads every manifest that the index leads to.
    fn of(folder: &Folder, index: &Index) -> Self {
        let mut survey = Self { family: Family::default(), unreadable: BTreeMap::new() };
        let mut todo: Vec<Descriptor> = index.entries().iter().map(|entry| entry.root.clone()).collect();
        let mut seen = BTreeSet::new();
        while let Some(next) = todo.pop() {
            if !seen.insert(next.digest) {
                continue;
            }
            match folder.manifest(&next) {
                Ok(Some(manifest)) => {
                    survey.family.add(&manifest);
                    todo.extend(manifest.children().iter().cloned());
                }
                Ok(None) => {}
                // What is wrong with it is told when it is asked for.
                Err(_) => {
                    survey.unreadable.insert(next.digest, next);
                }
            }
        }
        survey
    }

    /// Whether an entry is listed only for the image that it belongs to.
    fn is_attachment(&self, entry: &Entry) -> bool {
        match &entry.name {
            None => self.family.subject(&entry.root.digest).is_some(),
            Some(_) => self.is_fallback(entry),
        }
    }

    /// Whether this is an index of referrers under the tag that stands for their subject (OCI distribution-spec,
    /// "Referrers Tag Schema"). An image that was named so for want of a tag is not one.
    fn is_fallback(&self, entry: &Entry) -> bool {
        let Some(tag) = entry.ref_name.as_deref() else { return false };
        let refers = |child: Digest| self.family.subject(&child).is_some_and(|subject| digest_tag(&subject) == tag);
        let here = self.family.children(&entry.root.digest).filter(|child| self.family.descriptor(child).is_some());
        let answers: Vec<bool> = here.map(refers).collect();
        !answers.is_empty() && answers.into_iter().all(|refers| refers)
    }

    /// The attached manifests that an attachment's entry stands for.
    fn means(&self, entry: &Entry) -> Vec<Digest> {
        match self.is_fallback(entry) {
            true => self.family.children(&entry.root.digest).filter(|child| self.family.descriptor(child).is_some()).collect(),
            false => vec![entry.root.digest],
        }
    }
}

#[async_trait]
impl Source for LayoutSource {
    fn place(&self) -> String {
        self.place.clone()
    }

    async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>> {
        if let Some(digest) = name.digest() {
            let manifest = self.manifest(name.repository(), &Descriptor::new("", digest, 0)).await?;
            return Ok(manifest.map(|manifest| Descriptor { annotations: None, ..manifest.descriptor().clone() }));
        }
        let name = name.clone().or_latest();
        let is_named =
            |entry: &&Entry| entry.name.as_ref().is_some_and(|there| there.repository() == name.repository() && there.tag() == name.tag());
        Ok(self.entries().iter().rev().find(is_named).map(|entry| entry.root.clone()))
    }

    async fn manifest(&self, _: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>> {
        let (folder, wanted) = (self.folder.clone(), wanted.clone());
        blocking(move || folder.manifest(&wanted)).await
    }

    async fn blob_size(&self, _: &Repository, blob: &Digest) -> Result<Option<u64>> {
        let path = self.folder.blob_path(blob);
        blocking(move || size_of(&path)).await
    }

    async fn read(&self, _: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        let path = self.folder.blob_path(&blob.digest);
        let (opened, says) = (path.clone(), blob.size);
        let Some((file, size)) = blocking(move || open(&opened)).await? else { return Ok(None) };
        if size != says {
            return Err(Error::damaged(format!("{}: it has {size} bytes and its descriptor says {says}", path.display())));
        }
        if range.start > range.end || range.end > size {
            return Err(Error::failed(format!("{}: it has {size} bytes, not bytes {range:?}", path.display())));
        }
        let len = range.end - range.start;
        Ok(Some(Body::new(len, path.display().to_string(), parts(file, &path, range))))
    }

    async fn referrers(&self, _: &Repository, subject: &Digest) -> Result<Vec<Descriptor>> {
        let survey = self.survey().await?;
        let may_refer = |manifest: &&Descriptor| manifest.media_type.is_empty() || manifest.is_manifest();
        let Some(damaged) = survey.unreadable.values().find(may_refer) else { return Ok(survey.family.referrers(subject)) };
        let path = self.folder.blob_path(&damaged.digest);
        Err(Error::damaged(format!("{}: it cannot be read, and may refer to {subject}", path.display())))
    }

    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>> {
        let names: Vec<&Reference> = self.entries().iter().filter_map(|entry| entry.name.as_ref()).collect();
        let here = names.into_iter().filter(|name| name.repository() == repository);
        let tags: Vec<Option<&str>> = here.map(Reference::tag).collect();
        let sorted: BTreeSet<String> = tags.iter().flatten().map(|tag| (*tag).to_owned()).collect();
        Ok((!tags.is_empty()).then(|| sorted.into_iter().collect()))
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        let survey = self.survey().await?;
        self.list(survey).map(Some)
    }
}
