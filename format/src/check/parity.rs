//! What a parity volume says, held against itself and its set.
//!
//! **Invariants.** A parity volume that is found sound can be read by its own header alone.
//!
//! *Not here:* the hashes of its members (`walk`), and whether it rebuilds anything (`crate::parity`).

use crate::digest::Digest;
use crate::error::{Error, Result, cap};
use crate::index::MemberKind;
use crate::layout::{PARITY_OFFSET, ParityHeader};
use crate::parity::{HASHES, Shape, shard_name};
use crate::tar;
use crate::volume::Volume;

/// Where the tar header of `OCM.PARITY` stands.
const TAR_HEADER_OFFSET: u64 = PARITY_OFFSET.saturating_sub(tar::BLOCK);

/// Whether a member of a parity volume may be called so.
pub(super) fn is_name(name: &str) -> bool {
    let number = name.strip_prefix("parity/").and_then(|rest| rest.strip_suffix(".shard")).and_then(|digits| digits.parse().ok());
    matches!(name, "OCM.PARITY" | HASHES) || number.is_some_and(|number| number > 0 && shard_name(number) == name)
}

/// Whether header, members and set agree; `root` is that of the set, where it is known.
pub(super) fn agrees(volume: &Volume, root: Option<Digest>) -> Result<()> {
    let wrong = |why: &str| Err(volume.placed(Error::damaged(format!("OCM.PARITY: {why}")).at(PARITY_OFFSET)));
    let members = volume.members().collect::<Result<Vec<_>>>()?;
    let parity: Vec<_> = members.iter().filter(|member| member.kind == MemberKind::Parity).collect();
    let Some(first) = parity.first().filter(|first| (first.name.as_str(), first.offset) == ("OCM.PARITY", TAR_HEADER_OFFSET)) else {
        return wrong("it does not stand where it must");
    };
    let content = volume.read_vec(PARITY_OFFSET, cap(first.bytes, ParityHeader::most_bytes(), "OCM.PARITY")?)?;
    let header = ParityHeader::decode(&content).map_err(|error| volume.placed(error.at(PARITY_OFFSET)))?;
    let shape = Shape::of(&header);
    if header.set != volume.header().set || volume.number() > header.parity {
        return wrong("it is of another set, or has no volume of this number");
    }
    if root.is_some_and(|root| root != header.set_root) {
        return wrong("it is of a set with another root");
    }
    let found = parity.iter().skip(1).map(|member| (member.name.clone(), member.offset, member.bytes));
    let table = (HASHES.to_owned(), shape.table_offset(), shape.table_bytes());
    if found.eq(expected(&shape).chain([table])) { Ok(()) } else { wrong("the members are not those that it tells of") }
}

/// The members that the shard is in.
fn expected(shape: &Shape) -> impl Iterator<Item = (String, u64, u64)> {
    let mut offset = shape.shard_offset();
    shape.members().zip(1..).map(move |(bytes, number)| {
        let here = offset;
        offset = offset.saturating_add(tar::member_bytes(bytes));
        (shard_name(number), here, bytes)
    })
}
