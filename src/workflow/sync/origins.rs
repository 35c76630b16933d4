//! [`Origins`]: the places that a sync reads from, opened.
//!
//! **Invariants.** Which sets an archive lacks is known before anything is planned.
//!
//! *Not here:* what a plan needs of content that is not at hand (`base`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Request, Settings};
use crate::collect::{Ask, Choices, Collected, What, Wish, Wishes, collect};
use crate::error::{Error, Result};
use crate::image::place::{Location, Target};
use crate::image::{Contents, Descriptor, Reference, Source};
use crate::monitor::Event;
use crate::store::archive::{self, Admit, ArchiveSource, Salvage, Shelf};
use crate::store::central::{Central, Renames};
use crate::store::layout::LayoutSource;
use crate::store::registry::{Options, Redirected};
use crate::store::wrap::Recalling;
use crate::workflow::signing::{self, NamedSet};
use crate::workflow::{Reach, blocking};
use crate::workspace::{Accepted, Workspace};

/// The places that a sync reads from.
pub(super) struct Origins {
    origins: Vec<Origin>,
    /// Sets that are newer than those taken, and lack volumes.
    pub(super) newer: Vec<String>,
    /// What was not to be read of archives that were read as far as they could be.
    pub(super) lost: Vec<String>,
}

struct Origin {
    source: Arc<dyn Source>,
    /// What is asked for there, unless configurations say.
    what: What,
    archive: Option<Arc<ArchiveSource>>,
}

/// How registries are reached.
pub(in crate::workflow) fn registry_options(settings: &Settings, side: &Reach) -> Options {
    Options {
        environment: settings.environment.clone(),
        authfile: side.authfile.clone(),
        who: side.who.clone(),
        certs: side.certs.clone(),
        tls_verify: side.tls_verify,
        retry_times: settings.retry_times,
        retry_delay: settings.retry_delay,
        monitor: Arc::clone(&settings.monitor),
        ..Options::default()
    }
}

/// The registries that names of images are of, read where the rules of this run say.
pub(super) fn upstream(settings: &Settings) -> Redirected {
    Redirected::new(settings.redirects.clone(), registry_options(settings, &settings.src))
}

impl Origins {
    /// One archive that is open already.
    pub(super) fn of(archive: ArchiveSource) -> Self {
        let archive = Arc::new(archive);
        let source: Arc<dyn Source> = Arc::<ArchiveSource>::clone(&archive);
        Self { origins: vec![Origin { source, what: What::Everything, archive: Some(archive) }], newer: Vec::new(), lost: Vec::new() }
    }

    /// Opens every place that is named.
    pub(super) async fn open(request: &Request, settings: &Settings) -> Result<Self> {
        // A receipt that is built on is judged where it is read; then nothing need be signed of what the images come from.
        let judges_receipt = matches!(request.to, Location::Archive { .. }) && request.archive.since_receipt().is_some();
        if settings.authority.is_asked()
            && !judges_receipt
            && let Some(place) = request.from.iter().find(|place| !matches!(place, Location::Archive { .. }))
        {
            return Err(Error::usage(format!("{place}: --trust asks for signatures of sets, and this is no archive"))
                .hint("leave --trust out, or name an archive, or a receipt with --since; images are judged by --policy"));
        }
        if settings.authority.is_asked() && request.salvage {
            return Err(
                Error::usage("--trust asks for signatures of whole sets, and this takes what is left of one").hint("leave --trust out")
            );
        }
        let registries = upstream(settings);
        let mut hosts: BTreeMap<&str, Arc<dyn Source>> = BTreeMap::new();
        let mut origins = Self { origins: Vec::new(), newer: Vec::new(), lost: Vec::new() };
        let renames: Renames = request.wishes.iter().flat_map(|wishes| wishes.renames()).collect();
        for from in &request.from {
            let origin = match from {
                Location::Registry { host, name } if request.wishes.is_some() && !request.is_at_origins() => {
                    let central = Target::of(host, name.as_ref(), request.keep_host).nested(request.max_nested_paths);
                    let source: Arc<dyn Source> = Arc::new(Central::new(Arc::new(registries.called(host)), central, &renames));
                    Origin { source, what: What::Everything, archive: None }
                }
                Location::Registry { host, name: None } => {
                    return Err(Error::usage(format!("docker://{host}: a registry cannot list what it holds"))
                        .hint("name a repository: docker://HOST/REPO[:TAG]"));
                }
                Location::Registry { name: Some(name), host } => {
                    let all = request.all_tags && name.tag().is_none() && name.digest().is_none();
                    let what = if all { What::AllTags(name.repository().clone()) } else { What::Name(name.clone().or_latest()) };
                    let source = hosts.entry(host).or_insert_with(|| Arc::new(registries.called(host)));
                    Origin { source: Arc::clone(source), what, archive: None }
                }
                Location::Layout { path, reference } => {
                    let source = LayoutSource::open(path, reference.as_deref()).await?;
                    Origin { source: Arc::new(source), what: What::Everything, archive: None }
                }
                Location::Archive { path, generation } if request.salvage => {
                    let (path, generation, base, scratch) = (path.clone(), *generation, request.base.clone(), settings.workspace());
                    let Salvage { source, lost } = blocking(move || salvage(&path, generation, &base, &scratch)).await?;
                    origins.lost.extend(lost);
                    // Not as an archive: none of its sets counts as at hand, or as accepted.
                    Origin { source: Arc::new(source), what: What::Everything, archive: None }
                }
                Location::Archive { path, generation } => {
                    let (path, generation, base, admit) = (path.clone(), *generation, request.base.clone(), signing::admit(settings));
                    let (archive, newer) = blocking(move || open_archive(&path, generation, &base, admit.as_ref())).await?;
                    origins.newer.extend(newer);
                    let archive = Arc::new(archive);
                    let source: Arc<dyn Source> = Arc::<ArchiveSource>::clone(&archive);
                    Origin { source, what: What::Everything, archive: Some(archive) }
                }
            };
            origins.origins.push(origin);
        }
        origins.newer.iter().chain(&origins.lost).for_each(|newer| settings.monitor.event(Event::Warning(newer)));
        Ok(origins)
    }

