//! [`Amount`] and [`add`]: the parity volumes of a finished set.
//!
//! **Invariants.** What has its final name is whole and durable. A run that was stopped leaves the set as it was; the next one writes what
//! is missing, to the same bytes.
//!
//! *Not here:* repairing with them (`repair`).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use ocm_format::layout::{MAX_SHARDS, ShardEntry};
pub use ocm_format::parity::reserve_bytes;
use ocm_format::parity::{Plan, make};
use ocm_format::set::name::{file_name, stem};
use ocm_format::set::{Canonical, SetFiles};

use super::room::Room;
use super::shelf::Shelf;
use super::sink::WrittenVolume;
use super::{SCRATCH, told};
use crate::durable::{sync_folder, write_whole};
use crate::error::{Error, Kind, Result};
use crate::image::Digest;
use crate::monitor::{Event, Monitor};

/// How much parity a set gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many parity volumes.
    Volumes(u32),
    /// So many of a hundred data volumes, rounded up.
    Percent(u32),
}

impl Amount {
    /// How many parity volumes that are for so many data volumes.
    #[must_use]
    pub fn of(self, data: u32) -> u32 {
        match self {
            Self::Volumes(volumes) => volumes,
            Self::Percent(percent) => u32::try_from((u64::from(data) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX).max(1),
        }
    }

    /// What `options` of a set say that it is to have.
    #[must_use]
    pub fn of_options(options: &Canonical) -> Option<Self> {
        options.member::<String>("parity")?.parse().ok()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volumes(volumes) => write!(f, "{volumes}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Amount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            Error::usage(format!("parity {text:?}: {why}"))
                .hint("write a number of volumes, such as 2, or a part of the data volumes, such as 10%")
        };
        let (digits, percent) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
        let number: u32 = digits.parse().map_err(|_| refused("it is no number"))?;
        if number == 0 || number >= MAX_SHARDS {
            return Err(refused(&format!("1 to {} are possible", MAX_SHARDS - 1)));
        }
        Ok(if percent { Self::Percent(number) } else { Self::Volumes(number) })
    }
}

/// Writes the parity volumes that a set in `folder` lacks; says which it has then.
pub fn add(folder: &Path, set: &str, amount: Amount, monitor: &dyn Monitor, stop: &AtomicBool) -> Result<Vec<WrittenVolume>> {
    let shelf = Shelf::open(folder)?;
    let set = shelf.found().sets.iter().find(|known| known.id().to_string() == set && known.is_complete());
    let set = set.ok_or_else(|| Error::needed(format!("{}: the set is not whole here, so it gets no parity", folder.display())))?;
    let plan = plan_of(set, amount.of(count(set)))?;
    let all: Vec<(u32, PathBuf)> = (1..=plan.parity().parity).map(|number| (number, folder.join(name_of(set, &plan, number)))).collect();
    let missing: BTreeMap<u32, PathBuf> = all.iter().filter(|(_, path)| !path.exists()).cloned().collect();
    write(set, &plan, folder, &missing, monitor, stop)?;
    let written = |(number, path): &(u32, PathBuf)| {
        let bytes = std::fs::metadata(path).map_err(|error| Error::io(path.display(), &error))?.len();
        Ok(WrittenVolume { number: *number, path: path.clone(), bytes, sum: sum_of(path)? })
    };
    let volumes = all.iter().map(written).collect::<Result<Vec<_>>>()?;
    note_sums(folder, set, &volumes)?;
    Ok(volumes)
}

/// The plan for the parity of a set whose data volumes are all here.
pub(super) fn plan_of(set: &SetFiles, parity: u32) -> Result<Plan> {
    let volumes = set.volumes.values().map(|file| (file.path.clone(), file.footer.file_bytes, file.footer.root));
    plan(set, volumes.collect(), parity)
}

/// The same, with the files named.
pub(super) fn plan(set: &SetFiles, volumes: Vec<(PathBuf, u64, Digest)>, parity: u32) -> Result<Plan> {
    let unknown = || Error::needed(format!("set {}: its last volume is not here", set.header.generation));
    let root = set.root.ok_or_else(unknown)?;
    let entries = volumes.into_iter().map(|(path, bytes, root)| (path, ShardEntry { bytes, root })).collect();
    let plan = Plan::new(set.header, root, entries, parity).map_err(|error| told(&error));
    plan.map_err(|error| error.note("the set is complete without parity").hint("ask for fewer parity volumes, or for larger volumes"))
}

/// Writes parity volumes under these names.
pub(super) fn write(
    set: &SetFiles,
    plan: &Plan,
    folder: &Path,
    targets: &BTreeMap<u32, PathBuf>,
    monitor: &dyn Monitor,
    stop: &AtomicBool,
) -> Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    let longest = plan.parity().shard_bytes();
    let room: Vec<u64> = targets.iter().map(|_| longest.saturating_add(reserve_bytes(set.header.cap))).collect();
    Room::of(folder)?.check(folder, &room, 0)?;
    let scratch = folder.join(SCRATCH);
    std::fs::create_dir_all(&scratch).map_err(|error| Error::io(scratch.display(), &error))?;
    let partial = |number: u32| scratch.join(format!("{}.partial", name_of(set, plan, number)));
    let partials: BTreeMap<u32, PathBuf> = targets.keys().map(|number| (*number, partial(*number))).collect();
    let name = format!("parity of set {}", set.header.generation);
    let bytes = plan.parity().shard_bytes().saturating_mul(plan.parity().data().into());
    monitor.event(Event::Started { image: &name, bytes });
    let mut on_bytes = |bytes: u64| {
        monitor.event(Event::Moved { image: &name, bytes });
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let made = make(plan, &partials, &mut on_bytes);
    monitor.event(Event::Ended { image: &name, complete: made.is_ok() });
    made.map_err(|error| unless_stopped(told(&error), stop))?;
    for (number, path) in targets {
        std::fs::rename(partial(*number), path).map_err(|error| Error::io(path.display(), &error))?;
    }
    sync_folder(folder)
}

/// The name of a parity volume.
pub(super) fn name_of(set: &SetFiles, plan: &Plan, number: u32) -> String {
    file_name(lineage(set), &plan.header(number))
}

fn lineage(set: &SetFiles) -> &str {
    set.manifest.as_ref().map_or("", |manifest| manifest.lineage.name.as_str())
}

fn count(set: &SetFiles) -> u32 {
    u32::try_from(set.volumes.len()).unwrap_or(u32::MAX)
}

/// What work that was stopped ends with.
pub(super) fn unless_stopped(error: Error, stop: &AtomicBool) -> Error {
    if stop.load(Ordering::Relaxed) { Error::new(Kind::Interrupted, "the work was stopped") } else { error }
}

fn sum_of(path: &Path) -> Result<Digest> {
    let mut hasher = ocm_format::digest::Hasher::sha256();
    let copied = std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hasher));
    copied.map_err(|error| Error::io(path.display(), &error)).map(|_| hasher.finish())
}

