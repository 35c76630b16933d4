//! What an archive holds.

use std::fmt::Write as _;

use crate::cli::figures::{bytes, count, numbers};
use crate::cli::safe::safe;
use crate::cli::table::Table;
use crate::image::{Digest, Platform, Role};
use crate::workflow::label;
use crate::workflow::list::{ImageLine, Listing, SetLine, SetParent};

/// The sets by lineage, then the images.
pub(in crate::cli) fn text(listing: &Listing) -> String {
    let mut text = String::new();
    for lineage in listing.sets.chunk_by(|a, b| a.lineage_id == b.lineage_id) {
        text += &head(lineage, listing);
        text += &sets(lineage);
    }
    for stranger in &listing.strangers {
        let _ = writeln!(text, "  not readable   {}: {}", safe(&stranger.path.display().to_string()), safe(&stranger.why));
    }
    text + &images(&listing.images)
}

fn head(lineage: &[SetLine], listing: &Listing) -> String {
    let name = lineage.iter().find_map(|set| set.lineage.as_deref()).unwrap_or("(name not known)");
    let (here, elsewhere) = (volumes_here(lineage), lineage.iter().map(|set| set.elsewhere.len()).sum::<usize>());
    let all_here = lineage.iter().all(|set| set.elsewhere.is_empty() && set.volumes.is_some());
    let released = lineage.iter().map(|set| set.released.len()).sum::<usize>();
    let place = match (all_here, elsewhere - released.min(elsewhere), released) {
        (true, ..) => "all here".to_owned(),
        (false, 0, 0) => "more elsewhere".to_owned(),
        (false, 0, released) => format!("{released} released"),
        (false, elsewhere, 0) => format!("{elsewhere} elsewhere"),
        (false, elsewhere, released) => format!("{elsewhere} elsewhere, {released} released"),
    };
    let images = lineage.iter().enumerate().map(|(at, set)| match at {
        0 => format!("{} in set {}", count(set.items, "image"), set.generation),
        _ => format!("{} in set {}", set.items, set.generation),
    });
    let stored: u64 = listing.sets.iter().map(|set| set.stored_bytes).sum();
    let of = if listing.blob_bytes > 0 { format!(" for {} of blobs", bytes(listing.blob_bytes)) } else { String::new() };
    let images = images.take(4).collect::<Vec<_>>().join(", ");
    format!("{}   {}   {}, {place}   {images}   {}{of}\n", safe(name), count(lineage.len(), "set"), count(here, "volume"), bytes(stored))
}

fn volumes_here(lineage: &[SetLine]) -> usize {
    lineage.iter().map(|set| set.here.len()).sum()
}

fn sets(lineage: &[SetLine]) -> String {
    let mut table = Table::default();
    let mut notes = String::new();
    for set in lineage {
        let root = set.root.as_ref().map_or("root not known".to_owned(), |root| format!("root {}", label(root)));
        let state = if set.items_complete < set.items { format!("{} of {} images", set.items_complete, set.items) } else { String::new() };
        let date = set.time.split('T').next().unwrap_or_default().to_owned();
        let (signed, here) = (signed_by(set), volumes(set) + &parity(set));
        table.row([format!("set {}", set.generation), date, builds_on(set), bytes(set.stored_bytes), here, root, signed, state]);
        for broken in &set.broken {
            let _ = writeln!(notes, "    not usable   {}: {}", safe(&broken.path.display().to_string()), safe(&broken.why));
        }
    }
    table.lines("  ") + &notes
}

/// `base`, `delta on set 1`, and whether that is here.
pub(super) fn builds_on(set: &SetLine) -> String {
    let parent = match &set.parent {
        SetParent::Base => return "base".to_owned(),
        SetParent::Receipt { destination: Some(destination) } => format!("delta on what {destination} holds"),
        SetParent::Receipt { destination: None } => "delta on a receipt".to_owned(),
        SetParent::Set { generation: Some(generation), .. } => format!("delta on set {generation}"),
        SetParent::Set { id, generation: None } => format!("delta on set id {}", crate::workflow::short_id(id)),
    };
    if set.parents_here { parent } else { parent + " (elsewhere)" }
}

