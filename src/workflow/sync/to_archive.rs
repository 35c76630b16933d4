//! Syncing to an archive: a new set, or nothing where nothing is new.
//!
//! **Invariants.** Nothing is written before the plan is known to fit. The plan is kept beside the volume in the making until
//! the set is finished; the same request goes on with it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::base::{Far, Needed};
use super::command::Command;
use super::configs;
use super::content::content;
use super::leftover::{self, hand_over_catalogue, handing, released};
use super::lineage::Line;
use super::origins::Origins;
use super::parent::{Parent, ParentOutcome, Said};
use super::{Delta, Outcome, ParityAmount, Request, SetOutcome, Settings, VolumeOutcome, parent_data, parity, space};
use crate::collect::Collected;
use crate::error::Result;
use crate::image::{Attachments, Contents, Digest, Item, Source, Wanted};
use crate::monitor::Event;
use crate::plan::Plan;
use crate::store::archive::foreign::foreign;
use crate::store::archive::parity::reserve_bytes;
use crate::store::archive::{ArchiveSink, Basis, Depth, Ground, Lock, NewSet, Pinned, Recalled, Seal, Shelf, Unfinished, Written};
use crate::transfer::{self, transfer};
use crate::workflow::{blocking, signing};
use crate::workspace::Workspace;

/// How long the threads of a run that failed are waited for: often, and a minute at the most.
const WAIT: Duration = Duration::from_millis(2);
const MAX_WAITS: u32 = 30_000;

/// What is settled of a new set before its place is looked at; by default nothing is.
#[derive(Default)]
pub(super) struct Fixed {
    /// Where it stands.
    pub(super) line: Option<Line>,
    /// More of what it was made with.
    pub(super) options: serde_json::Map<String, serde_json::Value>,
    /// The generations that it is made of, where it is a base made of a chain.
    pub(super) merged_from: Vec<u32>,
    /// A set that is written once more.
    pub(super) again: Option<Again>,
}

/// What is settled of a set that is written once more.
pub(super) struct Again {
    /// Its id.
    pub(super) set: [u8; 16],
    /// Its time.
    pub(super) time: u64,
    /// What its run brought, in order.
    pub(super) wanted: Vec<Wanted>,
    /// The configurations that it has.
    pub(super) kept: Vec<Wanted>,
    /// The signature that it has.
    pub(super) signature: Option<Vec<u8>>,
    /// Where its catalogue goes.
    pub(super) catalogue: std::path::PathBuf,
    /// The one volume that is kept; all are by default.
    pub(super) volume: Option<u32>,
}

/// Brings what was asked for into the archive at `folder`.
pub(super) async fn bring(
    request: &Request,
    folder: &Path,
    origins: &Origins,
    settings: &Settings,
    workspace: &Workspace,
    fixed: Fixed,
) -> Result<Outcome> {
    let lock = if request.dry_run { None } else { Some(Arc::new(lock(folder)?)) };
    let finished = if lock.is_some() { leftover::complete(request, folder, settings, workspace).await? } else { None };
    for file in foreign(folder) {
        settings.monitor.event(Event::Note(&format!("{}: it is an archive of oc-mirror; it is left alone", file.display())));
    }
    let shelf = Shelf::open(folder)?;
    let line = match fixed.line {
        Some(line) => line,
        None => {
            let known = Shelf::open_together(&workspace.known_sets()?)?;
            Line::find(&shelf, &known, &request.archive, finished, settings)?
        }
    };
    let key = request_key(request, &line, &fixed.options, settings.trust.key());
    let key = Key { run: run_key(&key, settings), set: key };
    let resumed = leftover::resumable(folder, &key.run, settings)?;
    let known = line.parent.as_ref().map(|parent| parent.resolved(request)).unwrap_or_default();
    let earlier = line.parent.as_ref().and_then(Parent::source).filter(|_| fixed.again.is_none());
    let earlier = earlier.map(|source| Arc::new(source.clone()) as Arc<dyn Source>);
    if !known.is_empty() && resumed.is_none() && fixed.again.is_none() {
        let text = "the last set lacks something; names stay what they were for it, unless --refresh looks them up anew";
        settings.monitor.event(Event::Note(&format!("{}: {text}", folder.display())));
    }
    let recalling = earlier.map(|earlier| origins.recalling(request, known, &earlier));
    let origins = recalling.as_ref().unwrap_or(origins);
    let Collected { wanted, blocked } = content(request, origins, settings, resumed.as_ref(), fixed.again.as_ref()).await?;
    let parent = line.parent.as_ref().and_then(Parent::source).cloned();
    let (mut new, mut draft) = Draft::new(request, folder, settings, workspace, line, resumed, key, &wanted, origins)?;
    new.lock.clone_from(&lock);
    if let Some(options) = new.options.as_object_mut() {
        options.extend(fixed.options);
    }
    draft.merged_from = fixed.merged_from;
    let catalogue = fixed.again.as_ref().map(|again| again.catalogue.clone());
    if let Some(again) = &fixed.again {
        draft.make_again(&mut new, again);
    }
    draft.depth = draft.parent.as_ref().map(|_| Depth::Blob);
    if let Some(parent) = parent {
        let (delta, packing, catalogues) = (new.delta.clone(), new.packing, new.catalogue.clone());
        let monitor = Arc::clone(&settings.monitor);
        draft.ground = blocking(move || Ground::survey(&parent, &delta, packing, &catalogues, monitor.as_ref())).await?;
        draft.depth = Some(draft.ground.as_ref().map_or(Depth::Blob, Ground::outlook));
    }
    if let Some(catalogue) = catalogue {
        new.catalogue = catalogue;
    }
    let done = draft.write(new, request, wanted, origins, settings, workspace).await.map(|outcome| Outcome { blocked, ..outcome });
    if let Some(lock) = lock {
        the_only_holder(&lock).await;
    }
    done
}

