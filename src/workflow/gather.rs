//! [`gather`]: collects the volumes of sets from media that are in one at a time.
//!
//! **Invariants.** It can be repeated with the next medium, and after any interruption: what is here and sound is not
//! copied again, and a copy that was cut short goes on where it ended. A volume that cannot be taken does not keep
//! back the others.
//!
//! *Not here:* how a volume is compared, copied and proved (`store::archive`).

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::{Settings, StopOnDrop, blocking};
use crate::error::Result;
use crate::monitor::{Event, Monitor};
use crate::store::archive::Lock;
pub use crate::store::archive::check::FileKind;
use crate::store::archive::gather::{Gathering, Taken, files_on};
pub use crate::store::archive::gather::{Standing, VolumeName};
use crate::transfer::Class;

/// What is to be collected, and where.
#[derive(Debug, Clone)]
pub struct Request {
    /// The media: folders, or single files; at least one.
    pub sources: Vec<PathBuf>,
    /// The archive directory; it is made where it is not there.
    pub archive: PathBuf,
}

/// What a gathering came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The archive directory.
    pub archive: PathBuf,
    /// Each volume on the media, by set, kind and number.
    pub volumes: Vec<VolumeOutcome>,
    /// How each set stands that the media have volumes of.
    pub sets: Vec<Standing>,
    /// The bytes that are here now and were not before.
    pub copied_bytes: u64,
}

/// What became of one volume on a medium.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeOutcome {
    /// Where it is on the medium.
    pub path: PathBuf,
    /// What it is; absent where its header cannot be read.
    pub volume: Option<VolumeName>,
    /// Its size, in bytes.
    pub bytes: u64,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What became of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub enum Fate {
    /// It is here now, proved.
    Copied,
    /// It was here already, and sound.
    HadAlready,
    /// It is here now, in place of one that was damaged.
    ReplacedDamaged,
    /// It was not taken.
    Refused {
        /// The reason.
        why: String,
        /// The way out, where there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// What that comes to.
        class: Class,
    },
}

/// Takes every volume from the media that the archive lacks, each one proved.
///
/// An error means that the archive can take no more: what was taken before it is there, and sound.
pub async fn gather(request: Request, settings: &Settings) -> Result<Outcome> {
    let stop = StopOnDrop::default();
    let (monitor, threads, stopped) = (settings.monitor.clone(), settings.threads, Arc::clone(&stop.0));
    blocking(move || run(&request, threads, monitor.as_ref(), &stopped)).await
}

impl Outcome {
    /// What the run came to; the exit code follows from it.
    #[must_use]
    pub fn class(&self) -> Class {
        let refused = self.volumes.iter().filter_map(|volume| match &volume.fate {
            Fate::Refused { class, .. } => Some(*class),
            _ => None,
        });
        let lacking = self.sets.iter().any(|set| !set.complete);
        refused.chain([if lacking { Class::Needed } else { Class::Done }]).max().unwrap_or(Class::Done)
    }
}

fn run(request: &Request, threads: usize, monitor: &dyn Monitor, stopped: &AtomicBool) -> Result<Outcome> {
    let media = files_on(&request.sources, &request.archive)?;
    let _lock = Lock::take(&request.archive, &format!("process {}", std::process::id()))?;
    let mut gathering = Gathering::look(&media, &request.archive, threads)?;
    monitor.event(Event::Total { bytes: gathering.plan()? });
    let mut outcome = Outcome { archive: request.archive.clone(), volumes: Vec::new(), sets: Vec::new(), copied_bytes: 0 };
    for offer in gathering.offers().to_vec() {
        let label = offer.label();
        let mut begun = false;
        let mut on_bytes = |bytes: u64| {
            if !std::mem::replace(&mut begun, true) {
                monitor.event(Event::Started { image: &label, bytes: offer.bytes });
            }
            monitor.event(Event::Moved { image: &label, bytes });
            if stopped.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let taken = gathering.take(&offer, &mut on_bytes).map_err(|error| after(error, &outcome))?;
        if begun {
            monitor.event(Event::Ended { image: &label, complete: !matches!(taken, Taken::Refused(_)) });
        }
        if matches!(taken, Taken::Copied | Taken::ReplacedDamaged) {
            outcome.copied_bytes += offer.bytes;
        }
        outcome.volumes.push(VolumeOutcome { path: offer.path, volume: offer.volume, bytes: offer.bytes, fate: fate(taken) });
    }
    outcome.sets = gathering.standing()?;
    Ok(outcome)
}

fn fate(taken: Taken) -> Fate {
    match taken {
        Taken::Copied => Fate::Copied,
        Taken::HadAlready => Fate::HadAlready,
        Taken::ReplacedDamaged => Fate::ReplacedDamaged,
        Taken::Refused(error) => {
            Fate::Refused { why: error.to_string(), hint: error.way_out().map(str::to_owned), class: error.kind().into() }
        }
    }
}

/// What was taken before an error stays, and is said.
fn after(error: crate::error::Error, outcome: &Outcome) -> crate::error::Error {
    let taken = outcome.volumes.iter().filter(|volume| matches!(volume.fate, Fate::Copied | Fate::ReplacedDamaged)).count();
    match taken {
        0 => error,
        1 => error.note("1 volume was copied before that, and is sound"),
        taken => error.note(format!("{taken} volumes were copied before that, and are sound")),
    }
}
