//! [`sync`]: brings content from here to there.
//!
//! **Invariants.** Sources are opened, names resolved and everything planned before anything is written.
//!
//! *Not here:* how a plan is made (`plan`) and carried out (`transfer`).

pub mod again;
mod base;
mod command;
mod configs;
mod content;
mod judging;
mod lacking;
mod leftover;
mod lineage;
pub mod merge;
pub mod mirror_tars;
mod origins;
mod parent;
mod parent_data;
mod parity;
mod received;
mod signatures;
mod space;
mod to_archive;
mod to_place;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::origins::Origins;
pub(super) use self::origins::registry_options;
pub use self::parent::ParentOutcome;
pub use self::signatures::Signatures;
use self::to_archive::Fixed;
use super::Settings;
use super::signing::NamedSet;
pub use crate::collect::{Blocked, Document, Wish, Wishes};
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::image::{Attachments, Digest, Platform};
use crate::monitor::{Event, Outline, OutlinedSet};
use crate::plan::{Carried, Fate, Plan, Planned, Summary};
use crate::publish;
pub use crate::publish::{MirrorScope, Options as PublishOptions, Published};
use crate::store::archive::Holding;
pub use crate::store::archive::parity::Amount as ParityAmount;
pub use crate::store::archive::{Count, Delta, Depth, GzipShare, Packing, ParentData};
use crate::transfer::{Class, Ending, Report};
use crate::workspace::Workspace;

/// What is to be brought where.
#[derive(Debug, Clone)]
pub struct Request {
    /// From where; at least one, unless configurations say what is wanted: then all of it is had from its origins.
    pub from: Vec<Location>,
    /// What configurations ask for; without them, all that the places have, or what they name.
    pub wishes: Option<Wishes>,
    /// To where.
    pub to: Location,
    /// A repository without tag or digest means all of its tags.
    pub all_tags: bool,
    /// The platforms wanted of an index; none means all.
    pub platforms: Vec<Platform>,
    /// Whether the origin's host stays as a part of names below a prefix.
    pub keep_host: bool,
    /// What of what is attached to images travels with them, and what must be there.
    pub attachments: Attachments,
    /// How many components a path may have at a registry.
    pub max_nested_paths: Option<NonZeroUsize>,
    /// Archives are read as far as they can be, whatever is lost of them.
    pub salvage: bool,
    /// Take sets that are older than the newest one accepted at the destination.
    pub allow_older: bool,
    /// More places that hold content which a delta builds on.
    pub base: Vec<PathBuf>,
    /// Read everything that a delta builds on before anything is written.
    pub check_base: bool,
    /// How an archive is written, where the destination is one.
    pub archive: ArchiveOptions,
    /// How clusters are told where the images are now, where the destination is a registry.
    pub publish: publish::Options,
    /// Only plan; nothing is written.
    pub dry_run: bool,
}

/// How an archive is written.
#[derive(Debug, Clone)]
pub struct ArchiveOptions {
    /// The size that every file stays strictly below, in bytes.
    pub volume_bytes: u64,
    /// What the new set builds on, if not the newest set there: an archive, a catalogue, a receipt, or a date `YYYY-MM-DD`.
    pub since: Option<String>,
    /// A base, whatever is known.
    pub full: bool,
    /// The name of the lineage, where it is not that of the directory.
    pub lineage: Option<String>,
    /// The set lists exactly what was named, not what its parent lists too.
    pub only: bool,
    /// Names are resolved anew, also where the parent is a partial set of the same request, whose digests are taken otherwise.
    pub refresh: bool,
    /// How content is packed.
    pub packing: Packing,
    /// What is taken from earlier sets.
    pub delta: Delta,
    /// How many parity volumes the set gets; none by default.
    pub parity: Option<ParityAmount>,
    /// A command that is run for each finished volume.
    pub on_volume: Option<String>,
    /// Let go of a volume's file once the command succeeded.
    pub release: bool,
}

impl ArchiveOptions {
    /// The receipt that the new set is made for, where that is what it builds on.
    pub(super) fn since_receipt(&self) -> Option<&Path> {
        self.since.as_deref().map(Path::new).filter(|since| Holding::is_meant(since))
    }

    /// Whether what a set gets later may be compressed after what it got before. A command may take volumes away, which are
    /// read for that.
    pub(super) fn builds_on_itself(&self) -> bool {
        self.delta.own && self.delta.depth == Depth::Patch && self.on_volume.is_none()
    }
}