/// Waits until the threads of a run that failed have ended, so that the next one finds the directory free.
async fn the_only_holder(lock: &Arc<Lock>) {
    for _ in 0..MAX_WAITS {
        if Arc::strong_count(lock) == 1 {
            return;
        }
        tokio::time::sleep(WAIT).await;
    }
}

fn lock(folder: &Path) -> Result<Lock> {
    Lock::take(folder, &format!("process {}", std::process::id()))
}

/// What makes two requests the same run.
fn request_key(request: &Request, line: &Line, fixed: &serde_json::Map<String, serde_json::Value>, policy: Option<Digest>) -> String {
    let archive = &request.archive;
    let parent = line.parent.as_ref().map(Parent::root);
    let from: Vec<String> = request.from.iter().map(ToString::to_string).collect();
    let platforms: Vec<String> = request.platforms.iter().map(ToString::to_string).collect();
    let text = format!(
        "{from:?} {platforms:?} {} {} {:?} {:?} {} {:?} {} {:?}",
        request.all_tags, archive.only, archive.packing, archive.delta.depth, archive.volume_bytes, line.name, line.generation, parent
    );
    let text = if let Some(wishes) = &request.wishes { format!("{text} {}", wishes.key()) } else { text };
    let text = if archive.refresh { format!("{text} refresh") } else { text };
    // Its bytes are others.
    let text = if archive.builds_on_itself() { text } else { format!("{text} alone") };
    // What was begun may hold what another policy refuses.
    let text = if let Some(policy) = policy { format!("{text} {policy}") } else { text };
    let text = if request.attachments == Attachments::default() { text } else { format!("{text} {:?}", request.attachments) };
    let text = if let Some(parity) = archive.parity { format!("{text} parity {parity}") } else { text };
    let text = if fixed.is_empty() { text } else { format!("{text} {fixed:?}") };
    Digest::of(text.as_bytes()).hex()
}

/// What makes two requests the same.
struct Key {
    /// The same set.
    set: String,
    /// The same run, which can be gone on with: the key that signs is a part of it, and none of the set.
    run: String,
}

fn run_key(set: &str, settings: &Settings) -> String {
    let signer = settings.signer.as_ref().map(|key| key.public().to_string());
    signer.map_or_else(|| set.to_owned(), |signer| Digest::of(format!("{set} signed by {signer}").as_bytes()).hex())
}

/// A set that is about to be written.
struct Draft {
    said: Said,
    merged_from: Vec<u32>,
    parent: Option<ParentOutcome>,
    unfinished: Unfinished,
    resumed: bool,
    /// How deep the delta goes, where there is a parent.
    depth: Option<Depth>,
    /// What it can build on; it is used up when the set is begun.
    ground: Option<Ground>,
    basis: Basis,
    /// How much parity it gets.
    parity: Option<ParityAmount>,
    /// What is run for its files.
    command: Option<Command>,
    /// The key that signs it.
    signed_by: Option<String>,
    /// Which source each item comes from.
    sources: BTreeMap<(crate::image::Reference, crate::image::Role), usize>,
}

