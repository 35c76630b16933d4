//! Syncing to a registry or an OCI layout.

use std::sync::Arc;

use super::base::{self, Far, Needed};
use super::judging::judged;
use super::origins::{Origins, registry_options};
use super::received::Run;
use super::{Outcome, PublishOptions, Published, Request, Settings, rfc3339};
use crate::collect::Collected;
use crate::error::{Error, Result};
use crate::image::place::{Location, Target};
use crate::image::{Receipt, Sink, Source, Wanted};
use crate::plan::Plan;
use crate::publish::publish;
use crate::store::layout::{LayoutSink, LayoutSource};
use crate::store::registry::{Registry, RegistrySink};
use crate::transfer::{self, transfer};
use crate::workflow::signing::receipt as signing;
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
            let run = Run { report: &outcome.report, carried: &carried, sources: &sources, far: far.as_ref() };
            let before = workspace.receipts(&destination)?.into_iter().next();
            let (manifests, blobs) = run.holdings(before, settings).await;
            let items = run.items(origins);
            let receipt = Receipt { destination, time: rfc3339(settings.now), items, manifests, blobs };
            let kept = workspace.keep_receipt(&receipt)?;
            outcome.receipt_signature = settings.signer.as_ref().map(|key| signing::sign(&receipt, &kept, key)).transpose()?;
            outcome.receipt = Some(kept);
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
