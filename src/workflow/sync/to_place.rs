//! Syncing to a registry or an OCI layout.

use std::sync::Arc;

use super::origins::{Origins, registry_options};
use super::{Outcome, Request, Settings, rfc3339};
use crate::error::{Error, Result};
use crate::image::place::{Location, Target};
use crate::image::receipt::Received;
use crate::image::{Descriptor, Receipt, Sink, Source};
use crate::monitor::Event;
use crate::plan::holdings::Holdings;
use crate::plan::{Carried, Plan};
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
    let sources: Vec<Arc<dyn Source>> = wanted.iter().map(|wanted| Arc::clone(&wanted.source)).collect();
    let plan = Plan::make(wanted, sink.as_ref(), settings.jobs, &settings.monitor).await?;
    origins.check_presence(&plan, &destination).await?;
    let mut outcome = Outcome::new(&plan, request, workspace);
    if request.dry_run {
        return Ok(outcome);
    }
    outcome.announce(settings);
    let carried = plan.carried().to_vec();
    let options = transfer::Options { jobs: settings.jobs, image_timeout: settings.image_timeout };
    let (report, _) = transfer(plan, sink, options, settings.monitor.clone()).await?;
    outcome.report = report;
    if outcome.report.items.iter().any(|item| !item.has_failed()) {
        origins.note_accepted(&destination, workspace)?;
        if matches!(request.to, Location::Registry { .. }) {
            let holdings = holdings(&outcome.report, &carried, &sources, settings).await;
            outcome.receipt = Some(workspace.keep_receipt(&receipt(&outcome.report, holdings, origins, &destination, settings.now))?);
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

/// What the destination holds now of the items that are complete. What is not known in the end is left out, with a warning:
/// a receipt that knows less costs bytes later, a failure now would cost the receipt.
async fn holdings(report: &Report, carried: &[Vec<Carried>], sources: &[Arc<dyn Source>], settings: &Settings) -> Holdings {
    let mut holdings = Holdings::default();
    for ((outcome, carried), source) in report.items.iter().zip(carried).zip(sources).filter(|((outcome, _), _)| !outcome.has_failed()) {
        let repository = outcome.name.repository();
        for one in carried {
            let manifest = match &one.manifest {
                Some(manifest) => Ok(Some(manifest.as_ref().clone())),
                None => source.manifest(outcome.item.origin.repository(), &Descriptor::new("", one.digest, 0)).await,
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