impl Draft {
    #[allow(clippy::too_many_arguments, reason = "everything that a set is made of comes together here, and nowhere else")]
    fn new(
        request: &Request,
        folder: &Path,
        settings: &Settings,
        workspace: &Workspace,
        line: Line,
        resumed: Option<Unfinished>,
        key: Key,
        wanted: &[Wanted],
        origins: &Origins,
    ) -> Result<(NewSet, Self)> {
        let (time, lineage) = match &resumed {
            Some(unfinished) => (unfinished.time, id_of(&unfinished.lineage)),
            None => (settings.now, line.lineage.unwrap_or(settings.random)),
        };
        let set = resumed.as_ref().map_or_else(|| set_id(&key.set, time, &lineage, wanted), |unfinished| id_of(&unfinished.set));
        let archive = &request.archive;
        let contents = line.parent.as_ref().and_then(Parent::contents).cloned().unwrap_or_default();
        let said = line.parent.as_ref().map_or(Said::Nothing, Parent::said);
        let parent = line.parent.as_ref().map(|parent| parent.told(workspace)).transpose()?;
        let inherited = if archive.only { Contents::default() } else { content_of(&contents) };
        let mut options = serde_json::json!({"level": archive.packing.level, "frameBytes": archive.packing.frame_bytes, "gzip": if archive.packing.replays { "auto" } else { "keep" }, "delta": archive.delta.depth, "indexBytes": archive.delta.index_bytes, "ownVersions": archive.builds_on_itself(), "parentData": archive.delta.data.word(), "only": archive.only, "allTags": request.all_tags, "from": from(request, wanted, &inherited, origins), "platforms": request.platforms.iter().map(ToString::to_string).collect::<Vec<_>>()});
        parity::note(&mut options, archive.parity);
        let unfinished =
            Unfinished { request: key.run, set: hex(&set), lineage: hex(&lineage), time, items: Vec::new(), handed_on: Vec::new() };
        let command = Command::of(request, workspace, released(hex(&set), &line.name, line.generation, folder));
        let new = NewSet {
            folder: folder.to_owned(),
            set,
            lineage,
            lineage_name: line.name,
            generation: line.generation,
            time,
            inherited,
            cap: archive.volume_bytes,
            reserve_bytes: archive.parity.map_or(0, |_| reserve_bytes(archive.volume_bytes)),
            packing: archive.packing,
            basis: Basis::default(),
            delta: Delta { own: archive.builds_on_itself(), ..archive.delta.clone() },
            threads: settings.threads,
            notes: wanted.iter().filter_map(|wanted| Some((wanted.item.digest()?, wanted.item.origin.to_string()))).collect(),
            options,
            catalogue: workspace.catalogues(),
            on_volume: handing(command.clone()),
            lock: None,
            seal: signing::seal(settings),
            parent: line.parent.map(|parent| parent.builds_on(settings.monitor.as_ref())).transpose()?,
        };
        let sources = wanted.iter().map(|wanted| ((wanted.item.origin.clone(), wanted.item.role), origins.place_of(&wanted.source)));
        let resumed = resumed.is_some();
        let sources = sources.collect();
        let (merged_from, basis, signed_by, parity) = (Vec::new(), Basis::default(), signing::signer_id(settings), archive.parity);
        let (depth, ground) = (None, None);
        Ok((new, Self { said, merged_from, parent, unfinished, resumed, depth, ground, basis, parity, sources, command, signed_by }))
    }

    /// Makes the set one that was there before.
    fn make_again(&mut self, new: &mut NewSet, again: &Again) {
        (new.set, new.time) = (again.set, again.time);
        (self.unfinished.set, self.unfinished.time) = (hex(&again.set), again.time);
        self.signed_by = again.signature.as_deref().and_then(signing::key_of);
        new.seal = again.signature.clone().map_or(Seal::None, Seal::Kept);
        if let Some(kept) = again.volume {
            self.parity = None;
            // What later content is compressed after is read from the others until the set is finished.
            let stay = new.delta.own;
            new.on_volume = Box::new(move |volume| Ok(!stay && volume.number != kept));
        }
    }

