//! [`Packing`]: how the content of a new set is packed.
//!
//! *Not here:* packing it (`sink`).

use ocm_format::writer::Form;

use crate::image::Descriptor;

/// What gzip begins with.
pub(super) const GZIP: &[u8] = b"\x1f\x8b";

/// How content is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// The plain bytes of a frame: what random access reads at the least, and compression gains from.
    pub frame_bytes: u64,
    /// The zstd level.
    pub level: i32,
    /// Whether gzip is stored by its plain form where it can be made again; otherwise it stays as it came.
    pub replays: bool,
}

impl Packing {
    /// As few bytes as can be had at a bearable pace.
    pub const SMALL: Self = Self { frame_bytes: 4 << 20, level: 9, replays: true };
}

impl Default for Packing {
    fn default() -> Self {
        Self { frame_bytes: 1 << 20, level: 6, replays: true }
    }
}

/// How content is stored, by what it says it is and by its first bytes.
pub(super) fn form_of(descriptor: &Descriptor, start: &[u8]) -> Form {
    const PACKED: [&[u8]; 5] = [GZIP, b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh", b"\x04\x22\x4d\x18"];
    let kind = &descriptor.media_type;
    if PACKED.iter().any(|magic| start.starts_with(magic)) {
        Form::Packed
    } else if start.get(257..262) == Some(b"ustar") {
        Form::Tar
    } else if kind.contains("layer") || kind.contains("diff.tar") {
        Form::Plain
    } else {
        Form::Document
    }
}
