//! [`rebuild`]: makes data volumes of sound columns, their own and others'.
//!
//! **Invariants.** Every byte of a target is written; what it is not made of is never read. Refused before the first byte where a column lacks
//! too much.
//!
//! *Not here:* whether what came out is the volume: its root and a check say that (the caller).

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt as _;

use super::code::Code;
use super::group::Group;
use super::survey::{State, Survey};
use super::{OnBytes, stopped};
use crate::error::{Error, Kind, Result};

/// Writes the data volumes of these numbers, from 1, into files that are as long as they must be afterwards.
pub fn rebuild(group: &mut Group, survey: &Survey, targets: &BTreeMap<u32, File>, on_bytes: &mut OnBytes<'_>) -> Result<()> {
    if !survey.lacking(group).is_empty() {
        let (worst, parity) = (survey.worst(), group.shape.parity);
        let text = format!("parity: a column lacks {worst} of its shards, and {parity} parity volumes heal {parity} at the most");
        return Err(Error::new(Kind::Missing, text));
    }
    let mut code = Code::new(group.shape.data, group.shape.parity)?;
    let slice_bytes = code.slice_bytes(group.shape.column_bytes);
    for (number, file) in targets {
        let bytes = group.content_bytes(number.saturating_sub(1));
        file.set_len(bytes).map_err(|error| failed(*number, &error))?;
    }
    for column in 0..group.shape.columns() {
        let range = group.shape.column(column);
        let mut at = range.start;
        while at < range.end {
            let end = at.saturating_add(slice_bytes).min(range.end);
            let mut work = Slice { group, survey, targets, column, range: at..end };
            work.copy()?;
            work.decode(&mut code)?;
            if let ControlFlow::Break(()) = on_bytes(end.saturating_sub(at)) {
                return Err(stopped());
            }
            at = end;
        }
    }
    Ok(())
}

/// A slice of a column.
struct Slice<'a> {
    group: &'a mut Group,
    survey: &'a Survey,
    targets: &'a BTreeMap<u32, File>,
    column: u64,
    range: Range<u64>,
}

impl Slice<'_> {
    fn bytes(&self) -> usize {
        usize::try_from(self.range.end.saturating_sub(self.range.start)).unwrap_or_default()
    }

    /// Copies what targets have themselves.
    fn copy(&mut self) -> Result<()> {
        let mut buffer = vec![0u8; self.bytes()];
        for (number, file) in self.targets {
            let shard = number.saturating_sub(1);
            if let State::In(holder) = self.survey.at(shard, self.column) {
                self.group.read(shard, holder, self.range.start, &mut buffer)?;
                put(self.group, *number, file, self.range.start, &buffer)?;
            }
        }
        Ok(())
    }

    /// Makes what they lack.
    fn decode(&mut self, code: &mut Code) -> Result<()> {
        let (survey, column, at) = (self.survey, self.column, self.range.start);
        let is_bad = |number: &&u32| survey.at(number.saturating_sub(1), column) == State::Bad;
        let bad: Vec<u32> = self.targets.keys().filter(is_bad).copied().collect();
        if bad.is_empty() {
            return Ok(());
        }
        let shape = self.group.shape;
        let sound = (0..shape.shards()).filter(|shard| survey.at(*shard, column) != State::Bad);
        let given: Vec<u32> = sound.take(usize::try_from(shape.data).unwrap_or(usize::MAX)).collect();
        let bytes = self.bytes();
        let (group, targets) = (std::cell::RefCell::new(&mut *self.group), self.targets);
        let mut read = |shard: u32, buffer: &mut [u8]| match survey.at(shard, column) {
            State::In(holder) => group.borrow_mut().read(shard, holder, at, buffer),
            State::Zero | State::Bad => {
                buffer.fill(0);
                Ok(())
            }
        };
        let mut write = |shard: u32, slice: &[u8]| {
            let number = shard.saturating_add(1);
            let file = targets.get(&number).filter(|_| bad.contains(&number));
            file.map_or(Ok(()), |file| put(&group.borrow(), number, file, at, slice))
        };
        code.decode(bytes, &given, &mut read, &mut write)
    }
}

/// Writes what of a slice is not beyond the end of the volume.
fn put(group: &Group, number: u32, file: &File, at: u64, slice: &[u8]) -> Result<()> {
    let there = group.content_bytes(number.saturating_sub(1)).saturating_sub(at);
    let content = slice.get(..usize::try_from(there).unwrap_or(usize::MAX).min(slice.len())).unwrap_or_default();
    file.write_all_at(content, at).map_err(|error| failed(number, &error))
}

fn failed(number: u32, error: &std::io::Error) -> Error {
    Error::new(Kind::Io(error.kind()), error.to_string()).in_volume(number)
}