    /// The same, in which registries answer the names that are `known` with what they stood for before, and are not asked for manifests
    /// that an `earlier` set has.
    pub(super) fn recalling(&self, request: &Request, known: BTreeMap<Reference, Descriptor>, earlier: &Arc<dyn Source>) -> Self {
        let known = Arc::new(known);
        let mut wrapped: Vec<(Arc<dyn Source>, Arc<dyn Source>)> = Vec::new();
        let mut origins = Vec::new();
        for (origin, from) in self.origins.iter().zip(&request.from) {
            let there = wrapped.iter().find(|(source, _)| Arc::ptr_eq(source, &origin.source)).map(|(_, there)| Arc::clone(there));
            let source = match (from, there) {
                (Location::Registry { .. }, Some(there)) => there,
                (Location::Registry { .. }, None) => Recalling::of(Arc::clone(&origin.source), Arc::clone(&known), Arc::clone(earlier)),
                _ => Arc::clone(&origin.source),
            };
            wrapped.push((Arc::clone(&origin.source), Arc::clone(&source)));
            origins.push(Origin { source, what: origin.what.clone(), archive: origin.archive.clone() });
        }
        Self { origins, newer: self.newer.clone(), lost: self.lost.clone() }
    }

    /// The sets that are read.
    pub(super) fn sets(&self) -> Vec<NamedSet> {
        self.archives().flat_map(|archive| archive.sets()).map(NamedSet::of).collect()
    }

    /// The source at `place`, in the order of naming.
    pub(super) fn source(&self, place: usize) -> Option<Arc<dyn Source>> {
        self.origins.get(place).map(|origin| Arc::clone(&origin.source))
    }

    /// Which of the sources this is.
    pub(super) fn place_of(&self, source: &Arc<dyn Source>) -> usize {
        self.origins.iter().position(|origin| Arc::ptr_eq(&origin.source, source)).unwrap_or_default()
    }

    /// Resolves everything that was asked for.
    pub(super) async fn collect(&self, request: &Request, target: Option<Target>, settings: &Settings) -> Result<Collected> {
        let asks = match &request.wishes {
            None => self.origins.iter().map(Origin::ask).collect(),
            Some(wishes) if request.is_at_origins() => {
                self.origins.iter().zip(&wishes.images).map(|(origin, wish)| said(origin.ask(), wish)).collect()
            }
            Some(wishes) => self.asks_of(wishes).await?,
        };
        let blocked = request.wishes.as_ref().map(|wishes| wishes.blocked.clone()).unwrap_or_default();
        let choices = Choices {
            target,
            platforms: request.platforms.clone(),
            blocked,
            attachments: request.attachments.clone(),
            jobs: settings.jobs,
        };
        collect(asks, &choices, &settings.monitor).await
    }