/// What a sync came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// What was planned.
    pub plan: Summary,
    /// Whether this was a dry run: nothing was written.
    pub dry_run: bool,
    /// The space that the run needs at the destination, in bytes, where it is an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<Space>,
    /// What the set builds on that would be written, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentOutcome>,
    /// The manifests that each index lists, by its digest and as far as they are carried, in a dry run.
    #[serde(skip)]
    pub children: BTreeMap<Digest, Vec<Digest>>,
    /// What is read back from the destination because sets build on it, where that is anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_back: Option<ReadBack>,
    /// What is read of the parent's blobs from the registries that they came from, where that is anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_data: Option<ReadBack>,
    /// How deep the delta goes, where the destination is an archive and a set is built on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<Depth>,
    /// What became of each item.
    pub report: Report,
    /// How many images are signed, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signatures: Option<Signatures>,
    /// What was asked for and is blocked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<Blocked>,
    /// The set that was written; absent where there was nothing new, or the destination is no archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<SetOutcome>,
    /// The receipt that was written, where the destination is a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<PathBuf>,
    /// The signature of the receipt, where a key was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_signature: Option<PathBuf>,
    /// The sets that were read, where places are archives.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<NamedSet>,
    /// What tells clusters where the images are now, where the destination is a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// Sets in the source that are newer than the one taken, but lack volumes; the run then ends with 5.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub newer: Vec<String>,
    /// What was not to be read of archives that were read as far as they could be; the run then ends with 4.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// Where state is kept.
    pub workspace: PathBuf,
}

/// Space in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Space {
    /// What the set takes at the most.
    pub set_bytes: u64,
    /// What is needed besides while it runs.
    pub running_bytes: u64,
    /// What it takes, about: by what real images took.
    pub about_bytes: u64,
    /// How many volumes it has, about.
    pub volumes: u64,
    /// The size that each of them stays below.
    pub cap_bytes: u64,
}

/// Old blobs that are read for what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadBack {
    /// How many old blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is kept of them in the workspace while the run goes on, in bytes.
    pub spool_bytes: u64,
}

/// A set that was written.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetOutcome {
    /// The name of its lineage.
    pub lineage: String,
    /// Its set id.
    pub id: String,
    /// Its generation.
    pub generation: u32,
    /// Its root: what is signed, and written on labels.
    pub root: Digest,
    /// The id of the key that signed it, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// What must be at hand on the far side; absent for a base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentOutcome>,
    /// The longest chain of earlier sets that it needs; 0 where it needs none.
    pub chain: u64,
    /// How deep the delta goes; absent for a base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<Depth>,
    /// The generations that it was made of, newest first, where it is a base made of a chain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged_from: Vec<u32>,
    /// How many of its items are complete, and how many it lists.
    pub items_complete: usize,
    /// How many items it lists.
    pub items: usize,
    /// The sum of the sizes of its blobs, in bytes; those that the parent holds are not counted.
    pub blob_bytes: u64,
    /// The sum of the sizes of its volumes.
    pub stored_bytes: u64,
    /// What became of the gzip blobs that this run brought.
    pub gzip: GzipShare,
    /// Its volumes, in order.
    pub volumes: Vec<VolumeOutcome>,
    /// Its parity volumes, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parity: Vec<VolumeOutcome>,
    /// The files of its catalogue.
    pub catalogue: Vec<PathBuf>,
}

impl SetOutcome {
    /// The generation of the set that it builds on, where it builds on one.
    #[must_use]
    pub fn parent_generation(&self) -> Option<u32> {
        match self.parent.as_ref()? {
            ParentOutcome::Set { generation, .. } => Some(*generation),
            ParentOutcome::Receipt { .. } => None,
        }
    }
}

/// A volume that was written.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeOutcome {
    /// Its number.
    pub number: u32,
    /// Its file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 of its file.
    pub sha256: Digest,
    /// Whether its file was let go.
    pub released: bool,
}

/// Brings content from here to there.
///
/// An error means that nothing new is visible at the destination; items that failed alone are in the report.
pub async fn sync(request: Request, settings: &Settings) -> Result<Outcome> {
    let request = request.settled();
    if request.from.is_empty() {
        return Err(match request.wishes {
            Some(_) => Error::failed("the configuration asks for no image").hint("list some in mirror.additionalImages"),
            None => Error::usage("sync: nothing is named to bring").hint("write `ocm sync FROM… TO`, or name a configuration with -c"),
        });
    }
    if let (Some(_), Location::Layout { .. }) = (&settings.signer, &request.to) {
        return Err(
            Error::usage(format!("{}: --sign signs sets and receipts, and a layout has neither", request.to)).hint("leave --sign out")
        );
    }
    parity::check(&request)?;
    let workspace = Workspace::new(settings.workspace());
    let origins = Origins::open(&request, settings).await?;
    let mut outcome = match &request.to {
        Location::Registry { .. } | Location::Layout { .. } => to_place::bring(&request, &origins, settings, &workspace).await?,
        Location::Archive { generation: Some(_), .. } => {
            return Err(Error::usage(format!("{}: a set cannot be chosen at the destination", request.to)).hint("name the directory alone"));
        }
        Location::Archive { path, .. } => to_archive::bring(&request, path, &origins, settings, &workspace, Fixed::default()).await?,
    };
    (outcome.newer, outcome.lost, outcome.sources) = (origins.newer.clone(), origins.lost.clone(), origins.sets());
    Ok(outcome)
}

