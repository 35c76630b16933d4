//! Syncing to a registry or an OCI layout.

use std::sync::Arc;

use super::base::{self, Far, Needed};
use super::origins::{Origins, registry_options};
use super::{Outcome, Request, Settings, rfc3339};
use crate::error::{Error, Result};

use crate::image::ends::{Receipt, Received};
use crate::image::place::{Location, Target};
use crate::image::{Sink, Source};
use crate::plan::Plan;
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
    let wanted = origins.collect(request, target, settings).await?;
    let plan = Plan::make(wanted, sink.as_ref(), settings.jobs, &settings.monitor).await?;
    let needed = Needed::of(&plan, origins).await?;
    let known = base::known(workspace, &destination)?;
    let base = needed.find(&Far { source, sink: sink.as_ref(), place: destination.clone(), known }, settings).await?;
    let mut outcome = Outcome::new(&plan, request, workspace);
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
    let options = transfer::Options { jobs: settings.jobs, image_timeout: settings.image_timeout };
    let (report, _) = transfer(plan, sink, options, settings.monitor.clone()).await?;
    outcome.report = report;
    if outcome.report.items.iter().any(|item| !item.has_failed()) {
        origins.note_accepted(&destination, workspace)?;
        if matches!(request.to, Location::Registry { .. }) {
            outcome.receipt = Some(workspace.keep_receipt(&receipt(&outcome.report, origins, &destination, settings.now))?);
        }
    }
    Ok(outcome)
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
                let registry = Registry::new(registry_options(settings, settings.dest_tls_verify)).called(host);
                let target = Target::of(host, name.as_ref(), request.keep_host);
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

fn receipt(report: &Report, origins: &Origins, destination: &str, now: u64) -> Receipt {
    let complete = report.items.iter().filter(|outcome| !outcome.has_failed());
    let received = complete.filter_map(|outcome| {
        let (item, name) = (&outcome.item, outcome.name.clone());
        Some(Received { origin: item.origin.clone(), name, digest: item.digest()?, role: item.role, set: origins.set_of(item) })
    });
    Receipt { destination: destination.to_owned(), time: rfc3339(now), items: received.collect() }
}
