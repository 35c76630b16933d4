//! The parity of a set that a run writes.
//!
//! **Invariants.** It comes after everything else of the set; a run that ends before it leaves its plan, and the next one completes it.
//!
//! *Not here:* computing and writing it (`store::archive::parity`).

use std::path::Path;
use std::sync::Arc;

use super::{ParityAmount, Request, Settings, VolumeOutcome};
use crate::error::{Error, Kind, Result};
use crate::monitor::Event;
use crate::store::archive::{Lock, SetFacts, WrittenVolume, parity};
use crate::workflow::{StopOnDrop, blocking};

/// Refuses parity where volumes may be taken away before it is computed.
pub(super) fn check(request: &Request) -> Result<()> {
    if request.archive.parity.is_none() || request.archive.on_volume.is_none() {
        return Ok(());
    }
    Err(Error::usage("--parity is computed from all volumes at the end, and --on-volume may take them away before")
        .hint("leave one of them out; with --parity, hand the volumes on after the run"))
}

/// Notes in the options of a set how much parity it is to have.
pub(super) fn note(options: &mut serde_json::Value, amount: Option<ParityAmount>) {
    if let (Some(options), Some(amount)) = (options.as_object_mut(), amount) {
        options.insert("parity".to_owned(), amount.to_string().into());
    }
}

/// Writes the parity of a set that was finished just now.
pub(super) async fn add(
    folder: &Path,
    set: &str,
    amount: Option<ParityAmount>,
    lock: Option<Arc<Lock>>,
    settings: &Settings,
) -> Result<Vec<VolumeOutcome>> {
    let Some(amount) = amount else { return Ok(Vec::new()) };
    let (folder, set, monitor) = (folder.to_owned(), set.to_owned(), Arc::clone(&settings.monitor));
    let stop = StopOnDrop::default();
    let stopped = Arc::clone(&stop.0);
    let volumes = blocking(move || {
        // Until this thread has ended, nobody else writes here.
        let _lock = lock;
        parity::add(&folder, &set, amount, monitor.as_ref(), &stopped)
    });
    let volumes = volumes.await.map_err(|error| match error.kind() {
        Kind::Interrupted | Kind::Usage => error,
        _ => error.note("the set is complete without its parity volumes; the same command writes them"),
    });
    let told = |volume: WrittenVolume| VolumeOutcome {
        number: volume.number,
        path: volume.path,
        bytes: volume.bytes,
        sha256: volume.sum,
        released: false,
    };
    Ok(volumes?.into_iter().map(told).collect())
}

/// Writes the parity that a finished set was to have and lacks.
pub(super) async fn complete(folder: &Path, set: &SetFacts, settings: &Settings) -> Result<()> {
    let amount = ParityAmount::of_options(&set.manifest.options);
    match add(folder, &set.id(), amount, None, settings).await {
        // It will never have any: that must not stop what comes after it.
        Err(error) if error.kind() == Kind::Usage => {
            let text = format!("set {} has no parity: {error}", set.generation());
            settings.monitor.event(Event::Warning(&text));
            Ok(())
        }
        done => done.map(drop),
    }
}
