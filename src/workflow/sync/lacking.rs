//! The words for content that sets build on and that is not to be had.

use std::collections::BTreeSet;

use super::base::Absent;
use crate::error::Error;
use crate::image::Source as _;
use crate::plan::Plan;
use crate::store::archive::ArchiveSource;
use crate::workflow::label;

/// So many images are named.
const MOST_NAMES: usize = 5;

/// The error that names what is missing, whom it hurts, and what to bring.
pub(super) fn error(archives: &[&ArchiveSource], plan: &Plan, absent: &[Absent], destination: &str) -> Error {
    let list = |words: Vec<String>| words.join(", ");
    let unique = |numbers: BTreeSet<u32>| list(numbers.iter().map(u32::to_string).collect());
    let sets = unique(archives.iter().flat_map(|archive| archive.sets()).map(|set| set.generation()).collect());
    let places = list(archives.iter().map(|archive| archive.place()).collect::<BTreeSet<_>>().into_iter().collect());
    let mut bring: Vec<(u32, String)> = Vec::new();
    for archive in archives {
        let name = archive.sets().first().map(|set| format!("{:?}, ", set.lineage_name())).unwrap_or_default();
        let one = |(generation, root): &(u32, _)| (*generation, format!("set {generation} ({name}root {})", label(root)));
        bring.extend(archive.elsewhere().iter().map(one));
    }
    let by_receipt: BTreeSet<String> = archives.iter().flat_map(|archive| held_elsewhere(archive)).collect();
    let earlier = match (bring.is_empty(), by_receipt.is_empty()) {
        (true, false) => list(by_receipt.iter().cloned().collect()),
        (true, true) => "an earlier set".to_owned(),
        (false, _) => format!("set {}", unique(bring.iter().map(|(generation, _)| *generation).collect())),
    };
    let carried = if bring.is_empty() { earlier.clone() } else { list(bring.into_iter().map(|(_, text)| text).collect()) };
    let items: BTreeSet<usize> = absent.iter().flat_map(|absent| absent.items.iter().copied()).collect();
    let blobs = if absent.len() == 1 { "1 blob".to_owned() } else { format!("{} blobs", absent.len()) };
    let first = absent.first().map(|absent| format!(", first {}", absent.digest)).unwrap_or_default();
    let error = Error::needed(format!("set {sets} refers to content of {earlier}, which is not in {places} and not in {destination}"))
        .note(format!("missing: {blobs} that {} need{}{first}", names(plan, &items), if items.len() == 1 { "s" } else { "" }));
    if !by_receipt.is_empty() {
        return error.hint("write a set for this destination: with --since a receipt of it, or with --full");
    }
    error
        .note(format!("bring:   {carried}, or the images of {earlier} in {destination}"))
        .hint("put the earlier set beside this one, or name more places to look with --base DIR")
}

/// What sets count on that is no set: what a destination held when its receipt was made.
fn held_elsewhere(archive: &ArchiveSource) -> impl Iterator<Item = String> {
    archive.destinations().map(|(destination, root)| match destination {
        Some(destination) => format!("{destination} (by the receipt that is its parent)"),
        None => format!("a destination (by the receipt {root}, which is its parent)"),
    })
}

/// An error met in what sets build on, with the images that it hurts.
pub(super) fn hurt(error: Error, plan: &Plan, items: &BTreeSet<usize>) -> Error {
    error.note(format!("hurts:   {}", names(plan, items))).note("nothing was written")
}

/// The images by name: a few of them, and how many more.
fn names(plan: &Plan, items: &BTreeSet<usize>) -> String {
    let all: Vec<String> = items.iter().filter_map(|at| plan.items().get(*at)).map(|planned| planned.item.origin.to_string()).collect();
    match all.len().checked_sub(MOST_NAMES) {
        None | Some(0) => all.join(", "),
        Some(more) => format!("{} and {more} more images", all[..MOST_NAMES].join(", ")),
    }
}
