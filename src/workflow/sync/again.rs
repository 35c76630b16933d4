//! [`again`]: writes a set once more, byte for byte, where it or a volume of it was lost.
//!
//! **Invariants.** Everything is fetched by digest. What comes out has the root of the set, or nothing gets a final name.
//!
//! *Not here:* how a set is written (`to_archive`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::configs;
use super::lineage::Line;
use super::origins::Origins;
use super::parent::Parent;
use super::to_archive::{self, Again, Fixed};
use super::{ArchiveOptions, Delta, Depth, Outcome, Packing, ParentData, SetOutcome, Settings};
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::image::{Contents, Item, Platform, State, Wanted};
use crate::store::archive::{ArchiveSource, Holding, KnownSet, ParentId, SetFacts, Shelf, Unfinished};
use crate::transfer::Ending;
use crate::workflow::blocking;
use crate::workspace::Workspace;

/// Who writes sets here.
const WRITER: &str = concat!("ocm ", env!("CARGO_PKG_VERSION"));

/// What is to be written once more, and where to.
#[derive(Debug, Clone)]
pub struct Request {
    /// The archive directory that the set was written into; its catalogue may be in the workspace alone.
    pub folder: PathBuf,
    /// Its generation.
    pub generation: u32,
    /// The one volume that is wanted; all are by default.
    pub volume: Option<u32>,
    /// The directory that gets the volumes.
    pub to: PathBuf,
    /// Where the data of earlier sets are.
    pub data: ParentData,
}

/// What the options of a set say of how it was made.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    level: i32,
    frame_bytes: u64,
    gzip: String,
    delta: Depth,
    index_bytes: u64,
    #[serde(default)]
    own_versions: bool,
    #[serde(default)]
    parity: Option<String>,
    parent_data: String,
    only: bool,
    all_tags: bool,
    platforms: Vec<String>,
    from: Vec<MadeFrom>,
}

/// A place, and what it brought.
#[derive(Debug, Deserialize)]
pub(super) struct MadeFrom {
    pub(super) place: String,
    items: Vec<usize>,
}

/// Writes the set once more.
pub async fn again(request: Request, settings: &Settings) -> Result<Outcome> {
    if settings.signer.is_some() {
        return Err(Error::usage("--again writes a set with the signature that it has, and needs no key").hint("leave --sign out"));
    }
    let workspace = Workspace::new(settings.workspace());
    let (wanted, there) = (request.clone(), workspace.clone());
    let known = blocking(move || Known::find(&wanted, &there)).await?;
    check_volume(&known.facts, &request)?;
    let made = made(&known.facts)?;
    let sync = sync_of(&request, &known.facts, &made)?;
    let origins = Origins::open(&sync, settings).await?;
    let wanted = wanted_of(&known.facts.contents, &made, &origins)?;
    let kept = configs::recalled(&known.facts.contents, &workspace)?;
    let hidden = request.to.join(format!(".again-{}", crate::workflow::short_id(&known.facts.id())));
    clean(&hidden)?;
    let fixed = || known.fixed(&request, &workspace, wanted.clone(), kept.clone(), &hidden);
    // First whether everything is still there: then nothing is fetched in vain.
    let dry = super::Request { dry_run: true, ..sync.clone() };
    let plan = to_archive::bring(&dry, &hidden, &origins, settings, &workspace, fixed()?).await?;
    check_items(&known.facts, &plan)?;
    let mut outcome = to_archive::bring(&sync, &hidden, &origins, settings, &workspace, fixed()?).await?;
    let checked = check_items(&known.facts, &outcome).and_then(|()| check_root(&known.facts, outcome.set.as_ref()));
    let placed = checked.and_then(|()| outcome.set.as_mut().map_or(Ok(()), |set| bring_out(set, &request, &hidden)));
    remove(&hidden)?;
    placed.map(|()| outcome)
}

/// The set as it is known, and what it builds on.
struct Known {
    facts: SetFacts,
    parent: Option<KnownParent>,
}

enum KnownParent {
    Set(KnownSet),
    Destination(Box<Holding>),
}

impl Known {
    fn find(request: &Request, workspace: &Workspace) -> Result<Self> {
        let (shelf, catalogues) = (Shelf::open(&request.folder)?, Shelf::open_together(&workspace.known_sets()?)?);
        let shelves = [&shelf, &catalogues];
        let set = the_set(request, &shelf, &catalogues)?;
        let source = ArchiveSource::of_known(&set, &shelves)?;
        let facts = source.sets().first().cloned().ok_or_else(|| Error::usage("the set says nothing"))?;
        let parent = match facts.parent() {
            None => None,
            Some(ParentId::Set { id, generation }) => {
                let set = shelves.iter().flat_map(|shelf| shelf.known_sets()).find(|set| set.id == id);
                let gone = || Error::needed(format!("set {} builds on set {generation}, which is not known here", facts.generation()));
                Some(KnownParent::Set(set.ok_or_else(|| gone().hint("put its catalogue beside the set"))?))
            }
            Some(ParentId::Receipt { root, destination }) => {
                let mut holdings = workspace.receipt_files()?.into_iter().filter_map(|path| Holding::read(&path).ok());
                let gone = || {
                    let of = destination.unwrap_or_default();
                    Error::needed(format!("set {} builds on a receipt of {of} that is not here: {root}", facts.generation()))
                        .hint("put the receipt into a folder below receipts/ of the workspace")
                };
                let holding = holdings.find(|holding| holding.root() == root).ok_or_else(gone)?;
                Some(KnownParent::Destination(Box::new(holding)))
            }
        };
        Ok(Self { facts, parent })
    }

