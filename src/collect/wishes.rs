//! [`Wishes`]: what configurations ask for, whatever they are written like.
//!
//! **Invariants.** A wish is of one image. Its place is where the image is to be had at its origin.
//!
//! *Not here:* how a configuration is read (`config`), where wishes are looked up (`workflow`).

use crate::config::{AdditionalImage, Blocked, ImageSet, Origin};
use crate::error::{Error, Result};
use crate::image::place::{Location, layout_repository};
use crate::image::{Contents, Platform, Reference, Rename};

/// What configurations ask for.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The images, in the order of asking.
    pub images: Vec<Wish>,
    /// Expressions on images that shall not be brought.
    pub blocked: Blocked,
    /// The configurations themselves, in the order of naming.
    pub documents: Vec<Document>,
}

/// A configuration as its file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What the file is called, without its folder.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// One image that is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Where it is to be had: an image of a registry, or an OCI layout.
    pub place: Location,
    /// How it is called at a destination.
    pub rename: Rename,
    /// The platforms wanted of it; none means all.
    pub platforms: Vec<Platform>,
}

impl Wish {
    fn of(image: &AdditionalImage) -> Self {
        let place = match &image.origin {
            Origin::Image(name) => Location::Registry { host: name.repository().registry().to_owned(), name: Some(name.clone()) },
            Origin::Layout { path, reference } => Location::Layout { path: path.clone(), reference: reference.clone() },
        };
        let rename = Rename { repository: image.target_repository.clone(), tag: image.target_tag.clone() };
        Self { place, rename, platforms: image.platforms.clone() }
    }

    /// The names that it has in what a place lists of itself: its own, or for one of an OCI layout those of all that came from
    /// there. Empty where the place lists none.
    #[must_use]
    pub fn names_in(&self, listing: &Contents) -> Vec<Reference> {
        match &self.place {
            Location::Registry { name: Some(name), .. } => {
                listing.find(&name.clone().or_latest()).map(|_| name.clone()).into_iter().collect()
            }
            Location::Layout { path, reference } => {
                let Ok(repository) = layout_repository(path) else { return Vec::new() };
                let of_it = |origin: &Reference| {
                    *origin.repository() == repository && reference.as_deref().is_none_or(|reference| origin.tag() == Some(reference))
                };
                listing.items().iter().map(|item| item.origin.clone()).filter(of_it).collect()
            }
            Location::Registry { .. } | Location::Archive { .. } => Vec::new(),
        }
    }

    /// Its name at its origin.
    pub fn name(&self) -> Result<Reference> {
        match &self.place {
            Location::Registry { name: Some(name), .. } => Ok(name.clone().or_latest()),
            Location::Layout { path, reference } => layout_repository(path)?.tagged(reference.as_deref().unwrap_or("latest")),
            place => Err(Error::usage(format!("{place}: it is no image"))),
        }
    }
}

impl Wishes {
    /// What these configurations ask for, in their order; what one of them blocks, none brings.
    pub fn of(sets: &[ImageSet]) -> Result<Self> {
        let images = sets.iter().flat_map(|set| &set.wishes.additional_images).map(Wish::of).collect();
        let blocked = Blocked::of(sets.iter().flat_map(|set| set.blocked.expressions()).map(String::as_str))?;
        let documents = sets.iter().map(|set| Document { name: base_name(&set.wishes.file), text: set.text.clone() }).collect();
        Ok(Self { images, blocked, documents })
    }

    /// How those are called at a destination which keep not all of their own name.
    pub fn renames(&self) -> impl Iterator<Item = (Reference, Rename)> + use<'_> {
        let renamed = self.images.iter().filter(|wish| !wish.rename.is_none());
        renamed.filter_map(|wish| Some((wish.name().ok()?, wish.rename.clone())))
    }

    /// What tells them from others.
    #[must_use]
    pub fn key(&self) -> String {
        let images = self.images.iter().map(|wish| {
            let platforms: Vec<String> = wish.platforms.iter().map(ToString::to_string).collect();
            format!("{} {:?} {platforms:?}", wish.place, wish.rename)
        });
        format!("{:?} {:?}", images.collect::<Vec<_>>(), self.blocked.expressions())
    }
}

/// The name of a file without its folder.
fn base_name(file: &str) -> String {
    file.rsplit('/').next().unwrap_or(file).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Descriptor, Digest, Item};

    fn wish(place: &str) -> Wish {
        Wish { place: place.parse().expect("a place"), rename: Rename::default(), platforms: Vec::new() }
    }

    #[test]
    fn a_wish_is_found_by_its_name_and_one_of_a_layout_by_the_name_of_its_folder() {
        let root = Descriptor::new("", Digest::of(b"1"), 1);
        let item = |name: &str| Item { root: Some(root.clone()), ..Item::image(name.parse().expect("a name")) };
        let listing =
            Contents::new([item("quay.io/a:1"), item("quay.io/a:latest"), item("localhost/my-images:1"), item("localhost/my-images:2")]);
        for (place, expected) in [
            ("docker://quay.io/a:1", &["quay.io/a:1"][..]),
            ("docker://quay.io/a:3", &[]),
            ("oci:/some/My Images", &["localhost/my-images:1", "localhost/my-images:2"]),
            ("oci:/some/My Images:2", &["localhost/my-images:2"]),
            ("oci:/some/other", &[]),
        ] {
            let names: Vec<String> = wish(place).names_in(&listing).iter().map(ToString::to_string).collect();
            assert_eq!(names, expected, "{place}");
        }
        assert_eq!(wish("docker://quay.io/a").names_in(&listing).len(), 1, "latest is meant");
    }
}
