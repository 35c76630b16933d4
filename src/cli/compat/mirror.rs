//! One run of oc-mirror: to a disk, from a disk, or from registries to a registry.
//!
//! **Invariants.** A dry run writes its lists and its journal, and nothing else.

use std::time::Instant;

use super::arguments::Mirror;
use super::dry_run::Lists;
use super::journal::Journal;
use super::results;
use super::way::{Mode, Way};
use crate::cli::look::Output;
use crate::cli::runner::Runner;
use crate::cli::{configuration, show, sync};
use crate::error::{Error, Kind, Result};
use crate::image::place::Location;
use crate::workflow::Settings;
use crate::workflow::sync::mirror_tars::{self, MirrorTars};
use crate::workflow::sync::{Outcome, Request};
use crate::workspace::Workspace;

/// Runs it; answers the exit code.
pub(super) fn run(mut mirror: Mirror, runner: &Runner, journal: &Journal) -> Result<u8> {
    let begun = Instant::now();
    if mirror.sync.dry_run && mirror.flags.dry_run_manifest_lists {
        return Err(Error::usage("--dry-run and --dry-run-manifest-lists contradict each other").hint("leave --dry-run out"));
    }
    mirror.sync.dry_run |= mirror.flags.dry_run_manifest_lists;
    let (sides, mut way) = (mirror.flags.sides.clone().check()?, Way::of(&mirror)?);
    let stamp = jiff::Timestamp::now().strftime("%Y%m%d_%H%M%S").to_string();
    open(&mut way, journal, &stamp)?;
    journal.info(&format!("👋 Hello, welcome to oc-mirror ({})", super::version::VERSION));
    mirror.dead.iter().for_each(|text| journal.warn(text));
    journal.info(&format!("🔀 workflow mode: {}", way.mode));
    let workspace = Workspace::new(way.working_dir.clone());
    let request = request(&mut mirror, &way, &workspace, journal)?;
    let (lists, dry_run) = (mirror.flags.clone(), request.dry_run);
    if let Mode::MirrorToDisk(folder) = &way.mode
        && !dry_run
    {
        // What an earlier run has left half done.
        tell(&mirror_tars::settle(folder, &workspace)?, journal);
    }
    let work = async |mut settings: Settings| {
        sides.apply(&mut settings);
        settings.monitor = journal.hearing(settings.monitor, copied_to(&request.to));
        let outcome = crate::workflow::sync::sync(request, &settings).await?;
        Ok((outcome, settings.now))
    };
    let (means, bars) = (mirror.sync.means(), mirror.sync.shows_bars());
    let (mut outcome, now) = runner.carry_out(means, bars, sync::AFTER, work).map_err(|error| nothing_to_copy(error, &way))?;
    if let Mode::MirrorToDisk(folder) = &way.mode
        && !dry_run
    {
        let settled = mirror_tars::settle(folder, &workspace)?;
        tell(&settled, journal);
        take_names(&mut outcome, &settled);
    }
    if dry_run {
        let listed = mirror_tars::listed(&workspace)?;
        let lists = Lists { mode: &way.mode, port: lists.port, manifest_lists: lists.dry_run_manifest_lists, listed: &listed };
        let written = lists.write(&outcome, &way.working_dir)?;
        if let Some((path, count)) = written.missing {
            journal.warn(&format!("{count} / {} images are not in an archive yet: they are listed in {}", written.images, path.display()));
        }
        journal.info(&format!("📄 list of all images for mirroring in : {}", written.mapping.display()));
    }
    if !dry_run {
        journal.info("=== Results ===");
        results::lines(&outcome).iter().for_each(|line| journal.info(line));
    }
    if let Some(path) = results::keep_errors(&outcome, &way.working_dir, &stamp)? {
        journal
            .error(&format!("some errors occurred during the mirroring\nPlease review {} for a list of mirroring errors", path.display()));
    }
    journal.info(&format!("mirror time     : {}s", begun.elapsed().as_secs()));
    match runner.look.output {
        Output::Text => journal.info(&show::sync::text(&outcome, &way.to, now)),
        Output::Json => drop(runner.show("ocm.sync.v1", show::sync::class(&outcome), &outcome, String::new)?),
    }
    journal.info("👋 Goodbye, thank you for using oc-mirror");
    Ok(results::code(&outcome))
}

/// Opens the journal where state is kept, or beside us where that place cannot be written.
fn open(way: &mut Way, journal: &Journal, stamp: &str) -> Result<()> {
    let refused = match journal.keep_in(&way.working_dir, stamp) {
        Ok(()) => return Ok(()),
        Err(refused) => refused.hint("name a place that can be written with --workspace file://DIR"),
    };
    let Some(elsewhere) = way.elsewhere() else { return Err(refused) };
    journal.keep_in(&elsewhere, stamp).map_err(|_| refused)?;
    journal.warn(&format!("{} cannot be written: state is kept in {}", way.working_dir.display(), elsewhere.display()));
    way.working_dir = elsewhere;
    Ok(())
}

/// What is asked of a sync.
fn request(mirror: &mut Mirror, way: &Way, workspace: &Workspace, journal: &Journal) -> Result<Request> {
    mirror.sync.state.workspace = Some(workspace.path().to_owned());
    if let Some(policy) = mirror.sync.trusting.without_unasked() {
        journal.warn(&format!("--policy {} is ignored without --secure-policy", policy.display()));
    }
    if let Some(jobs) = mirror.jobs() {
        mirror.sync.moving.jobs = jobs;
    }
    let sets = configuration::load(&mirror.sync.config, |warning| journal.warn(warning))?;
    let mut request = mirror.sync.clone().request(&sets)?;
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
        journal.warn(&format!("--since {since} is ignored: it says what an archive builds on"));
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

/// What oc-mirror says where a configuration asks for nothing.
fn nothing_to_copy(error: Error, way: &Way) -> Error {
    match error.to_string().ends_with("the configuration asks for no image") {
        true => Error::new(Kind::Failed, format!("no images to copy ({})", way.mode)).hint("list some in mirror.additionalImages"),
        false => error,
    }
}

/// Says what was moved.
fn tell(settled: &MirrorTars, journal: &Journal) {
    for path in &settled.moved {
        journal.info(&format!("an earlier set is in {} now", path.display()));
    }
    for path in &settled.foreign {
        journal.warn(&format!("an archive of oc-mirror was in the way: it is {} now", path.display()));
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
