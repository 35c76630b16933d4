//! Opens an archive and reads all of its blobs from front to back on one thread, checked; says how long that took.
//!
//! `read ARCHIVE` prints one line of JSON: `{"open_ms":…,"blobs":…,"mb_per_second":…}`. Called by `make bench`.
//!
//! *Not here:* comparisons (`benches/` of the workspace).
#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints what it measured")]

use std::path::PathBuf;
use std::time::Instant;

use ocm_format::error::{Error, Kind, Result};
use ocm_format::reader::{Options, Reader};
use ocm_format::set;

fn main() -> Result<()> {
    // `cargo bench` and `cargo test` pass options of their own.
    let Some(archive) = std::env::args().skip(1).find(|argument| !argument.starts_with('-')) else { return Ok(()) };
    let begun = Instant::now();
    let found = set::scan(&PathBuf::from(&archive))?;
    let reader = Reader::open(&found.sets, Options::default());
    let open = begun.elapsed();
    let (begun, mut blobs, mut bytes) = (Instant::now(), 0u64, 0usize);
    for volume in found.sets.iter().flat_map(|set| reader.volumes(set.id())) {
        for row in volume.blobs() {
            let mut stream = reader.stream(&row?.digest)?;
            while let Some(chunk) = stream.next_chunk()? {
                bytes += chunk.len();
            }
            blobs += 1;
        }
    }
    if blobs == 0 {
        return Err(Error::new(Kind::Missing, format!("{archive}: there is no archive here")));
    }
    let rate = bytes as f64 / begun.elapsed().as_secs_f64() / 1e6;
    println!("{{\"open_ms\":{:.3},\"blobs\":{blobs},\"mb_per_second\":{rate:.1}}}", open.as_secs_f64() * 1e3);
    Ok(())
}
