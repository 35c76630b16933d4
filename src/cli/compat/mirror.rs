//! One run of oc-mirror: to a disk, from a disk, or from registries to a registry.
//!
//! **Invariants.** A dry run writes its lists and its log, and nothing else.

use std::time::Instant;

use super::arguments::Mirror;
use super::dry_run::Lists;
use super::log::Log;
use super::results;
use super::way::{Mode, Way};
use crate::cli::look::Output;
use crate::cli::runner::Runner;
use crate::cli::{configuration, show, sync};
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::workflow::Settings;
use crate::workflow::sync::mirror_tars::{self, MirrorTars};
use crate::workflow::sync::{Outcome, Request};
use crate::workspace::Workspace;

/// Runs it; answers the exit code.
pub(super) fn run(mut mirror: Mirror, runner: &Runner, log: &Log) -> Result<u8> {
    let begun = Instant::now();
    if mirror.sync.dry_run && mirror.flags.dry_run_manifest_lists {
        return Err(Error::usage("--dry-run and --dry-run-manifest-lists contradict each other").hint("leave --dry-run out"));
    }
    mirror.sync.dry_run |= mirror.flags.dry_run_manifest_lists;
    let (sides, mut way) = (mirror.flags.sides.clone().check()?, Way::of(&mirror)?);
    let stamp = jiff::Timestamp::now().strftime("%Y%m%d_%H%M%S").to_string();
    open(&mut way, log, &stamp)?;
    log.info(&format!("👋 Hello, welcome to oc-mirror ({})", super::version::VERSION));
    mirror.dead.iter().for_each(|text| log.warn(text));
    log.info(&format!("🔀 workflow mode: {}", way.mode));
    let workspace = Workspace::new(way.working_dir.clone());
    let request = request(&mut mirror, &way, &workspace, log)?;
    let dry_run = request.dry_run;
    // What an earlier run has left half done.
    settle(&way, dry_run, &workspace, log)?;
    let work = async |mut settings: Settings| {
        sides.apply(&mut settings);
        settings.monitor = log.hearing(settings.monitor, copied_to(&request.to));
        let outcome = crate::workflow::sync::sync(request, &settings).await?;
        Ok((outcome, settings.now))
    };
    let (means, bars) = (mirror.sync.means(), mirror.sync.shows_bars());
    let (mut outcome, now) = runner.carry_out(means, bars, sync::AFTER, work)?;
    take_names(&mut outcome, &settle(&way, dry_run, &workspace, log)?);
    match dry_run {
        true => list(&mirror, &way, &outcome, &workspace, log)?,
        false => std::iter::once("=== Results ===".to_owned()).chain(results::lines(&outcome)).for_each(|line| log.info(&line)),
    }
    if let Some(path) = results::keep_errors(&outcome, &way.working_dir, &stamp)? {
        let text = format!("some errors occurred during the mirroring\nPlease review {} for a list of mirroring errors", path.display());
        log.error(&text);
    }
    log.info(&format!("mirror time     : {}s", begun.elapsed().as_secs()));
    match runner.look.output {
        Output::Text => log.info(&show::sync::text(&outcome, &way.to, now)),
        Output::Json => drop(runner.show("ocm.sync.v1", outcome.class(), &outcome, String::new)?),
    }
    log.info("👋 Goodbye, thank you for using oc-mirror");
    Ok(results::code(&outcome))
}

/// Leaves a directory as oc-mirror leaves it, where one is written.
fn settle(way: &Way, dry_run: bool, workspace: &Workspace, log: &Log) -> Result<MirrorTars> {
    let Mode::MirrorToDisk(folder) = &way.mode else { return Ok(MirrorTars::default()) };
    if dry_run {
        return Ok(MirrorTars::default());
    }
    let settled = mirror_tars::settle(folder, workspace)?;
    for path in &settled.moved {
        log.info(&format!("an earlier set is in {} now", path.display()));
    }
    for path in &settled.foreign {
        log.warn(&format!("an archive of oc-mirror was in the way: it is {} now", path.display()));
    }
    Ok(settled)
}

/// Writes the lists of a dry run.
fn list(mirror: &Mirror, way: &Way, outcome: &Outcome, workspace: &Workspace, log: &Log) -> Result<()> {
    let listed = mirror_tars::listed(workspace)?;
    let (port, manifest_lists) = (mirror.flags.port, mirror.flags.dry_run_manifest_lists);
    let written = Lists { mode: &way.mode, port, manifest_lists, listed: &listed }.write(outcome, &way.working_dir)?;
    if let Some((path, count)) = written.missing {
        log.warn(&format!("{count} / {} images are not in an archive yet: they are listed in {}", written.images, path.display()));
    }
    log.info(&format!("📄 list of all images for mirroring in : {}", written.mapping.display()));
    Ok(())
}

/// Opens the log where state is kept, or beside us where that place cannot be written.
fn open(way: &mut Way, log: &Log, stamp: &str) -> Result<()> {
    let refused = match log.keep_in(&way.working_dir, stamp) {
        Ok(()) => return Ok(()),
        Err(refused) => refused.hint("name a place that can be written with --workspace file://DIR"),
    };
    let Some(elsewhere) = way.elsewhere() else { return Err(refused) };
    log.keep_in(&elsewhere, stamp).map_err(|_| refused)?;
    log.warn(&format!("{} cannot be written: state is kept in {}", way.working_dir.display(), elsewhere.display()));
    way.working_dir = elsewhere;
    Ok(())
}

/// What is asked of a sync.
fn request(mirror: &mut Mirror, way: &Way, workspace: &Workspace, log: &Log) -> Result<Request> {
    mirror.sync.state.workspace = Some(workspace.path().to_owned());
    if let Some(policy) = mirror.sync.trusting.without_unasked() {
        log.warn(&format!("--policy {} is ignored without --secure-policy", policy.display()));
    }
    if let Some(jobs) = mirror.jobs() {
        mirror.sync.moving.jobs = jobs;
    }
    let sets = configuration::load(&mirror.sync.config, |warning| log.warn(warning))?;
    let mut request = mirror.sync.clone().request(&sets)?;
    if request.wishes.as_ref().is_some_and(|wishes| wishes.images.is_empty()) {
        return Err(Error::failed("no images to copy").hint("list some in mirror.additionalImages"));
    }
    match &way.mode {
        Mode::MirrorToDisk(_) if request.archive.lineage.is_none() => request.archive.lineage = mirror_tars::lineage(workspace)?,
        Mode::DiskToMirror(folder) => {
            mirror_tars::find(folder)?;
            request.from = vec![Location::Archive { path: folder.clone(), generation: None }];
        }
        _ => {}
    }
    let is_to_disk = matches!(way.mode, Mode::MirrorToDisk(_));
    if let Some(since) = request.archive.since.take_if(|_| !is_to_disk) {
        log.warn(&format!("--since {since} is ignored: it says what an archive builds on"));
    }
    request.publish.folder = Some(workspace.path().join("cluster-resources"));
    Ok(request)
}

/// How oc-mirror calls the place that images are copied to.
fn copied_to(to: &Location) -> String {
    match to {
        Location::Registry { host, .. } => host.clone(),
        Location::Archive { .. } | Location::Layout { .. } => "cache".to_owned(),
    }
}

/// Tells the volumes by the names that they have now.
fn take_names(outcome: &mut Outcome, settled: &MirrorTars) {
    for volume in outcome.set.iter_mut().flat_map(|set| &mut set.volumes) {
        if let Some(path) = settled.volumes.get(&volume.number) {
            volume.path.clone_from(path);
        }
    }
}
