//! [`Survey`]: which columns of which shards are sound, and where.
//!
//! **Invariants.** A column is sound where its hash is the one of a sound row. Where no volume has a sound row, what can be read is taken for
//! sound, and the column is told as blind: only a check of the volume decides then. What is kept are runs, not columns.
//!
//! *Not here:* making lost columns (`rebuild`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};

use super::group::Group;
use super::{Hash, OnBytes, stopped};
use crate::digest::Hasher;
use crate::error::Result;

/// How much of a column is read at once.
const PIECE_BYTES: u64 = 1 << 20;

/// Where a column of a shard is had from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nowhere.
    Bad,
    /// It is beyond the end of its volume.
    Zero,
    /// From this holder.
    In(usize),
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// The runs of each shard: up to which column they reach.
    runs: Vec<Vec<(u64, State)>>,
    data: u32,
    parity: u32,
    /// Columns that no sound row of hashes tells of.
    pub blind: Vec<Range<u64>>,
}

/// Bytes of a data volume that are to be brought, so that the rest can be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The number of the volume, from 1.
    pub volume: u32,
    /// Its bytes.
    pub range: Range<u64>,
}

impl Group {
    /// Reads all shards and holds them against the hashes.
    pub fn survey(&mut self, on_bytes: &mut OnBytes<'_>) -> Result<Survey> {
        let shards = usize::try_from(self.shape.shards()).unwrap_or_default();
        let mut survey = Survey { runs: vec![Vec::new(); shards], data: self.shape.data, parity: self.shape.parity, blind: Vec::new() };
        for column in 0..self.shape.columns() {
            let row = self.row(column);
            if row.is_none() {
                push_range(&mut survey.blind, column);
            }
            for shard in 0..self.shape.shards() {
                let hash = row.as_ref().and_then(|row| row.get(usize::try_from(shard).ok()?));
                let (state, bytes) = self.state(shard, column, hash);
                survey.push(shard, column, state);
                if let ControlFlow::Break(()) = on_bytes(bytes) {
                    return Err(stopped());
                }
            }
        }
        Ok(survey)
    }

    /// Where a column is sound, and how many bytes were read for that.
    fn state(&mut self, shard: u32, column: u64, expected: Option<&Hash>) -> (State, u64) {
        let bytes = self.content_bytes(shard);
        if column >= self.shape.columns_of(bytes) {
            return (State::Zero, 0);
        }
        let range = self.shape.column(column);
        let holders = usize::try_from(shard).ok().and_then(|shard| self.holders.get(shard)).map_or(0, Vec::len);
        let mut read = 0u64;
        for holder in 0..holders {
            read = read.saturating_add(range.end.saturating_sub(range.start));
            let found = self.hash(shard, holder, range.clone());
            if found.is_ok_and(|found| expected.is_none_or(|expected| found == *expected)) {
                return (State::In(holder), read);
            }
        }
        (State::Bad, read)
    }

    fn hash(&mut self, shard: u32, holder: usize, range: Range<u64>) -> Result<Hash> {
        let mut buffer = vec![0u8; usize::try_from(range.end.saturating_sub(range.start).min(PIECE_BYTES)).unwrap_or_default()];
        let (mut hasher, mut at) = (Hasher::sha256(), range.start);
        while at < range.end {
            let most = usize::try_from(range.end.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
            let piece = buffer.get_mut(..most).unwrap_or_default();
            self.read(shard, holder, at, piece)?;
            hasher.update(piece);
            at = at.saturating_add(crate::codec::length(piece));
        }
        Ok(truncated(hasher))
    }
}

/// The hash of a column.
pub(super) fn truncated(hasher: Hasher) -> Hash {
    hasher.finish().bytes().first_chunk().copied().unwrap_or_default()
}

impl Survey {
    fn push(&mut self, shard: u32, column: u64, state: State) {
        let Some(runs) = usize::try_from(shard).ok().and_then(|shard| self.runs.get_mut(shard)) else { return };
        let end = column.saturating_add(1);
        match runs.last_mut() {
            Some((until, last)) if *last == state => *until = end,
            _ => runs.push((end, state)),
        }
    }

