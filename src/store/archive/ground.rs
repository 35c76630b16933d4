//! [`Ground`]: what a new set could build on: the chunk index of its parent, and the parent's data, here and elsewhere.
//!
//! **Invariants.** No data are read before [`Ground::build`]. What cannot be read is passed over and told once. Only plain forms that
//! the far side can have from the parent's volumes are used.
//!
//! *Not here:* where old blobs are looked for (`workflow`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocm_format::delta::{Blob, Chunks, Earlier, Older, Unread, Versions};
use ocm_format::index::{PlainRow, Stored};
use ocm_format::set::name;
use ocm_format::writer::{chunks_path, may_be_prefix};

use super::base::Lack;
use super::basis::{Basis, Delta, Depth, ParentData};
use super::needs::Needs;
use super::packing::Packing;
use super::recalled::{Both, OldBlob, Recalled};
use super::records::Records;
use super::source::{ArchiveSource, SetFacts};
use crate::error::Result;
use crate::image::{Contents, Digest, Repository};
use crate::monitor::{Event, Monitor};

/// What a new set could build on.
pub struct Ground {
    parent: ArchiveSource,
    facts: SetFacts,
    delta: Delta,
    frame_bytes: u64,
    catalogues: PathBuf,
    chunks: Option<Chunks>,
    /// The blobs whose plain forms runs can refer to, where there is no chunk index that says it.
    listed: Vec<Blob>,
    elsewhere: Vec<OldBlob>,
    recalled: Option<Arc<Recalled>>,
}

impl Ground {
    /// What there is of `parent`, whose chunk index is in `catalogues`, for a set that is packed so. `None` where a delta of whole blobs
    /// is all that is allowed.
    pub fn survey(
        parent: &ArchiveSource,
        delta: &Delta,
        packing: Packing,
        catalogues: &Path,
        monitor: &dyn Monitor,
    ) -> Result<Option<Self>> {
        let facts = parent.sets().first().filter(|_| delta.depth > Depth::Blob);
        let Some(facts) = facts.cloned() else { return Ok(None) };
        let mut ground = Self {
            parent: parent.clone(),
            facts,
            delta: delta.clone(),
            frame_bytes: packing.frame_bytes,
            catalogues: catalogues.to_owned(),
            chunks: None,
            listed: Vec::new(),
            elsewhere: Vec::new(),
            recalled: None,
        };
        match Chunks::read(&ground.index_path(), ground.facts.manifest.set, ground.delta.chunk_bytes()) {
            Ok(chunks) => ground.chunks = chunks,
            Err(error) => monitor.event(Event::Warning(&format!("{error}; it is not used"))),
        }
        ground.survey_data(monitor)?;
        Ok(Some(ground))
    }

    fn survey_data(&mut self, monitor: &dyn Monitor) -> Result<()> {
        if !self.delta.reads_data() {
            return Ok(());
        }
        let records = self.parent.records(&self.facts);
        if self.chunks.is_none() {
            self.listed = plain_blobs(&self.facts, &self.parent, &records)?;
        }
        let patches = self.delta.depth == Depth::Patch;
        if self.delta.data == ParentData::Registry && (patches || self.chunks.is_none()) {
            self.elsewhere = self.find_elsewhere(&records, monitor)?;
        }
        Ok(())
    }

    /// The blobs that are of use and are in no set at hand.
    fn find_elsewhere(&self, records: &Records, monitor: &dyn Monitor) -> Result<Vec<OldBlob>> {
        let blobs = self.chunks.as_ref().map_or(self.listed.as_slice(), Chunks::blobs);
        // Whatever cannot be told of a blob here: it can be had elsewhere.
        let lacks = |blob: &&Blob| !matches!(self.parent.lacks(&blob.digest), Ok(Lack::Nothing));
        let lacking: Vec<&Blob> = blobs.iter().filter(lacks).collect();
        if lacking.is_empty() {
            return Ok(Vec::new());
        }
        let repositories = repositories(&self.facts.contents, &self.parent)?;
        let old = |blob: &&Blob| OldBlob {
            digest: blob.digest,
            bytes: blob.bytes,
            plain_bytes: blob.plain_bytes,
            depth: records.depth(&blob.digest),
            repositories: repositories.get(&blob.digest).into_iter().flatten().cloned().collect(),
        };
        let old: Vec<OldBlob> = lacking.iter().map(old).collect();
        let (of_use, too_deep): (Vec<_>, Vec<_>) =
            old.into_iter().partition(|old| self.chunks.is_none() || may_be_prefix(old.cost(), self.frame_bytes));
        if !too_deep.is_empty() {
            monitor.event(Event::Note(&format!(
                "set {}: {} may lie in patches that are as deep as can be without their volumes: nothing is compressed after their content",
                self.facts.generation(),
                layers(too_deep.len() as u64)
            )));
        }
        Ok(of_use)
    }

    /// The blobs that are of use and in no set at hand: what is worth looking for elsewhere.
    #[must_use]
    pub fn elsewhere(&self) -> &[OldBlob] {
        &self.elsewhere
    }

    /// From now on takes from `recalled` what it has.
    pub fn recall(&mut self, recalled: Arc<Recalled>) {
        self.recalled = Some(recalled).filter(|recalled| recalled.blobs() > 0);
    }

    /// How deep the delta will go, as far as can be told without reading data.
    #[must_use]
    pub fn outlook(&self) -> Depth {
        match (&self.chunks, self.has_data()) {
            (_, true) => self.delta.depth,
            (Some(_), false) => Depth::Chunk,
            (None, false) => Depth::Blob,
        }
    }

    fn has_data(&self) -> bool {
        self.delta.reads_data() && (self.parent.has_data() || self.recalled.is_some())
    }

