//! [`answer`]: the patch that a ticket asks for, made where the set is whole.
//!
//! **Invariants.** Each volume that bytes are taken from is checked first: a patch of damaged bytes would be carried in vain.
//!
//! *Not here:* what tickets and patches look like (`ocm_format::mend`).

use std::path::{Path, PathBuf};

use ocm_format::mend::{MAX_TICKET_BYTES, Ticket, Wanted, answer as write};
use ocm_format::set::SetFiles;
use serde::Serialize;

use super::super::copy::fault;
use super::super::shelf::Shelf;
use super::super::told;
use crate::durable::{folder_of, partial_of, sync_folder};
use crate::error::{Error, Result};

/// A patch that was made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The patch.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The set that it is for.
    pub set: String,
    /// Its generation.
    pub generation: u32,
    /// How many ranges it holds.
    pub ranges: usize,
    /// The bytes of volumes that it holds.
    pub content_bytes: u64,
}

/// Answers the ticket at `ticket` from the archive into `out`.
pub fn answer(ticket: &Path, shelf: &Shelf, out: &Path, threads: usize) -> Result<Answer> {
    let ticket = read(ticket)?;
    let id = ticket.set;
    let gone = || {
        Error::needed(format!("{}: set {} ({id}), which the ticket is of, is not here", shelf.path().display(), ticket.generation))
            .hint("name the archive directory that the set was written into")
    };
    let set = shelf.set(id).ok_or_else(gone)?;
    if out.exists() {
        return Err(Error::usage(format!("{}: it is there already", out.display())).hint("name a new file"));
    }
    check(&ticket, set, threads)?;
    let partial = partial_of(out);
    let entries = write(&ticket, set, &partial).map_err(|error| told(&error));
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            // What is left of it is of no use; that it cannot be removed adds nothing.
            let _ = std::fs::remove_file(&partial);
            return Err(error);
        }
    };
    let failed = |error: std::io::Error| Error::io(out.display(), &error);
    std::fs::rename(&partial, out).map_err(failed)?;
    sync_folder(folder_of(out))?;
    Ok(Answer {
        path: out.to_owned(),
        bytes: std::fs::metadata(out).map_err(failed)?.len(),
        set: id.to_string(),
        generation: ticket.generation,
        ranges: entries.len(),
        content_bytes: entries.iter().map(|entry| entry.range.end - entry.range.start).sum(),
    })
}

fn read(path: &Path) -> Result<Ticket> {
    let failed = |error: std::io::Error| Error::io(path.display(), &error);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MAX_TICKET_BYTES {
        return Err(Error::usage(format!("{}: it is no ticket", path.display())).hint("name the file that `ocm repair --ticket` wrote"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let ticket = Ticket::parse(&bytes);
    ticket.map_err(|error| told(&error.in_file(path)).hint("copy the ticket again from where it was written"))
}

/// Checks the volumes that are asked for, every byte.
fn check(ticket: &Ticket, set: &SetFiles, threads: usize) -> Result<()> {
    let is_asked = |number: u32| {
        let asks = |wanted: &Wanted| match wanted {
            Wanted::From { volume } => number >= *volume,
            Wanted::Range { volume, .. } | Wanted::Whole { volume } => number == *volume,
        };
        ticket.wanted.iter().any(asks)
    };
    for file in set.volumes.values().filter(|file| is_asked(file.header.number)) {
        if let Some(fault) = fault(&file.path, threads) {
            let text = format!("{}: volume {} is damaged here too: {}", file.path.display(), file.header.number, fault.text());
            return Err(Error::damaged(text).hint("repair it first, or answer from another copy of the set"));
        }
    }
    Ok(())
}