    async fn write(
        mut self,
        mut new: NewSet,
        request: &Request,
        wanted: Vec<Wanted>,
        origins: &Origins,
        settings: &Settings,
        workspace: &Workspace,
    ) -> Result<Outcome> {
        let (name, generation, folder, lock) = (new.lineage_name.clone(), new.generation, new.folder.clone(), new.lock.clone());
        let resume = self.resumed && !request.dry_run;
        // What was begun is gone on with at once, so it must be known now what it builds on.
        if resume {
            let recalled = self.recall(settings).await;
            self.basis = self.build(recalled.as_deref(), settings).await?;
            new.basis = self.basis.clone();
        }
        let sink = blocking(move || ArchiveSink::prepare(new, resume)).await?;
        let plan = Plan::make(wanted, &sink, settings.jobs, &settings.monitor).await?;
        let needed = Needed::of(&plan, origins).await?;
        needed.find(&Far { source: None, sink: &sink, place: folder.display().to_string(), known: Vec::new() }, settings).await?;
        let mut outcome = Outcome::new(&plan, request, workspace);
        let after = sink.merge(&plan.contents());
        let nothing_new = self.said.has(&after) && !self.resumed;
        let recalled = if nothing_new { None } else { self.recall(settings).await };
        outcome.parent_data = recalled.as_deref().and_then(parent_data::summary);
        let space = space::needed(&outcome.plan, settings.jobs, &request.archive, self.depth);
        outcome.space = Some(space);
        outcome.depth = self.depth;
        outcome.parent = self.parent.clone().filter(|_| request.dry_run);
        if nothing_new
            && !request.dry_run
            && let Some(ground) = self.ground.take()
        {
            let monitor = Arc::clone(&settings.monitor);
            blocking(move || {
                ground.mend(monitor.as_ref());
                Ok(())
            })
            .await?;
        }
        if request.dry_run || nothing_new || outcome.report.items.iter().all(|item| item.has_failed()) {
            return Ok(outcome);
        }
        if request.check_base {
            needed.check(settings).await?;
        }
        space::check(&folder, &space, request.archive.volume_bytes, request.archive.release)?;
        outcome.announce(settings);
        if !self.resumed {
            self.basis = self.build(recalled.as_deref(), settings).await?;
            sink.build_on(self.basis.clone());
            // The spool may lie on the same file system.
            space::check(&folder, &space, request.archive.volume_bytes, request.archive.release)?;
            outcome.depth = self.depth;
            self.begin(&folder, &plan, settings, workspace)?;
        }
        let written = sink.written();
        let options = transfer::Options { jobs: settings.jobs, image_timeout: settings.image_timeout };
        let (report, _) = transfer(plan, Box::new(sink), options, Arc::clone(&settings.monitor)).await?;
        outcome.report = report;
        outcome.report.items.retain(|item| item.item.role.is_content());
        self.basis.tell_unread(settings.monitor.as_ref());
        if let Some(written) = written.get() {
            configs::keep(request.documents(), workspace)?;
            let catalogue = self.hand_over_catalogue(written, &folder).await?;
            let released = workspace.released(&self.unfinished.set)?.map(|released| released.volumes()).unwrap_or_default();
            let mut set = self.told(written, name, generation, &released, catalogue);
            set.parity = parity::add(&folder, &set.id, self.parity, lock, settings).await?;
            outcome.set = Some(set);
            Unfinished::discard(&folder, None)?;
        }
        Ok(outcome)
    }

    /// Looks for old blobs elsewhere, where they are of use; knows from then on how deep the delta will go.
    async fn recall(&mut self, settings: &Settings) -> Option<Arc<Recalled>> {
        let ground = self.ground.as_mut()?;
        let recalled = match ground.elsewhere() {
            [] => None,
            wanted => Some(parent_data::find(wanted, settings).await),
        };
        if let Some(recalled) = &recalled {
            ground.recall(Arc::clone(recalled));
        }
        self.depth = Some(ground.outlook());
        recalled
    }

    /// Reads what the set builds on.
    async fn build(&mut self, recalled: Option<&Recalled>, settings: &Settings) -> Result<Basis> {
        let Some(ground) = self.ground.take() else { return Ok(Basis::default()) };
        if let Some(recalled) = recalled {
            parent_data::fetch(recalled, settings).await?;
        }
        let monitor = Arc::clone(&settings.monitor);
        let basis = blocking(move || Ok(ground.build(monitor.as_ref()))).await?;
        self.depth = Some(basis.depth);
        Ok(basis)
    }