impl Request {
    /// The same, with the places of all wishes where no other is named. What configurations ask for is all that a set lists
    /// (semantics A.2).
    fn settled(mut self) -> Self {
        if let Some(wishes) = &self.wishes {
            self.archive.only = true;
            if self.from.is_empty() {
                self.from = wishes.images.iter().map(|wish| wish.place.clone()).collect();
            }
        }
        self
    }

    /// The configurations themselves.
    fn documents(&self) -> &[Document] {
        self.wishes.as_ref().map(|wishes| wishes.documents.as_slice()).unwrap_or_default()
    }

    /// Whether all that configurations ask for is had from its origins.
    fn is_at_origins(&self) -> bool {
        self.wishes.as_ref().is_some_and(|wishes| wishes.images.iter().map(|wish| &wish.place).eq(&self.from))
    }
}

impl Outcome {
    /// What the run came to; the exit code follows from it.
    #[must_use]
    pub fn class(&self) -> Class {
        let newer = if self.newer.is_empty() { Class::Done } else { Class::Needed };
        let lost = if self.lost.is_empty() { Class::Done } else { Class::Damaged };
        self.report.class().max(newer).max(lost)
    }

    /// What is to be done, in numbers.
    #[must_use]
    pub fn outline(&self) -> Outline {
        Outline {
            images: self.plan.images,
            blobs: self.plan.blobs,
            bytes: self.plan.bytes_to_fetch,
            blobs_there: self.plan.blobs_there,
            bytes_there: self.plan.bytes_there,
            mounts: self.plan.mounts,
            set: self.space.map(|space| OutlinedSet {
                bytes: space.about_bytes,
                depth: self.depth.map(Depth::word),
                volumes: space.volumes,
                cap_bytes: space.cap_bytes,
            }),
        }
    }

    /// Says what is about to be done, where that is anything.
    fn announce(&self, settings: &Settings) {
        if self.plan.images > 0 {
            settings.monitor.event(Event::Planned(self.outline()));
        }
    }

    fn new(plan: &Plan, request: &Request, workspace: &Workspace) -> Self {
        Self {
            plan: plan.summary(),
            dry_run: request.dry_run,
            space: None,
            parent: None,
            children: if request.dry_run { children(plan) } else { BTreeMap::new() },
            read_back: None,
            parent_data: None,
            depth: None,
            report: unmoved(plan),
            signatures: Signatures::of(plan),
            blocked: Vec::new(),
            set: None,
            receipt: None,
            receipt_signature: None,
            sources: Vec::new(),
            published: None,
            newer: Vec::new(),
            lost: Vec::new(),
            workspace: workspace.path().to_owned(),
        }
    }
}

/// What the indexes list that are the roots of items, as far as it is carried.
fn children(plan: &Plan) -> BTreeMap<Digest, Vec<Digest>> {
    let of = |carried: &Vec<Carried>, root: Digest| {
        let is_carried = |child: &Digest| carried.iter().any(|one| one.digest == *child);
        let index = carried.iter().find(|one| one.digest == root)?.manifest.as_ref()?;
        let children: Vec<Digest> = index.children().iter().map(|child| child.digest).filter(is_carried).collect();
        (!children.is_empty()).then_some((root, children))
    };
    plan.items().iter().zip(plan.carried()).filter_map(|(planned, carried)| of(carried, planned.item.digest()?)).collect()
}

/// The report of a plan that is not carried out.
fn unmoved(plan: &Plan) -> Report {
    let ending = |fate: &Fate| match fate {
        Fate::Bring => Ending::Done { bytes: 0 },
        Fate::Already => Ending::Already,
        Fate::Missing(error) => Ending::Failed(error.clone()),
    };
    let outcome = |planned: &Planned| crate::transfer::Outcome {
        item: planned.item.clone(),
        name: planned.name.clone(),
        ending: ending(&planned.fate),
    };
    Report { items: plan.items().iter().filter(|planned| planned.item.role.is_content()).map(outcome).collect(), bytes_moved: 0 }
}

/// The time of a run as text, RFC 3339 in UTC.
pub(super) fn rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}
