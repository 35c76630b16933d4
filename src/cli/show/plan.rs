//! What a sync is about to do.

use std::fmt::Write as _;

use crate::cli::figures::{bytes, count};
use crate::monitor::Outline;

/// `plan: 12 images, 41 blobs, 345 MiB to fetch; about 250 MiB to write (delta by patches), 3 volumes below 4.38 GiB`
pub(in crate::cli) fn line(plan: &Outline) -> String {
    let mut text = format!("plan: {}, {}, {} to fetch", count(plan.images, "image"), count(plan.blobs, "blob"), bytes(plan.bytes));
    if plan.blobs_there > 0 {
        let _ = write!(text, " ({}, {}, there already)", count(plan.blobs_there, "blob"), bytes(plan.bytes_there));
    }
    if plan.mounts > 0 {
        let _ = write!(text, ", {} taken from other repositories there", plan.mounts);
    }
    if let Some(set) = plan.set.filter(|_| plan.images > 0) {
        let delta = set.depth.map_or(String::new(), |depth| format!(" (delta by {depth})"));
        let (about, volumes, cap) = (bytes(set.bytes), count(set.volumes, "volume"), bytes(set.cap_bytes));
        let _ = write!(text, "; about {about} to write{delta}, {volumes} below {cap}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::OutlinedSet;

    #[test]
    fn a_plan_is_one_line() {
        let plan = Outline { images: 12, blobs: 41, bytes: 345 << 20, ..Outline::default() };
        let set = |volumes, depth| Some(OutlinedSet { bytes: 250 << 20, depth, volumes, cap_bytes: 4 << 30 });
        for (plan, expected) in [
            (plan, "plan: 12 images, 41 blobs, 345 MiB to fetch"),
            (
                Outline { set: set(3, None), ..plan },
                "plan: 12 images, 41 blobs, 345 MiB to fetch; about 250 MiB to write, 3 volumes below 4 GiB",
            ),
            (
                Outline { set: set(1, Some("patches")), ..plan },
                "plan: 12 images, 41 blobs, 345 MiB to fetch; about 250 MiB to write (delta by patches), 1 volume below 4 GiB",
            ),
            (
                Outline { blobs_there: 3, bytes_there: 7, mounts: 2, ..plan },
                "plan: 12 images, 41 blobs, 345 MiB to fetch (3 blobs, 7 B, there already), 2 taken from other repositories there",
            ),
        ] {
            assert_eq!(line(&plan), expected);
        }
    }
}