    /// Where a column of a shard is had from.
    pub(super) fn at(&self, shard: u32, column: u64) -> State {
        let runs = usize::try_from(shard).ok().and_then(|shard| self.runs.get(shard)).map(Vec::as_slice).unwrap_or_default();
        let at = runs.partition_point(|(until, _)| *until <= column);
        runs.get(at).map_or(State::Bad, |(_, state)| *state)
    }

    /// The numbers of the data volumes that are damaged or not here.
    #[must_use]
    pub fn damaged(&self) -> Vec<u32> {
        self.bad_shards(0..self.data).map(|shard| shard.saturating_add(1)).collect()
    }

    /// The numbers of the parity volumes whose shards are damaged or not here.
    #[must_use]
    pub fn damaged_parity(&self) -> Vec<u32> {
        let all = self.data.saturating_add(self.parity);
        self.bad_shards(self.data..all).map(|shard| shard.saturating_sub(self.data).saturating_add(1)).collect()
    }

    fn bad_shards(&self, shards: Range<u32>) -> impl Iterator<Item = u32> + use<'_> {
        let is_bad = |shard: &u32| {
            let runs = usize::try_from(*shard).ok().and_then(|shard| self.runs.get(shard));
            runs.is_some_and(|runs| runs.iter().any(|(_, state)| *state == State::Bad))
        };
        shards.filter(is_bad)
    }

    /// The most shards that one column lacks.
    #[must_use]
    pub fn worst(&self) -> u32 {
        self.stretches().iter().map(|(_, bad)| u32::try_from(bad.len()).unwrap_or(u32::MAX)).max().unwrap_or(0)
    }

    /// What is to be brought of data volumes: nothing where all of them can be rebuilt.
    #[must_use]
    pub fn lacking(&self, group: &Group) -> Vec<Lacking> {
        let mut wanted: BTreeMap<u32, Vec<Range<u64>>> = BTreeMap::new();
        let parity = usize::try_from(self.parity).unwrap_or(usize::MAX);
        for (columns, bad) in self.stretches() {
            for shard in bad.iter().filter(|shard| **shard < self.data).take(bad.len().saturating_sub(parity)) {
                let begin = group.shape.column(columns.start).start;
                let end = group.shape.column(columns.end.saturating_sub(1)).end.min(group.content_bytes(*shard));
                let ranges = wanted.entry(*shard).or_default();
                match ranges.last_mut() {
                    Some(last) if last.end == begin => last.end = end,
                    _ => ranges.push(begin..end),
                }
            }
        }
        let lacking = |(shard, ranges): (u32, Vec<Range<u64>>)| {
            ranges.into_iter().map(move |range| Lacking { volume: shard.saturating_add(1), range })
        };
        wanted.into_iter().flat_map(lacking).collect()
    }

    /// Stretches of columns with the shards that they lack, where they lack any.
    fn stretches(&self) -> Vec<(Range<u64>, Vec<u32>)> {
        let ends: BTreeSet<u64> = self.runs.iter().flatten().map(|(until, _)| *until).collect();
        let (mut begin, mut found) = (0, Vec::new());
        for end in ends {
            let all = 0..self.data.saturating_add(self.parity);
            let bad: Vec<u32> = all.filter(|shard| self.at(*shard, begin) == State::Bad).collect();
            if !bad.is_empty() {
                found.push((begin..end, bad));
            }
            begin = end;
        }
        found
    }
}

fn push_range(ranges: &mut Vec<Range<u64>>, column: u64) {
    match ranges.last_mut() {
        Some(last) if last.end == column => last.end = column.saturating_add(1),
        _ => ranges.push(column..column.saturating_add(1)),
    }
}
