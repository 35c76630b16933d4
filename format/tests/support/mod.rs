//! What a test begins with that writes a set: bytes, and a head, options and an end that mean nothing. Where one of these shall mean
//! something, the test says so over it: `Options { cap, ..options(folder) }`.

#![allow(dead_code, reason = "each test takes what it needs of it")]

use std::collections::BTreeMap;
use std::path::Path;

use ocm_format::digest::Digest;
use ocm_format::layout::Id;
use ocm_format::set::{Lineage, Needs};
use ocm_format::writer::{Closing, Form, Head, NewBlob, Options};

/// Bytes that do not compress (xorshift).
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = state_of(seed);
    (0..bytes.div_ceil(8)).flat_map(|_| next(&mut state).to_le_bytes()).take(bytes).collect()
}

/// Bytes of which every `run` come twice, so that some of it compresses.
pub(crate) fn noise_twice(seed: u64, bytes: usize, run: usize) -> Vec<u8> {
    let (mut state, mut out) = (state_of(seed), Vec::with_capacity(bytes + run));
    while out.len() < bytes {
        let start = out.len();
        out.extend((0..run).map(|_| next(&mut state) as u8));
        out.extend_from_within(start..);
    }
    out.truncate(bytes);
    out
}

fn state_of(seed: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// The next of a row of numbers that looks random.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The first generation of a lineage, as set `id`.
pub(crate) fn head(id: u8) -> Head {
    let lineage = Lineage { id: Id([2; 16]), name: "lab".into() };
    Head { set: Id([id; 16]), lineage, generation: 1, time: 1_700_000_000, parent: None }
}

/// Small volumes and frames, on one thread.
pub(crate) fn options(folder: &Path) -> Options {
    Options {
        folder: folder.into(),
        scratch: folder.join(".ocm"),
        cap: 64 << 10,
        frame_bytes: 16 << 10,
        level: 3,
        threads: 1,
        index_bytes: 1 << 20,
        own_version_bytes: None,
        reserve_bytes: 0,
    }
}

/// A set that lists nothing and needs nothing.
pub(crate) fn closing() -> Closing {
    Closing {
        items: "[]".parse().expect("canonical"),
        options: "{}".parse().expect("canonical"),
        ancestors: Vec::new(),
        needs: Needs::default(),
        oci_layout: br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        index_json: br#"{"schemaVersion":2,"manifests":[]}"#.to_vec(),
        writer: "test".into(),
        catalogue: None,
        listed: Default::default(),
    }
}

pub(crate) fn new_blob(form: Form, content: &[u8]) -> NewBlob {
    NewBlob { digest: Digest::of(content), bytes: content.len() as u64, form, note: String::new() }
}

/// The files of a folder and their content.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.path().is_file());
    files.map(|entry| (entry.file_name().into_string().expect("a name"), std::fs::read(entry.path()).expect("content"))).collect()
}