/// Adds parity volumes to the sums beside the set, after the lines that are there.
fn note_sums(folder: &Path, set: &SetFiles, volumes: &[WrittenVolume]) -> Result<()> {
    let path = folder.join(format!("{}.sha256", stem(lineage(set), set.header.generation, set.id())));
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Error::io(path.display(), &error)),
    };
    let name = |volume: &WrittenVolume| volume.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let line = |volume: &WrittenVolume| format!("{}  {}\n", volume.sum.hex(), name(volume));
    let is_other = |line: &&str| !volumes.iter().any(|volume| line.ends_with(&format!("  {}", name(volume))));
    let kept = before.lines().filter(is_other).map(|line| format!("{line}\n"));
    let text: String = kept.chain(volumes.iter().map(line)).collect();
    write_whole(&path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_counted() {
        for (text, data, volumes) in [("1", 10, 1), ("2", 1, 2), ("10%", 10, 1), ("10%", 11, 2), ("1%", 1, 1), ("200%", 3, 6)] {
            let amount: Amount = text.parse().expect(text);
            assert_eq!((amount.of(data), amount.to_string().as_str()), (volumes, text));
        }
        for text in ["", "0", "0%", "-1", "4096", "2.5", "%", "two"] {
            let error = text.parse::<Amount>().expect_err(text);
            assert!(error.way_out().is_some_and(|way| way.contains("10%")), "{error:?}");
        }
    }
}
