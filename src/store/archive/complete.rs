//! [`complete`]: the last steps of a set that an interrupted run has finished all but for.
//!
//! **Invariants.** The catalogue says what the last volume says, with the signature that stands there.
//!
//! *Not here:* which set that is (`workflow`), sets in the making (`sink`), its parity (`parity`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocm_format::writer::{Closing, Options, Seal};

use super::gzip::GzipShare;
use super::packing::Packing;
use super::sink::{HandOver, Stopped, Written, cause, handing, written};
use super::source::SetFacts;
use super::{SCRATCH, document, told};
use crate::error::Result;

/// Does what an interrupted run has left to be done for a set whose last volume has its name: the catalogue, and handing over
/// what was not. `None` where nothing is left.
pub fn complete(folder: &Path, set: &SetFacts, catalogue: PathBuf, on_volume: HandOver) -> Result<Option<Written>> {
    let manifest = set.manifest.clone();
    let options = Options {
        folder: folder.to_owned(),
        scratch: folder.join(SCRATCH),
        cap: manifest.cap,
        frame_bytes: Packing::default().frame_bytes,
        level: 1,
        threads: 1,
        index_bytes: 0,
        own_version_bytes: None,
        reserve_bytes: 0,
    };
    let closing = Closing {
        items: manifest.items.clone(),
        options: manifest.options.clone(),
        ancestors: manifest.ancestors.clone(),
        needs: manifest.needs,
        oci_layout: document::OCI_LAYOUT.to_vec(),
        index_json: document::index_json(&set.contents)?,
        writer: manifest.writer.clone(),
        catalogue: Some(catalogue),
        listed: BTreeSet::new(),
    };
    let seal = set.signature.clone().map_or(Seal::None, Seal::Kept);
    let stopped = Stopped::default();
    let done = ocm_format::writer::complete(manifest, &closing, seal, options, handing(on_volume, Arc::clone(&stopped)));
    let done = done.map_err(|error| cause(&stopped, told(&error)))?;
    Ok(done.map(|finished| written(finished, set.contents.clone(), 0, GzipShare::default())))
}
