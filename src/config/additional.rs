//! `additionalImages`: images by name.
//!
//! **Invariants.** An image that comes out of here can be asked for: its name, what it is renamed to and its platforms were
//! read. One without tag and digest is `latest`.
//!
//! *Not here:* asking for it (`collect`), its name at a destination (`image::place`).

use std::path::PathBuf;

use super::finding::{Findings, quoted};
use super::path::Path;
use super::platforms::{PlatformEntry, platforms};
use super::rules::{entries, repository, tag, text};
use super::source::Place;
use super::wire::{At, wire};
use crate::image::place::Location;
use crate::image::{Platform, Reference};

wire! {
    /// An image that is wanted by name.
    pub(super) ImageEntry {
        /// Name with a tag or a digest, or oci:// and the path of an OCI layout.
        name: String = "name" (required),
        /// Repository path at the destination, instead of its own.
        target_repo: String = "targetRepo",
        /// Tag at the destination, instead of its own.
        target_tag: String = "targetTag",
        /// Platforms that are wanted; all where there is no list.
        platforms: Vec<At<PlatformEntry>> = "platforms",
    }
}

/// An image that is wanted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdditionalImage {
    /// Where it comes from.
    pub origin: Origin,
    /// Its repository path at the destination, where that is not its own.
    pub target_repository: Option<String>,
    /// Its tag at the destination, where that is not its own.
    pub target_tag: Option<String>,
    /// The platforms that are wanted; none is all.
    pub platforms: Vec<Platform>,
    /// Where the configuration names it.
    pub place: Place,
}

/// Where an additional image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A registry; there is a tag or a digest.
    Image(Reference),
    /// An OCI layout.
    Layout {
        /// The directory.
        path: PathBuf,
        /// The image in it; without one, all that it holds.
        reference: Option<String>,
    },
}

/// The images of a list, those that can be; what is wrong with the others is reported.
pub(super) fn images(list: Option<&At<Vec<At<ImageEntry>>>>, path: &Path<'_>, findings: &mut Findings) -> Vec<AdditionalImage> {
    let read = |(index, entry): (usize, &At<ImageEntry>)| image(entry, &path.index(index), findings);
    entries(list).iter().enumerate().filter_map(read).collect()
}

fn image(entry: &At<ImageEntry>, path: &Path<'_>, findings: &mut Findings) -> Option<AdditionalImage> {
    let ImageEntry { name, target_repo, target_tag, platforms: wanted } = &entry.value;
    repository(target_repo.as_ref(), &path.key("targetRepo"), findings);
    tag(target_tag.as_ref(), &path.key("targetTag"), findings);
    let name = name.as_ref().filter(|_| !text(name.as_ref()).is_empty())?;
    Some(AdditionalImage {
        origin: origin(name, &path.key("name"), findings)?,
        target_repository: target_repo.as_ref().map(|at| at.value.clone()),
        target_tag: target_tag.as_ref().map(|at| at.value.clone()),
        platforms: platforms(wanted.as_ref()),
        place: name.place,
    })
}

fn origin(name: &At<String>, path: &Path<'_>, findings: &mut Findings) -> Option<Origin> {
    let At { value: text, place, .. } = name;
    let read = if text.starts_with("oci:") { layout(text) } else { reference(text) };
    let origin = match read {
        Ok(origin) => origin,
        Err(why) => {
            findings.error(*place, format!("{path}: {why}"));
            return None;
        }
    };
    Some(match origin {
        Origin::Image(reference) if reference.tag().is_none() && reference.digest().is_none() => {
            findings.warning(*place, format!("{path}: {} has neither tag nor digest", quoted(text))).help(format!("write {text}:latest"));
            Origin::Image(reference.or_latest())
        }
        other => other,
    })
}

fn layout(text: &str) -> crate::error::Result<Origin> {
    match text.parse()? {
        Location::Layout { path, reference } => Ok(Origin::Layout { path, reference }),
        other => Err(crate::error::Error::usage(format!("{other} is no OCI layout"))),
    }
}

fn reference(text: &str) -> crate::error::Result<Origin> {
    text.strip_prefix("docker://").unwrap_or(text).parse().map(Origin::Image)
}