    /// Reads what is needed. A chunk index that was not there is made again from the data, and kept.
    pub fn build(mut self, monitor: &dyn Monitor) -> Basis {
        let older = self.older();
        let Some(chunks) = self.chunks.take().or_else(|| self.make_again(older.as_ref(), monitor)) else { return Basis::default() };
        if self.delta.depth < Depth::Patch || !self.has_data() {
            return Basis { earlier: Arc::new(Earlier { chunks, versions: None }), depth: Depth::Chunk, ..Basis::default() };
        }
        let versions = Versions::of(&chunks, older, self.delta.version_bytes());
        let unread = versions.unread();
        self.tell(&unread, "its content is not used for patches", "their content is not used for patches", monitor);
        let versions = Some(versions).filter(|versions| !versions.is_empty());
        let depth = if versions.is_some() { Depth::Patch } else { Depth::Chunk };
        Basis { earlier: Arc::new(Earlier { chunks, versions }), depth, generation: self.facts.generation(), told: unread.broken }
    }

    /// Makes a chunk index that was lost again while the volumes are at hand, for later sets.
    pub fn mend(&self, monitor: &dyn Monitor) {
        if self.chunks.is_none() && self.delta.reads_data() && self.parent.has_data() {
            self.make_again(self.parent.older().as_ref(), monitor);
        }
    }

    fn older(&self) -> Arc<dyn Older> {
        let sets = self.parent.older();
        match &self.recalled {
            Some(recalled) => Arc::new(Both { sets, recalled: Arc::clone(recalled) }),
            None => sets,
        }
    }

    fn index_path(&self) -> PathBuf {
        let manifest = &self.facts.manifest;
        chunks_path(&self.catalogues, &name::stem(&manifest.lineage.name, manifest.generation, manifest.set))
    }

    /// The chunk index, from the data. One that lacks blobs is not kept: the next run may find them.
    fn make_again(&self, older: &dyn Older, monitor: &dyn Monitor) -> Option<Chunks> {
        if !self.has_data() {
            return None;
        }
        monitor.event(Event::Note(&format!("set {}: its chunk index is made again from its data", self.facts.generation())));
        let (chunks, unread) = Chunks::of(self.listed.iter().copied(), older, self.delta.chunk_bytes());
        self.tell(&unread, "it is not in it", "they are not in it", monitor);
        if unread.is_empty() {
            self.keep(&chunks, monitor);
        }
        Some(chunks).filter(|chunks| !chunks.is_empty())
    }

    fn keep(&self, chunks: &Chunks, monitor: &dyn Monitor) {
        let path = self.index_path();
        let kept = std::fs::create_dir_all(&self.catalogues).map_err(|error| error.to_string());
        let kept = kept.and_then(|()| chunks.write(&path, self.facts.manifest.set).map_err(|error| error.to_string()));
        if let Err(error) = kept {
            monitor.event(Event::Warning(&format!("{}: {error}; the next delta takes as long", path.display())));
        }
    }

    /// Tells of blobs that were passed over: once, however many.
    fn tell(&self, unread: &Unread, one: &str, several: &str, monitor: &dyn Monitor) {
        let set = self.facts.generation();
        let so = |count: u64| if count == 1 { one } else { several };
        // Of blobs that are had from elsewhere it was told when they were looked for.
        if unread.absent > 0 && self.delta.data != ParentData::Registry {
            let be = if unread.absent == 1 { "is" } else { "are" };
            monitor.event(Event::Note(&format!("{} of set {set} {be} not at hand: {}", layers(unread.absent), so(unread.absent))));
        }
        if let (1.., Some(why)) = (unread.broken, &unread.why) {
            let text = format!("{} of set {set} cannot be read: {}", layers(unread.broken), so(unread.broken));
            monitor.event(Event::Warning(&format!("{text} ({why})")));
        }
    }
}

/// So many of them.
pub(super) fn layers(count: u64) -> String {
    if count == 1 { "1 layer".to_owned() } else { format!("{count} layers") }
}

/// The blobs of a set whose plain forms runs can refer to, as far as volumes and catalogues tell.
fn plain_blobs(facts: &SetFacts, parent: &ArchiveSource, records: &Records) -> Result<Vec<Blob>> {
    let needs = Needs::of(&facts.contents, |manifest| parent.manifest_now(manifest))?;
    let mut blobs = Vec::new();
    for (digest, bytes) in needs.blobs {
        let here = parent.info(&digest).ok().flatten().map(|info| (info.stored, info.plain));
        let Some((stored, plain)) = here.or_else(|| records.blob(&digest).map(|row| (row.stored, row.plain))) else { continue };
        match plain {
            // Small documents: not cut when they were written either.
            _ if matches!(stored, Stored::Verbatim { .. }) => {}
            PlainRow::Listed { bytes: plain_bytes, .. } => blobs.push(Blob { digest, bytes, plain_bytes }),
            PlainRow::Own => blobs.push(Blob { digest, bytes, plain_bytes: bytes }),
            PlainRow::Unknown => {}
        }
    }
    Ok(blobs)
}

/// The repositories that the images came from that need each blob.
fn repositories(contents: &Contents, parent: &ArchiveSource) -> Result<BTreeMap<Digest, BTreeSet<Repository>>> {
    let mut all: BTreeMap<Digest, BTreeSet<Repository>> = BTreeMap::new();
    for item in contents.items() {
        let needs = Needs::of(&Contents::new([item.clone()]), |manifest| parent.manifest_now(manifest))?;
        for digest in needs.blobs.into_keys() {
            all.entry(digest).or_default().insert(item.origin.repository().clone());
        }
    }
    Ok(all)
}
