//! Syncing to a registry or an OCI layout.

use std::sync::Arc;

use super::base::{self, Far, Needed};
use super::judging::judged;
use super::origins::{Origins, registry_options};
use super::{Outcome, PublishOptions, Published, Request, Settings, rfc3339};
use crate::collect::Collected;
use crate::error::{Error, Result};
use crate::image::place::{Location, Target};
use crate::image::receipt::Received;
use crate::image::{Descriptor, Receipt, Sink, Source, Wanted};
use crate::monitor::Event;
use crate::plan::holdings::Holdings;
use crate::plan::{Carried, Plan};
use crate::publish::publish;
use crate::store::layout::{LayoutSink, LayoutSource};
use crate::store::registry::{Registry, RegistrySink};
use crate::transfer::{self, Report, transfer};
use crate::workspace::Workspace;

/// Brings what was asked for to the place that the request names.
pub(super) async fn bring(request: &Request, origins: &Origins, settings: &Settings, workspace: &Workspace) -> Result<Outcome> {
    let destination = request.to.to_string();
    if !request.allow_older {
        origins.check_age(&destination, workspace)?;
    }
    let Opened { sink, source, target } = Opened::of(request, settings).await?;
    let Collected { wanted, blocked } = origins.collect(request, target, settings).await?;
    let wanted = judged(wanted, request, origins, settings).await;
    let lists = |wanted: &Wanted| !matches!(request.from.get(origins.place_of(&wanted.source)), Some(Location::Registry { .. }));
    let sources: Vec<Option<Arc<dyn Source>>> = wanted.iter().map(|wanted| lists(wanted).then(|| Arc::clone(&wanted.source))).collect();
    let plan = Plan::make(wanted, sink.as_ref(), settings.jobs, &settings.monitor).await?;
    let needed = Needed::of(&plan, origins).await?;
    let known = base::known(workspace, &destination)?;
    let base = needed.find(&Far { source: source.clone(), sink: sink.as_ref(), place: destination.clone(), known }, settings).await?;
    let mut outcome = Outcome { blocked, ..Outcome::new(&plan, request, workspace) };
    outcome.read_back = base.as_deref().and_then(base::summary);
    if request.dry_run {
        return Ok(outcome);
    }
    outcome.announce(settings);
    if let Some(base) = &base {
        base::read_back(base, settings).await?;
    }
    if request.check_base {
        needed.check(settings).await?;
    }
    let carried = plan.carried().to_vec();
    let options = transfer::Options { jobs: settings.jobs, image_timeout: settings.image_timeout };
    let (report, _) = transfer(plan, sink, options, settings.monitor.clone()).await?;
    outcome.report = report;
    if outcome.report.items.iter().any(|item| !item.has_failed()) {
        origins.note_accepted(&destination, workspace)?;
        if let (Location::Registry { .. }, Some(far)) = (&request.to, source) {
            let holdings = holdings(&outcome.report, &carried, &sources, far.as_ref(), settings).await;
            outcome.receipt = Some(workspace.keep_receipt(&receipt(&outcome.report, holdings, origins, &destination, settings.now))?);
            outcome.published = Some(tell_clusters(request, settings, workspace)?);
        }
    }
    Ok(outcome)
}

/// Writes what tells clusters where the images of all receipts of the destination are.
fn tell_clusters(request: &Request, settings: &Settings, workspace: &Workspace) -> Result<Published> {
    let destination = request.to.to_string();
    let options = PublishOptions { insecure: settings.dest.tls_verify == Some(false), ..request.publish.clone() };
    let folder = options.folder.clone().unwrap_or_else(|| workspace.cluster_resources(&destination));
    let published = publish(&workspace.receipts(&destination)?, &options, &folder);
    published.map_err(|error| error.context("all is pushed, and the files for clusters could not be written"))
}

/// The destination, opened.
struct Opened {
    sink: Box<dyn Sink>,
    /// To read from it; a layout that is not there yet has nothing to read.
    source: Option<Arc<dyn Source>>,
    target: Option<Target>,
}

impl Opened {
    async fn of(request: &Request, settings: &Settings) -> Result<Self> {
        match &request.to {
            Location::Registry { host, name } => {
                let registry = Registry::new(registry_options(settings, &settings.dest)).called(host);
                let target = Target::of(host, name.as_ref(), request.keep_host).nested(request.max_nested_paths);
                let sink = RegistrySink::new(&registry, host)?;
                Ok(Self { sink: Box::new(sink), source: Some(Arc::new(registry)), target: Some(target) })
            }
            Location::Layout { path, reference } => {
                let sink = LayoutSink::open(path, reference.as_deref()).await?;
                let source = LayoutSource::open(path, None).await.ok().map(|source| Arc::new(source) as Arc<dyn Source>);
                Ok(Self { sink: Box::new(sink), source, target: None })
            }
            Location::Archive { .. } => Err(Error::usage(format!("{}: an archive is written in another way", request.to))),
        }
    }
}

/// What the destination holds now of the items that are complete. A manifest that was there before, and so was not read, is
/// read where that asks nobody for it: in the place that it comes from, or, if that is a registry, at the destination, where it
/// counts as no pull. What is not known in the end is left out, with a warning: a receipt that knows less costs bytes later, a
/// failure now would cost the receipt.
async fn holdings(
    report: &Report,
    carried: &[Vec<Carried>],
    sources: &[Option<Arc<dyn Source>>],
    far: &dyn Source,
    settings: &Settings,
) -> Holdings {
    let mut holdings = Holdings::default();
    for ((outcome, carried), source) in report.items.iter().zip(carried).zip(sources).filter(|((outcome, _), _)| !outcome.has_failed()) {
        let (repository, origin) = (outcome.name.repository(), outcome.item.origin.repository());
        for one in carried {
            let unread = Descriptor::new("", one.digest, 0);
            let manifest = match (&one.manifest, source) {
                (Some(manifest), _) => Ok(Some(manifest.as_ref().clone())),
                (None, Some(source)) => source.manifest(origin, &unread).await,
                (None, None) => far.manifest(repository, &unread).await,
            };
            match manifest {
                Ok(Some(manifest)) => holdings.take(&manifest, repository),
                Ok(None) => {}
                Err(error) => settings.monitor.event(Event::Warning(&format!("the receipt lacks {}: {error}", one.digest))),
            }
        }
    }
    holdings
}

fn receipt(report: &Report, holdings: Holdings, origins: &Origins, destination: &str, now: u64) -> Receipt {
    let complete = report.items.iter().filter(|outcome| !outcome.has_failed());
    let received = complete.filter_map(|outcome| {
        let (item, name) = (&outcome.item, outcome.name.clone());
        Some(Received { origin: item.origin.clone(), name, digest: item.digest()?, role: item.role, set: origins.set_of(item) })
    });
    let (manifests, blobs) = holdings.into_lists();
    Receipt { destination: destination.to_owned(), time: rfc3339(now), items: received.collect(), manifests, blobs }
}