/// Which keys the signatures of a set say to be by.
pub(super) fn signed_by(set: &SetLine) -> String {
    match set.signed_by.as_slice() {
        [] if set.root.is_none() => String::new(),
        [] => "not signed".to_owned(),
        keys => format!("signed by {}", keys.join(", ")),
    }
}

/// ` and 2 parity`
fn parity(set: &SetLine) -> String {
    if set.parity.is_empty() { String::new() } else { format!(" and {} parity", set.parity.len()) }
}

/// `2 volumes`, `2 of 4 volumes, without 2, released 3`
fn volumes(set: &SetLine) -> String {
    match set.volumes {
        Some(all) if set.elsewhere.is_empty() => count(all, "volume"),
        Some(all) => {
            let lacking: Vec<u32> = set.elsewhere.iter().copied().filter(|number| !set.released.contains(number)).collect();
            let part = |word: &str, of: &[u32]| if of.is_empty() { String::new() } else { format!(", {word} {}", numbers(of)) };
            let (without, released) = (part("without", &lacking), part("released", &set.released));
            format!("{} of {}{without}{released}", set.here.len(), count(all, "volume"))
        }
        None => format!("{} of at least {}", set.here.len(), count(set.here.len() + set.elsewhere.len() + 1, "volume")),
    }
}

fn images(images: &[ImageLine]) -> String {
    if images.is_empty() {
        return String::new();
    }
    let has_roles = images.iter().any(|image| image.role != Role::Image);
    let mut table = Table::new(&["IMAGE", "PLATFORMS", "SIZE", "UNIQUE", "SET"], &[2, 3, 4]);
    for image in images {
        let size = |size: Option<u64>| size.map_or("?".to_owned(), bytes);
        let role = if has_roles && image.role != Role::Image { format!(" ({:?})", image.role).to_lowercase() } else { String::new() };
        let (first, second) = match &image.missing {
            Some(_) => ("missing".to_owned(), String::new()),
            None => (size(image.bytes), size(image.unique_bytes)),
        };
        table.row([format!("{}{role}", image.name), platforms(&image.platforms), first, second, image.set.to_string()]);
    }
    table.lines("") + &missing(images)
}

fn missing(images: &[ImageLine]) -> String {
    let missing = images.iter().filter_map(|image| Some((image, image.missing.as_ref()?)));
    missing.map(|(image, why)| format!("missing  {}   {}\n", safe(&image.name.to_string()), safe(why))).collect()
}

/// `amd64 arm64` for Linux, `windows/amd64` for others.
pub(super) fn platforms(platforms: &[Platform]) -> String {
    const MOST: usize = 6;
    let short = |platform: &Platform| {
        let text = platform.to_string();
        text.strip_prefix("linux/").map_or(text.clone(), str::to_owned)
    };
    let known = || platforms.iter().filter(|platform| !platform.is_unknown());
    let mut shown: Vec<String> = known().map(short).collect();
    shown.dedup();
    let rest = shown.len().saturating_sub(MOST);
    shown.truncate(MOST);
    if rest > 0 {
        shown.push(format!("+{rest}"));
    }
    shown.join(" ")
}

