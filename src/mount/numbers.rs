//! [`Number`]: what an inode number stands for, and back.
//!
//! **Invariants.** Numbers are computed, never handed out: the same thing has the same one as long as it is mounted, and nothing is kept
//! for it. Every thing has one number, and every number at most one thing.
//!
//! ```text
//! 1 … 9        the directories and files that are always there
//! 16 + n       blob n in the order of digests
//! bit 61       file n of `.ocm`
//! bit 62       directory n below `images`; with bit 61: item, platform and what of it
//! bit 63       item, platform and place in the tree of a root file system
//! ```

/// Items of which images are shown.
pub(super) const MAX_ITEMS: usize = 1 << ITEM_BITS;
/// Platforms of one item that are shown.
pub(super) const MAX_PLATFORMS: usize = (1 << PLATFORM_BITS) - 1;
/// Entries of one root file system.
pub(super) const MAX_ENTRIES: usize = 1 << ENTRY_BITS;
/// Layers of an image that have a file of their own.
pub(super) const MAX_LAYERS: usize = (1 << PART_BITS) - FIRST_LAYER as usize;

const ITEM_BITS: u32 = 22;
const PLATFORM_BITS: u32 = 11;
const ENTRY_BITS: u32 = 30;
const PART_BITS: u32 = 17;

const FIRST_BLOB: u64 = 16;
const NOTE: u64 = 1 << 61;
const FOLDER: u64 = 1 << 62;
const IMAGE: u64 = FOLDER | NOTE;
const NODE: u64 = 1 << 63;
const FIRST_LAYER: u64 = 8;

/// What an inode number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Number {
    /// The root of the mount.
    Root,
    /// `oci-layout`.
    Marker,
    /// `index.json`.
    Index,
    /// `blobs`.
    Blobs,
    /// `blobs/sha256`.
    Sha256,
    /// `blobs/sha512`.
    Sha512,
    /// `images`.
    Images,
    /// `.ocm`.
    Notes,
    /// A file of `.ocm`.
    Note(u32),
    /// A blob, by its place in the table of blobs.
    Blob(u32),
    /// A directory below `images` that is no image, by its place in the table of names.
    Folder(u32),
    /// The directory of an image, or a part of it.
    Part(Image, Part),
    /// An entry of a root file system, by its place in the tree.
    Node(Image, u32),
}

/// An image: an item, and a platform of it from 1; 0 is what the item's name stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Image {
    pub(super) item: u32,
    pub(super) platform: u32,
}

/// What there is of an image besides its root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Its directory.
    Folder,
    /// `manifest.json`, or `index.json` of an index.
    Manifest,
    /// `config.json`.
    Config,
    /// `layers`.
    Layers,
    /// A file of `layers`.
    Layer(u32),
}

impl Number {
    pub(super) fn to_u64(self) -> u64 {
        match self {
            Self::Root => 1,
            Self::Marker => 2,
            Self::Index => 3,
            Self::Blobs => 4,
            Self::Sha256 => 5,
            Self::Images => 6,
            Self::Notes => 7,
            Self::Sha512 => 8,
            Self::Note(note) => NOTE | u64::from(note),
            Self::Blob(blob) => FIRST_BLOB + u64::from(blob),
            Self::Folder(folder) => FOLDER | u64::from(folder),
            Self::Part(image, part) => IMAGE | image.packed() << PART_BITS | part.to_u64(),
            Self::Node(image, entry) => NODE | image.packed() << ENTRY_BITS | u64::from(entry),
        }
    }

    /// None for a number that was never given.
    pub(super) fn of(number: u64) -> Option<Self> {
        let low = |bits: u32| number & ((1 << bits) - 1);
        if number & NODE != 0 {
            return Some(Self::Node(Image::unpacked((number & !NODE) >> ENTRY_BITS), small(low(ENTRY_BITS))?));
        }
        match number & IMAGE {
            IMAGE => Some(Self::Part(Image::unpacked((number & !IMAGE) >> PART_BITS), Part::of(low(PART_BITS))?)),
            FOLDER => small(number & !FOLDER).map(Self::Folder),
            NOTE => small(number & !NOTE).map(Self::Note),
            _ => Self::of_fixed(number),
        }
    }

    fn of_fixed(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Root,
            2 => Self::Marker,
            3 => Self::Index,
            4 => Self::Blobs,
            5 => Self::Sha256,
            6 => Self::Images,
            7 => Self::Notes,
            8 => Self::Sha512,
            _ => Self::Blob(small(number.checked_sub(FIRST_BLOB)?)?),
        })
    }
}

impl Image {
    /// Less than 33 bits.
    fn packed(self) -> u64 {
        u64::from(self.item) << PLATFORM_BITS | u64::from(self.platform)
    }

    fn unpacked(packed: u64) -> Self {
        let mask = |bits: u32| (1u64 << bits) - 1;
        Self { item: (packed >> PLATFORM_BITS & mask(ITEM_BITS)) as u32, platform: (packed & mask(PLATFORM_BITS)) as u32 }
    }
}

impl Part {
    fn to_u64(self) -> u64 {
        match self {
            Self::Folder => 0,
            Self::Manifest => 1,
            Self::Config => 2,
            Self::Layers => 3,
            Self::Layer(layer) => FIRST_LAYER + u64::from(layer),
        }
    }

    fn of(part: u64) -> Option<Self> {
        Some(match part {
            0 => Self::Folder,
            1 => Self::Manifest,
            2 => Self::Config,
            3 => Self::Layers,
            part => Self::Layer(small(part.checked_sub(FIRST_LAYER)?)?),
        })
    }
}

fn small(number: u64) -> Option<u32> {
    u32::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_thing_has_a_number_of_its_own_and_is_found_by_it() {
        let images =
            [(0, 0), (0, 1), (1, 0), (MAX_ITEMS as u32 - 1, MAX_PLATFORMS as u32)].map(|(item, platform)| Image { item, platform });
        let ends = [0, 1, u32::MAX];
        let fixed =
            [Number::Root, Number::Marker, Number::Index, Number::Blobs, Number::Sha256, Number::Sha512, Number::Images, Number::Notes];
        let mut all: Vec<Number> = fixed.into();
        all.extend(ends.map(Number::Note));
        all.extend(ends.map(Number::Blob));
        all.extend(ends.map(Number::Folder));
        for image in images {
            let parts = [Part::Folder, Part::Manifest, Part::Config, Part::Layers, Part::Layer(0), Part::Layer(MAX_LAYERS as u32 - 1)];
            all.extend(parts.map(|part| Number::Part(image, part)));
            all.extend([0, MAX_ENTRIES as u32 - 1].map(|entry| Number::Node(image, entry)));
        }
        let mut seen = HashSet::new();
        for number in all {
            assert!(seen.insert(number.to_u64()), "{number:?}");
            assert_eq!(Number::of(number.to_u64()), Some(number));
        }
    }

    #[test]
    fn a_number_that_was_never_given_is_none() {
        for number in [0, 9, 15, IMAGE | 4, IMAGE | 7, NOTE | 1 << 40, FOLDER | 1 << 40, 1 << 50] {
            assert_eq!(Number::of(number), None, "{number:#x}");
        }
    }
}
