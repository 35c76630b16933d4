//! Which images need a piece of an archive.

use std::fmt::Write as _;

use super::inspect::lies;
use super::list::platforms;
use crate::cli::figures::{count, numbers};
use crate::cli::safe::safe;
use crate::cli::table::Table;
use crate::workflow::why::{NeededPart, Needing, What, Why};

/// So many images of which it cannot be told are listed.
const MOST_UNKNOWN: usize = 5;

/// What was asked about, then the images that need it.
pub(in crate::cli) fn text(why: &Why) -> String {
    let place = lies(&why.volumes);
    let mut text = why.digest.as_ref().map_or(place.clone(), |digest| format!("{digest}   {place}")) + "\n";
    let (sets, those) = (numbers(&why.sets), if why.sets.len() == 1 { "set" } else { "sets" });
    match why.images.len() {
        0 => text += &format!("no image of {those} {sets} needs it\n"),
        some => text += &format!("needed by {} of {those} {sets}\n{}", count(some, "image"), images(&why.images)),
    }
    if let Some(more) = Some(why.unknown.len()).filter(|unknown| *unknown > 0) {
        let _ = writeln!(text, "it cannot be told of {}", count(more, "image"));
    }
    for unknown in why.unknown.iter().take(MOST_UNKNOWN) {
        let _ = writeln!(text, "  {}   {}", safe(&unknown.name.to_string()), safe(&unknown.why));
    }
    text
}

fn images(images: &[Needing]) -> String {
    let mut table = Table::new(&["IMAGE", "PLATFORM", "AS", "SET"], &[3]);
    for image in images {
        for parts in image.parts.chunk_by(|a, b| (&a.part.platform, a.part.attached) == (&b.part.platform, b.part.attached)) {
            let platform = parts.first().and_then(|first| first.part.platform.clone());
            table.row([image.name.to_string(), platforms(platform.as_slice()), roles(parts), image.set.to_string()]);
        }
    }
    table.lines("  ")
}

/// `manifest, config, layers 1, 2; perhaps layer 4`
fn roles(parts: &[NeededPart]) -> String {
    let of = |perhaps: bool| {
        let parts = || parts.iter().filter(move |needed| needed.perhaps == perhaps).map(|needed| needed.part.what);
        let documents = parts().filter_map(|what| match what {
            What::Index => Some("index"),
            What::Manifest => Some("manifest"),
            What::Config => Some("config"),
            What::Blob => Some("blob"),
            What::Layer { .. } => None,
        });
        let mut words: Vec<String> = documents.map(str::to_owned).collect();
        let layers = parts().filter_map(|what| match what {
            What::Layer { number } => u32::try_from(number).ok(),
            _ => None,
        });
        let layers: Vec<u32> = layers.collect();
        if !layers.is_empty() {
            words.push(format!("layer{} {}", if layers.len() == 1 { "" } else { "s" }, numbers(&layers)));
        }
        words.join(", ")
    };
    let attached = if parts.iter().any(|needed| needed.part.attached) { " (attached)" } else { "" };
    let said = match (of(false), of(true)) {
        (certain, perhaps) if perhaps.is_empty() => certain,
        (certain, perhaps) if certain.is_empty() => format!("perhaps {perhaps}"),
        (certain, perhaps) => format!("{certain}; perhaps {perhaps}"),
    };
    said + attached
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::image::{Digest, Role};
    use crate::workflow::inspect::Lies;
    use crate::workflow::why::{Part, Unknown};

    fn part(what: What, platform: Option<&str>, perhaps: bool) -> NeededPart {
        let platform = platform.map(|text| text.parse().expect("a platform"));
        NeededPart { part: Part { what, platform, attached: false, digest: Digest::of(b"part"), bytes: 7 }, perhaps }
    }

    /// One image that needs a volume.
    pub(in crate::cli) fn answer() -> Why {
        let layer = |number| What::Layer { number };
        let amd64 = Some("linux/amd64");
        let parts = vec![
            part(What::Index, None, false),
            part(What::Config, amd64, false),
            part(layer(2), amd64, false),
            part(layer(3), amd64, true),
        ];
        Why {
            digest: None,
            volumes: vec![Lies { set: 1, volume: 2, here: false }],
            sets: vec![2],
            images: vec![Needing { name: "nginx:1".parse().expect("a name"), role: Role::Image, set: 2, parts }],
            unknown: vec![Unknown { name: "a.io/b:1".parse().expect("a name"), set: 2, why: "gone".into() }],
        }
    }

    #[test]
    fn an_answer_names_images_and_what_the_piece_is_there() {
        let expected = "set 1 volume 2 (elsewhere)\nneeded by 1 image of set 2\n  \
                        IMAGE                       PLATFORM   AS                                 SET\n  \
                        docker.io/library/nginx:1              index                                2\n  \
                        docker.io/library/nginx:1   amd64      config, layer 2; perhaps layer 3     2\n\
                        it cannot be told of 1 image\n  a.io/b:1   gone\n";
        assert_eq!(text(&answer()), expected);
    }

    #[test]
    fn what_nothing_needs_is_said_to_be_so() {
        let digest = Digest::of(b"old");
        let why = Why { digest: Some(digest), images: vec![], unknown: vec![], sets: vec![2, 5], ..answer() };
        assert_eq!(text(&why), format!("{digest}   set 1 volume 2 (elsewhere)\nno image of sets 2, 5 needs it\n"));
    }
}