    /// Asks for each wish the first place that lists it; the first one of all where none does, so that it is told missing there.
    async fn asks_of(&self, wishes: &Wishes) -> Result<Vec<Ask>> {
        let mut listings = Vec::new();
        for origin in &self.origins {
            listings.push((&origin.source, origin.source.contents().await?.unwrap_or_default()));
        }
        let mut asks = Vec::new();
        for wish in &wishes.images {
            let lists = |(source, listing): &(_, Contents)| Some((*source, wish.names_in(listing))).filter(|(_, names)| !names.is_empty());
            let (source, names) = match (listings.iter().find_map(lists), listings.first()) {
                (Some(found), _) => found,
                (None, Some((first, _))) => (*first, vec![wish.name()?]),
                (None, None) => break,
            };
            asks.extend(names.into_iter().map(|name| said(Ask::new(Arc::clone(source), What::Name(name)), wish)));
        }
        Ok(asks)
    }

    /// Refuses sets that are older than what the destination has accepted (semantics A.4).
    pub(super) fn check_age(&self, destination: &str, workspace: &Workspace) -> Result<()> {
        for set in self.archives().flat_map(|archive| archive.sets()) {
            let newest = workspace.accepted(destination, &set.lineage_id())?;
            if let Some(newest) = newest.filter(|newest| newest.generation > set.generation()) {
                return Err(Error::usage(format!(
                    "set {} of {:?} is older than set {}, which {destination} has accepted",
                    set.generation(),
                    set.lineage_name(),
                    newest.generation
                ))
                .hint("bring the newer set, or say --allow-older"));
            }
        }
        Ok(())
    }

    /// Notes that the destination has accepted the sets that were read.
    pub(super) fn note_accepted(&self, destination: &str, workspace: &Workspace) -> Result<()> {
        self.archives()
            .flat_map(|archive| archive.sets())
            .try_for_each(|set| workspace.accept(destination, &set.lineage_id(), Accepted { generation: set.generation(), root: set.root }))
    }

    /// The id of the set that lists an item of this origin, where it comes from an archive.
    pub(super) fn set_of(&self, item: &crate::image::Item) -> Option<String> {
        let lists = |set: &&crate::store::archive::SetFacts| set.contents.items().contains(item);
        self.archives().flat_map(|archive| archive.sets()).find(lists).map(|set| set.id())
    }

    /// The archives among the places.
    pub(super) fn archives(&self) -> impl Iterator<Item = &Arc<ArchiveSource>> {
        self.origins.iter().filter_map(|origin| origin.archive.as_ref())
    }
}

impl Origin {
    fn ask(&self) -> Ask {
        Ask::new(Arc::clone(&self.source), self.what.clone())
    }
}

/// The same, with what a wish says of it.
fn said(ask: Ask, wish: &Wish) -> Ask {
    Ask { rename: wish.rename.clone(), platforms: wish.platforms.clone(), ..ask }
}

fn open_archive(
    path: &std::path::Path,
    generation: Option<u32>,
    base: &[std::path::PathBuf],
    admit: Option<&Admit>,
) -> Result<(ArchiveSource, Vec<String>)> {
    let mut shelf = Shelf::open(path)?;
    let mut bases = base.iter().map(|path| Shelf::open(path)).collect::<Result<Vec<_>>>()?;
    let newer = shelf.select(generation)?.newer;
    if let Some(admit) = admit {
        archive::admit(admit, &mut shelf, &mut bases, generation)?;
    }
    let selection = shelf.select(generation)?;
    let shelves: Vec<&Shelf> = std::iter::once(&shelf).chain(&bases).collect();
    let source = ArchiveSource::open(path, &selection.sets, &shelves)?;
    let newer = newer.iter().map(|text| format!("{}: {text}", path.display())).collect();
    Ok((source, newer))
}

/// Opens what is left of an archive; `scratch` is a directory that can be written.
fn salvage(path: &std::path::Path, generation: Option<u32>, base: &[std::path::PathBuf], scratch: &std::path::Path) -> Result<Salvage> {
    let (shelf, bases) = (Shelf::open(path)?, base.iter().map(|path| Shelf::open(path)).collect::<Result<Vec<_>>>()?);
    std::fs::create_dir_all(scratch)
        .map_err(|error| Error::io(scratch.display(), &error).hint("name a place that can be written with --workspace"))?;
    ArchiveSource::salvage(&shelf, generation, &bases, scratch)
}