    /// What is settled of the set.
    fn fixed(&self, request: &Request, workspace: &Workspace, wanted: Vec<Wanted>, kept: Vec<Wanted>, hidden: &Path) -> Result<Fixed> {
        let facts = &self.facts;
        let mut shelves = vec![Shelf::open(&request.folder)?];
        if let ParentData::In(path) = &request.data {
            shelves.push(Shelf::open(path)?);
        }
        shelves.push(Shelf::open_together(&workspace.known_sets()?)?);
        let shelves: Vec<&Shelf> = shelves.iter().collect();
        let parent = match &self.parent {
            None => None,
            Some(KnownParent::Set(set)) => Some(Parent::open(set, &shelves)?),
            Some(KnownParent::Destination(holding)) => Some(Parent::Destination(holding.as_ref().clone())),
        };
        let lineage = Some(facts.lineage_bytes());
        let line = Line { lineage, name: facts.lineage_name().to_owned(), generation: facts.generation(), parent };
        let (set, time, catalogue) = (facts.id_bytes(), facts.manifest.time, hidden.join("catalogues"));
        let signature = facts.signature.clone();
        let again = Again { set, time, wanted, kept, signature, catalogue, volume: request.volume };
        Ok(Fixed { line: Some(line), again: Some(again), ..Fixed::default() })
    }
}

/// The set that is meant: in the directory, or of the same name or lineage among the catalogues.
fn the_set(request: &Request, shelf: &Shelf, catalogues: &Shelf) -> Result<KnownSet> {
    let is_wanted = |set: &KnownSet| set.generation == request.generation;
    let here = shelf.known_sets();
    let mut found: Vec<KnownSet> = here.iter().filter(|set| is_wanted(set)).cloned().collect();
    if found.is_empty() {
        let folder = request.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_its = |set: &KnownSet| set.name == folder || here.iter().any(|here| here.lineage == set.lineage);
        found = catalogues.known_sets().into_iter().filter(|set| is_wanted(set) && is_its(set)).collect();
    }
    let place = format!("{}@{}", request.folder.display(), request.generation);
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Error::needed(format!("{place}: nothing tells of that set, here or in the workspace: no last volume, no catalogue"))
            .hint("put its catalogue into the directory")),
        _ => Err(Error::usage(format!("{place}: there are several sets of that generation")).hint("name a directory with one of them")),
    }
}

fn made(facts: &SetFacts) -> Result<Made> {
    let generation = facts.generation();
    if facts.manifest.writer != WRITER {
        return Err(Error::usage(format!("set {generation} was written by {}, and this is {WRITER}", facts.manifest.writer))
            .hint("use that version: another one may choose other bytes"));
    }
    let options = &facts.manifest.options;
    if options.member::<serde::de::IgnoredAny>("mergedFrom").is_some() {
        return Err(Error::usage(format!("set {generation} is a base made of a chain")).hint("make it again with `ocm merge`"));
    }
    options.read().map_err(|error| Error::usage(format!("set {generation} does not say how it was made: {error}")))
}

/// The sync that made the set.
fn sync_of(request: &Request, facts: &SetFacts, made: &Made) -> Result<super::Request> {
    let from = made.from.iter().map(|from| from.place.parse::<Location>()).collect::<Result<Vec<_>>>()?;
    let platforms = made.platforms.iter().map(|platform| platform.parse::<Platform>()).collect::<Result<Vec<_>>>()?;
    Ok(super::Request {
        from,
        wishes: None,
        to: Location::Archive { path: request.to.clone(), generation: None },
        all_tags: made.all_tags,
        platforms,
        keep_host: false,
        attachments: Default::default(),
        max_nested_paths: None,
        salvage: false,
        allow_older: true,
        base: Vec::new(),
        check_base: false,
        archive: ArchiveOptions {
            volume_bytes: facts.manifest.cap,
            since: None,
            full: false,
            lineage: None,
            only: made.only,
            refresh: false,
            packing: Packing { frame_bytes: made.frame_bytes, level: made.level, replays: made.gzip == "auto" },
            delta: Delta {
                depth: made.delta,
                data: data_of(request, &made.parent_data),
                own: made.own_versions,
                index_bytes: made.index_bytes,
            },
            parity: made.parity.as_deref().map(str::parse).transpose()?,
            on_volume: None,
            release: false,
        },
        publish: Default::default(),
        dry_run: false,
    })
}

