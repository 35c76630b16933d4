//! Hostile bytes for every reader of ocm: one function a reader, which must neither panic nor take memory by an
//! unchecked length, whatever it is given.
//!
//! **Invariants.** A target that accepts bytes checks what acceptance promises: what was decoded encodes to the same
//! bytes again, what was cut is put together again. An error is always a right answer.
//!
//! *Not here:* the mutation of seeds (`tests/targets.rs` for every run of the tests, libFuzzer for long runs).

pub mod archive;
pub mod configuration;
pub mod mending;
pub mod names;
pub mod network;
pub mod sealed;
pub mod structures;
pub mod trust;

/// A reader under attack.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What a person calls it: `OCM_FUZZ_TARGET=NAME cargo fuzz run target --features libfuzzer`.
    pub name: &'static str,
    /// Reads these bytes.
    pub run: fn(&[u8]),
    /// Sound inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 30] = [
    Target { name: "header", run: structures::header, seeds: structures::headers },
    Target { name: "footer", run: structures::footer, seeds: structures::footers },
    Target { name: "frame-header", run: structures::frame_header, seeds: structures::frame_headers },
    Target { name: "frame", run: structures::frame, seeds: structures::frames },
    Target { name: "record", run: structures::record, seeds: structures::records },
    Target { name: "set-json", run: structures::set_json, seeds: structures::set_jsons },
    Target { name: "layer", run: structures::layer, seeds: structures::layers },
    Target { name: "tree", run: structures::tree, seeds: structures::layers },
    Target { name: "volume", run: archive::volume, seeds: archive::volumes },
    Target { name: "salvage", run: archive::salvaged, seeds: archive::cut_volumes },
    Target { name: "sealed", run: sealed::sealed, seeds: sealed::seeds },
    Target { name: "records", run: structures::rec, seeds: structures::recs },
    Target { name: "directory", run: structures::directory, seeds: structures::directories },
    Target { name: "index-block", run: structures::index_block, seeds: structures::index_blocks },
    Target { name: "gzip", run: structures::gzip, seeds: structures::gzips },
    Target { name: "parity-header", run: mending::parity_header, seeds: mending::parity_headers },
    Target { name: "parity-volume", run: mending::parity_volume, seeds: mending::parity_volumes },
    Target { name: "ticket", run: mending::ticket, seeds: mending::tickets },
    Target { name: "patch", run: mending::patch, seeds: mending::patches },
    Target { name: "manifest", run: names::manifest, seeds: names::manifests },
    Target { name: "name", run: names::name, seeds: names::names },
    Target { name: "configuration", run: configuration::configuration, seeds: configuration::configurations },
    Target { name: "registries-conf", run: configuration::registries_conf, seeds: configuration::registries_confs },
    Target { name: "challenge", run: network::challenge, seeds: network::challenges },
    Target { name: "request", run: network::request, seeds: network::requests },
    Target { name: "policy", run: trust::policy, seeds: trust::policies },
    Target { name: "openpgp", run: trust::openpgp, seeds: trust::openpgps },
    Target { name: "minisign", run: trust::minisign, seeds: trust::minisigns },
    Target { name: "minisign-key", run: trust::minisign_key, seeds: trust::minisign_keys },
    Target { name: "trust-file", run: trust::trust_file, seeds: trust::trust_files },
];