    /// Keeps the plan, in place of what another run has left.
    fn begin(&mut self, folder: &Path, plan: &Plan, settings: &Settings, workspace: &Workspace) -> Result<()> {
        let before = Unfinished::load(folder)?.map(|unfinished| unfinished.set);
        for path in Unfinished::discard(folder, before.as_deref())? {
            settings.monitor.event(Event::Warning(&format!(
                "{}: it is of a set that was never finished; it is not used and can be removed",
                path.display()
            )));
        }
        if let Some(released) = before.map(|set| workspace.forget_released(&set)).transpose()?.flatten() {
            let names: Vec<&str> = released.files.iter().map(|file| file.name.as_str()).collect();
            let text = format!("{}: handed on for a set that was never finished; no other set uses them", names.join(", "));
            settings.monitor.event(Event::Warning(&text));
        }
        let items = plan.items().iter().map(|planned| planned.item.clone());
        let source = |item: &Item| self.sources.get(&(item.origin.clone(), item.role)).copied().unwrap_or_default();
        self.unfinished.items = items.map(|item| Pinned { source: source(&item), item }).collect();
        self.unfinished.save(folder)
    }

    /// Runs the command of the volumes for the catalogue beside them too; says which of its files are left.
    async fn hand_over_catalogue(&self, written: &Written, folder: &Path) -> Result<Vec<std::path::PathBuf>> {
        let beside = written.catalogue.iter().filter(|path| path.parent() == Some(folder)).cloned();
        let beside: Vec<_> = (1..).zip(beside).collect();
        let (command, folder) = (self.command.clone(), folder.to_owned());
        blocking(move || hand_over_catalogue(command.as_ref(), &folder, beside)).await
    }

    fn told(
        &self,
        written: &Written,
        lineage: String,
        generation: u32,
        released: &[u32],
        catalogue: Vec<std::path::PathBuf>,
    ) -> SetOutcome {
        let volume = |volume: &crate::store::archive::WrittenVolume| VolumeOutcome {
            number: volume.number,
            path: volume.path.clone(),
            bytes: volume.bytes,
            sha256: volume.sum,
            released: released.contains(&volume.number),
        };
        let items: Vec<&Item> = written.contents.content().collect();
        SetOutcome {
            lineage,
            id: self.unfinished.set.clone(),
            generation,
            root: written.root,
            signed_by: self.signed_by.clone(),
            parent: self.parent.clone(),
            chain: written.chain,
            depth: written.depth,
            merged_from: self.merged_from.clone(),
            items_complete: items.iter().filter(|item| item.is_complete()).count(),
            items: items.len(),
            blob_bytes: written.blob_bytes,
            stored_bytes: written.volumes.iter().map(|volume| volume.bytes).sum(),
            gzip: written.gzip.clone(),
            volumes: written.volumes.iter().map(volume).collect(),
            parity: Vec::new(),
            catalogue,
        }
    }
}

/// The places that a set is made from, as they were named; and for each what it brought, by place in the list of items.
fn from(request: &Request, wanted: &[Wanted], inherited: &Contents, origins: &Origins) -> serde_json::Value {
    let mut all = inherited.clone();
    wanted.iter().for_each(|wanted| all.put(wanted.item.clone()));
    let keys = all.items().iter().zip(0usize..).map(|(item, at)| ((&item.origin, item.role), at));
    let places: BTreeMap<_, usize> = keys.collect();
    let mut brought = vec![Vec::new(); request.from.len()];
    for wanted in wanted.iter().filter(|wanted| wanted.item.role.is_content()) {
        let at = places.get(&(&wanted.item.origin, wanted.item.role));
        if let (Some(brought), Some(at)) = (brought.get_mut(origins.place_of(&wanted.source)), at) {
            brought.push(*at);
        }
    }
    let place =
        |(from, items): (&crate::image::place::Location, Vec<usize>)| serde_json::json!({"place": from.to_string(), "items": items});
    request.from.iter().zip(brought).map(place).collect()
}

/// What is listed for a person, without what a set says of itself.
fn content_of(contents: &Contents) -> Contents {
    Contents::new(contents.content().cloned())
}

/// The id of a set: everything that determines it, as a hash.
fn set_id(key: &str, time: u64, lineage: &[u8; 16], wanted: &[Wanted]) -> [u8; 16] {
    let items: Vec<(String, Option<Digest>)> = wanted.iter().map(|wanted| (wanted.item.origin.to_string(), wanted.item.digest())).collect();
    let digest = Digest::of(format!("{key} {time} {lineage:?} {items:?}").as_bytes());
    digest.bytes().first_chunk().copied().unwrap_or_default()
}

fn hex(id: &[u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An id from its hex digits; one that is no id is that of nothing, and nothing is found by it.
fn id_of(hex: &str) -> [u8; 16] {
    u128::from_str_radix(hex, 16).map(u128::to_be_bytes).unwrap_or_default()
}