/// The first digits of a digest, as people compare them.
pub(super) fn short(digest: &Digest) -> String {
    format!("{}:{}", digest.algorithm(), digest.short())
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::workflow::list::FileNote;

    /// A set of one volume.
    pub(in crate::cli) fn set(generation: u32) -> SetLine {
        let parent = SetParent::Set { id: "ab".repeat(16), generation: Some(generation - 1) };
        SetLine {
            lineage_id: "00".repeat(16),
            lineage: Some("disk".into()),
            id: "cd".repeat(16),
            generation,
            time: "2026-11-02T10:00:00Z".into(),
            root: Some(Digest::of(b"root")),
            signed_by: vec![],
            signatures: vec![],
            parent: if generation == 1 { SetParent::Base } else { parent },
            cap_bytes: 1 << 30,
            here: vec![1],
            elsewhere: vec![],
            released: vec![],
            volumes: Some(1),
            parents_here: true,
            parity: vec![],
            stored_bytes: 1 << 20,
            items: 1,
            items_complete: 1,
            broken: vec![],
        }
    }

    /// An image.
    pub(in crate::cli) fn image(name: &str, missing: Option<&str>) -> ImageLine {
        ImageLine {
            name: name.parse().expect("a name"),
            role: Role::Image,
            digest: None,
            platforms: ["linux/amd64", "linux/arm64/v8", "unknown/unknown"].map(|text| text.parse().expect("a platform")).to_vec(),
            bytes: missing.is_none().then_some(118 << 20),
            unique_bytes: missing.is_none().then_some(14 << 20),
            set: 2,
            missing: missing.map(str::to_owned),
        }
    }

    /// What an archive holds.
    pub(in crate::cli) fn listing(sets: Vec<SetLine>, images: Vec<ImageLine>) -> Listing {
        Listing { path: "/mnt/disk".into(), sets, images, blob_bytes: 3 << 20, strangers: vec![] }
    }

    #[test]
    fn sets_stand_above_images() {
        let root = label(&Digest::of(b"root"));
        let signed = SetLine { signed_by: vec!["0A1B".into()], ..set(2) };
        let text = text(&listing(vec![signed, set(1)], vec![image("nginx:1.27", None)]));
        let expected = format!(
            "disk   2 sets   2 volumes, all here   1 image in set 2, 1 in set 1   2 MiB for 3 MiB of blobs\n  \
             set 2   2026-11-02   delta on set 1   1 MiB   1 volume   root {root}   signed by 0A1B\n  \
             set 1   2026-11-02   base             1 MiB   1 volume   root {root}   not signed\n\
             IMAGE                          PLATFORMS           SIZE   UNIQUE   SET\n\
             docker.io/library/nginx:1.27   amd64 arm64/v8   118 MiB   14 MiB     2\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn parity_volumes_are_counted_apart() {
        let text = text(&listing(vec![SetLine { parity: vec![1, 2], ..set(1) }], vec![]));
        assert!(text.contains("1 volume, all here") && text.contains("1 volume and 2 parity  "), "{text}");
    }

    #[test]
    fn volumes_that_were_let_go_are_no_lack() {
        let of = |here, elsewhere, released| SetLine { here, elsewhere, released, volumes: Some(4), ..set(1) };
        for (line, head, row) in [
            (of(vec![1], vec![2, 3, 4], vec![2, 3, 4]), "1 volume, 3 released  ", "1 of 4 volumes, released 2, 3, 4  "),
            (
                of(vec![], vec![1, 2, 3, 4], vec![1, 2, 4]),
                "0 volumes, 1 elsewhere, 3 released  ",
                "0 of 4 volumes, without 3, released 1, 2, 4  ",
            ),
        ] {
            let text = text(&listing(vec![line], vec![]));
            assert!(text.contains(head) && text.contains(row), "{text}");
        }
    }

    #[test]
    fn what_is_elsewhere_and_what_is_missing_is_named() {
        let broken = FileNote { path: "x.tar".into(), why: "incomplete".into() };
        let lacking = SetLine {
            elsewhere: vec![2],
            volumes: Some(2),
            parents_here: false,
            items: 3,
            items_complete: 1,
            broken: vec![broken],
            ..set(2)
        };
        let unknown = SetLine { lineage: None, volumes: None, root: None, lineage_id: "11".repeat(16), ..set(1) };
        let text = text(&listing(vec![lacking, unknown], vec![image("a/gone:1", Some("404"))]));
        for part in [
            "1 volume, 1 elsewhere",
            "delta on set 1 (elsewhere)",
            "1 of 2 volumes, without 2",
            "1 of 3 images",
            "    not usable   x.tar: incomplete\n",
            "(name not known)   1 set   1 volume, more elsewhere",
            "1 of at least 2 volumes",
            "missing  docker.io/a/gone:1   404\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
