//! [`named`]: what SET.json calls the features of a volume that this version cannot read.
//!
//! **Invariants.** Little is read, nothing of it is relied on, and what comes of it is for people: such a volume is refused whatever its
//! SET.json says.
//!
//! *Not here:* which features this version has (`layout`).

use std::fs::File;

use crate::layout::{FIXED_BYTES, FOOTER_FROM_END, Footer};
use crate::volume::read_exact;

/// Keys of SET.json are in order, and those before `features` are short: it begins in these bytes or there is none.
const BEGINNING_BYTES: u64 = 64 << 10;
/// So many names are told, and so much of each.
const MOST_NAMES: usize = 8;
const MOST_NAME_CHARS: usize = 60;

/// The names of the features of the volume in `file`, where its SET.json has any.
pub(crate) fn named(file: &File, file_bytes: u64) -> Option<String> {
    let mut footer = [0u8; FIXED_BYTES];
    read_exact(file, file_bytes.checked_sub(FOOTER_FROM_END)?, &mut footer).ok()?;
    let footer = Footer::decode(&footer).ok()?;
    let mut beginning = vec![0u8; usize::try_from(footer.set_json_bytes.min(BEGINNING_BYTES)).ok()?];
    read_exact(file, footer.set_json_offset, &mut beginning).ok()?;
    let text = String::from_utf8_lossy(&beginning);
    let (_, features) = text.split_once("\"features\":")?;
    let names: Vec<String> = serde_json::Deserializer::from_str(features).into_iter().next()?.ok()?;
    let short = |name: &String| format!("{:?}", name.chars().take(MOST_NAME_CHARS).collect::<String>());
    let names: Vec<String> = names.iter().take(MOST_NAMES).map(short).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
