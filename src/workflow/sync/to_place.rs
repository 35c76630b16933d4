//! Syncing to a registry or an OCI layout.

use std::sync::Arc;

use super::origins::{Origins, registry_options};
use super::{Outcome, Request, Settings, rfc3339};
use crate::error::{Error, Result};
use crate::image::place::{Location, Target};
use crate::image::receipt::Received;
use crate::image::{Descriptor, Receipt, Sink, Source, Wanted};
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
    let (sink, far, target) = open(request, settings).await?;
    let wanted = origins.collect(request, target, settings).await?;
    let lists = |wanted: &Wanted| !matches!(request.from.get(origins.place_of(&wanted.source)), Some(Location::Registry { .. }));
    let sources: Vec<Option<Arc<dyn Source>>> = wanted.iter().map(|wanted| lists(wanted).then(|| Arc::clone(&wanted.source))).collect();
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
        if let Some(far) = far {
            let holdings = holdings(&outcome.report, &carried, &sources, &far, settings).await;
            outcome.receipt = Some(workspace.keep_receipt(&receipt(&outcome.report, holdings, origins, &destination, settings.now))?);
        }
    }
    Ok(outcome)
}

/// The destination as a sink; where it is a registry, as a source too, and how images are called there.
type Opened = (Box<dyn Sink>, Option<Registry>, Option<Target>);

async fn open(request: &Request, settings: &Settings) -> Result<Opened> {
    match &request.to {
        Location::Registry { host, name } => {
            let registry = Registry::new(registry_options(settings, settings.dest_tls_verify));
            let target = Target::of(host, name.as_ref(), request.keep_host);
            Ok((Box::new(RegistrySink::new(&registry, host)?), Some(registry.called(host)), Some(target)))
        }
        Location::Layout { path, reference } => Ok((Box::new(LayoutSink::open(path, reference.as_deref()).await?), None, None)),
        Location::Archive { .. } => Err(Error::usage(format!("{}: an archive is written in another way", request.to))),
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
    far: &Registry,
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