/// Where the data of earlier sets are now, given what the set was made with.
fn data_of(request: &Request, made_with: &str) -> ParentData {
    [ParentData::Nowhere, ParentData::Registry].into_iter().find(|data| data.word() == made_with).unwrap_or_else(|| request.data.clone())
}

/// What the run brought, in its order, by digest.
fn wanted_of(contents: &Contents, made: &Made, origins: &Origins) -> Result<Vec<Wanted>> {
    let mut all = Vec::new();
    for (place, from) in made.from.iter().enumerate() {
        for at in &from.items {
            let count = contents.items().len();
            let strange = || Error::damaged(format!("the set says that {} brought item {at}, and has {count}", from.place));
            let (item, source) = contents.items().get(*at).zip(origins.source(place)).ok_or_else(strange)?;
            all.push(wanted(item.clone(), source));
        }
    }
    Ok(all)
}

fn wanted(item: Item, source: Arc<dyn crate::image::Source>) -> Wanted {
    let (name, sparse) = (item.origin.clone(), !item.wanted.is_empty());
    let missing = match &item.state {
        State::Missing(why) => Some(Error::failed(why.clone())),
        State::Complete => None,
    };
    let wanted = Wanted { pinned: true, sparse, ..Wanted::new(item, source, name) };
    match missing {
        Some(error) => wanted.fail(error),
        None => wanted,
    }
}

/// Fails where an item that the set has could not be had.
fn check_items(facts: &SetFacts, outcome: &Outcome) -> Result<()> {
    let items = facts.contents.items();
    let had = |item: &Item| items.iter().any(|old| (&old.origin, old.role) == (&item.origin, item.role) && old.is_complete());
    let gone: Vec<_> = outcome.report.items.iter().filter(|item| item.has_failed() && had(&item.item)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let error = Error::needed(format!("set {} cannot be written again: {} of its images are gone", facts.generation(), gone.len()));
    let note = |error: Error, item: &&crate::transfer::Outcome| match &item.ending {
        Ending::Failed(why) => error.note(format!("gone: {}: {why}", item.item.origin)),
        Ending::Done { .. } | Ending::Already => error,
    };
    Err(gone.iter().fold(error, note).hint("write a new set instead: --since names what the far side has"))
}

fn check_root(facts: &SetFacts, set: Option<&SetOutcome>) -> Result<()> {
    let generation = facts.generation();
    match set {
        Some(set) if set.root == facts.root => Ok(()),
        Some(set) => Err(Error::failed(format!("set {generation} came out with root {}, not {}", set.root, facts.root))
            .note("what it builds on was at hand in another way than when it was made")
            .hint("put the sets that were beside it then into its directory, or write a new set: --since names what the far side has")),
        None => Err(Error::failed(format!("set {generation}: nothing was written"))),
    }
}

/// Gives what is wanted of the files its place, where none of them may be.
fn bring_out(set: &mut SetOutcome, request: &Request, hidden: &Path) -> Result<()> {
    set.volumes.retain(|volume| request.volume.is_none_or(|wanted| volume.number == wanted));
    set.catalogue.retain(|path| request.volume.is_none() && path.parent() == Some(hidden));
    let failed = |error: std::io::Error| Error::io(hidden.display(), &error);
    let mut moves = Vec::new();
    for entry in std::fs::read_dir(hidden).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_wanted = request.volume.is_none() || set.volumes.iter().any(|volume| volume.path == entry.path());
        if entry.file_type().map_err(failed)?.is_file() && is_wanted {
            moves.push((entry.path(), request.to.join(entry.file_name())));
        }
    }
    if let Some((_, to)) = moves.iter().find(|(_, to)| to.exists()) {
        return Err(Error::usage(format!("{}: it is there already", to.display())).hint("name another directory"));
    }
    let volumes = set.volumes.iter_mut().chain(&mut set.parity);
    for path in volumes.map(|volume| &mut volume.path).chain(&mut set.catalogue) {
        *path = request.to.join(path.file_name().unwrap_or_default());
    }
    moves.iter().try_for_each(|(from, to)| std::fs::rename(from, to).map_err(|error| Error::io(to.display(), &error)))
}

fn check_volume(facts: &SetFacts, request: &Request) -> Result<()> {
    let count = facts.manifest.volumes.len();
    match request.volume.filter(|volume| *volume == 0 || *volume as usize > count) {
        Some(volume) => {
            Err(Error::usage(format!("set {} has no volume {volume}", facts.generation())).hint(format!("name one from 1 to {count}")))
        }
        None => Ok(()),
    }
}

/// Makes way for a run, unless one is to be gone on with.
fn clean(hidden: &Path) -> Result<()> {
    match Unfinished::load(hidden)? {
        Some(unfinished) if unfinished.is_in_the_making(hidden)? => Ok(()),
        _ => remove(hidden),
    }
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder.display(), &error)),
        _ => Ok(()),
    }
}
