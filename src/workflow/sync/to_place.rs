//! Syncing to a registry or an OCI layout.

use super::origins::{Origins, registry_options};
use super::{Outcome, Request, Settings, rfc3339};
use crate::error::{Error, Result};
use crate::image::Sink;
use crate::image::ends::{Receipt, Received};
use crate::image::place::{Location, Target};
use crate::plan::Plan;
use crate::store::layout::LayoutSink;
use crate::store::registry::{Registry, RegistrySink};
use crate::transfer::{self, Report, transfer};
use crate::workspace::Workspace;

/// Brings what was asked for to the place that the request names.
pub(super) async fn bring(request: &Request, origins: &Origins, settings: &Settings, workspace: &Workspace) -> Result<Outcome> {
    let destination = request.to.to_string();
    if !request.allow_older {
        origins.check_age(&destination, workspace)?;
    }
    let (sink, target) = open(request, settings).await?;
    let wanted = origins.collect(request, target, settings).await?;
    let plan = Plan::make(wanted, sink.as_ref(), settings.jobs, &settings.monitor).await?;
    origins.check_presence(&plan, &destination).await?;
    let mut outcome = Outcome::new(&plan, request, workspace);
    if request.dry_run {
        return Ok(outcome);
    }
    outcome.announce(settings);
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

async fn open(request: &Request, settings: &Settings) -> Result<(Box<dyn Sink>, Option<Target>)> {
    match &request.to {
        Location::Registry { host, name } => {
            let registry = Registry::new(registry_options(settings, settings.dest_tls_verify));
            let target = Target::of(host, name.as_ref(), request.keep_host);
            Ok((Box::new(RegistrySink::new(&registry, host)?), Some(target)))
        }
        Location::Layout { path, reference } => Ok((Box::new(LayoutSink::open(path, reference.as_deref()).await?), None)),
        Location::Archive { .. } => Err(Error::usage(format!("{}: an archive is written in another way", request.to))),
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
