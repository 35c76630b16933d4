//! The command line of oc-mirror, as it is read.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use super::arguments::{Asked, Mirror, parse};
use super::way::{Mode, Way};
use super::*;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn mirror(line: &str) -> Box<Mirror> {
    match parse(&words(line)) {
        Ok(Asked::Mirror(mirror)) => mirror,
        Ok(_) => panic!("{line}: it is something else"),
        Err(error) => panic!("{line}: {error}"),
    }
}

#[test]
fn the_name_is_that_of_the_program_or_the_first_word() {
    for (line, rest) in [
        ("/usr/bin/oc-mirror --v2 x", Some("--v2 x")),
        ("oc-mirror", Some("")),
        ("ocm oc-mirror --v2", Some("--v2")),
        ("ocm sync oc-mirror", None),
        ("/opt/oc-mirror/ocm sync", None),
        ("ocm", None),
    ] {
        assert_eq!(meant(&words(line)).map(<[_]>::to_vec), rest.map(words), "{line}");
    }
}

#[test]
fn flags_stand_before_and_after_arguments_in_all_forms_of_go() {
    for line in [
        "-c isc.yaml file://disk --v2",
        "--v2 file://disk --config=isc.yaml",
        "file://disk --config isc.yaml --v2=true --strict-archive=false",
        "-c=isc.yaml --dest-tls-verify=false file://disk",
    ] {
        let mirror = mirror(line);
        assert_eq!(mirror.sync.config, [PathBuf::from("isc.yaml")], "{line}");
        assert_eq!(mirror.sync.places.len(), 1, "{line}");
    }
    assert!(!mirror("-c i file://d --dry-run=false").sync.dry_run && mirror("-c i file://d --dry-run").sync.dry_run);
}

#[test]
fn places_are_where_oc_mirror_has_them() {
    let disk = |path: &str| Mode::MirrorToDisk(path.into());
    for (line, mode, working_dir) in [
        ("-c i file:///mnt/disk", disk("/mnt/disk"), "/mnt/disk/working-dir"),
        ("-c i file://rel", disk("rel"), "rel/working-dir"),
        ("-c i --from file:///mnt/disk docker://reg", Mode::DiskToMirror("/mnt/disk".into()), "/mnt/disk/working-dir"),
        ("-c i --from /mnt/disk docker://reg/", Mode::DiskToMirror("/mnt/disk".into()), "/mnt/disk/working-dir"),
        ("-c i --from d docker://reg --workspace file://ws", Mode::DiskToMirror("d".into()), "ws/working-dir"),
        ("-c i --workspace file://ws docker://reg/ns", Mode::MirrorToMirror, "ws/working-dir"),
        ("-c i --workspace file:///x/working-dir docker://reg", Mode::MirrorToMirror, "/x/working-dir"),
        ("-c i --workspace ws file://d", disk("d"), "ws/working-dir"),
    ] {
        let way = Way::of(&mirror(line)).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!((way.mode, way.working_dir), (mode, PathBuf::from(working_dir)), "{line}");
    }
}

#[test]
fn as_many_blobs_move_at_once_as_images_and_their_layers_may() {
    for (flags, jobs) in [
        ("", None),
        ("--parallel-images 2", Some(10)),
        ("--parallel-layers 3", Some(12)),
        ("--parallel-images 10 --parallel-layers 10", Some(100)),
    ] {
        assert_eq!(mirror(&format!("-c i file://d {flags}")).jobs(), jobs, "{flags}");
    }
}

#[test]
fn retries_are_those_of_oc_mirror_unless_said() {
    assert_eq!(mirror("-c i file://d").sync.means().wire.retry_times, 5);
    assert_eq!(mirror("-c i file://d --retry-times 1").sync.means().wire.retry_times, 1);
}

#[test]
fn every_flag_of_oc_mirror_is_taken() {
    // oc-mirror behaviour, persistent flags and flags of the root command.
    let values = "authfile cache-dir config dest-authfile dest-cert-dir dest-compress-format dest-compress-level dest-creds dest-daemon-host \
                  dest-password dest-registry-token dest-shared-blob-dir dest-username from image-timeout log-level max-nested-paths \
                  parallel-images parallel-layers policy port registries.d retry-delay retry-times rootless-storage-path since src-authfile \
                  src-cert-dir src-creds src-daemon-host src-password src-registry-token src-shared-blob-dir src-username workspace";
    let switches = "cpu-prof dest-compress dest-decompress dest-no-creds dest-oci-accept-uncompressed-layers dest-precompute-digests \
                    dest-tls-verify dry-run dry-run-manifest-lists force help ignore-release-signature mem-prof quiet remove-signatures \
                    secure-policy src-no-creds src-tls-verify strict-archive tls-verify v1 v2 version";
    let known: BTreeSet<String> = arguments::names();
    let missing: Vec<&str> = values.split_whitespace().chain(switches.split_whitespace()).filter(|flag| !known.contains(*flag)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
