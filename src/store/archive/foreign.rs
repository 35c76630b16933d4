//! [`foreign`]: archives of oc-mirror in a directory: what they are is known, and they are never touched from here.
//!
//! **Invariants.** They are known by their content, not by their names alone (semantics A.14). A file that cannot be read is none.
//!
//! *Not here:* moving them aside (`workflow::mirror_tars`).

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ocm_format::set::looks_like_a_volume;

/// The first entries of an archive of oc-mirror are below one of these (oc-mirror behaviour, archives).
const ROOTS: [&str; 3] = ["docker/registry/v2/", "working-dir/", "isc_"];

/// Where a tar has its magic.
const MAGIC_AT: u64 = 257;

/// Whether this is a name that oc-mirror gives its archives: `mirror_000001.tar`.
#[must_use]
pub fn is_mirror_name(name: &str) -> bool {
    let number = name.strip_prefix("mirror_").and_then(|rest| rest.strip_suffix(".tar"));
    number.is_some_and(|number| number.len() == 6 && number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The archives of oc-mirror in a directory, in order; none where it cannot be read.
#[must_use]
pub fn foreign(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let named = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(is_mirror_name);
    let mut found: Vec<PathBuf> = paths.filter(named).filter(|path| is_of_oc_mirror(path)).collect();
    found.sort();
    found
}

fn is_of_oc_mirror(path: &Path) -> bool {
    let (mut name, mut magic) = ([0; 100], [0; 5]);
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let read = |file: File| file.read_exact_at(&mut name, 0).and_then(|()| file.read_exact_at(&mut magic, MAGIC_AT));
    let is_tar = is_file && File::open(path).and_then(read).is_ok() && &magic == b"ustar";
    is_tar && !looks_like_a_volume(path) && ROOTS.iter().any(|root| name.starts_with(root.as_bytes()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The first block of a tar whose first entry has this name.
    pub(crate) fn tar(first: &str) -> Vec<u8> {
        let mut block = vec![0; 1024];
        block[..first.len()].copy_from_slice(first.as_bytes());
        block[257..262].copy_from_slice(b"ustar");
        block
    }

    #[test]
    fn archives_of_oc_mirror_are_known_by_name_and_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (name, bytes) in [
            ("mirror_000002.tar", tar("working-dir/logs/oc-mirror.log")),
            ("mirror_000001.tar", tar("docker/registry/v2/repositories/a/_layers/link")),
            ("mirror_000003.tar", tar("etc/passwd")),
            ("mirror_000004.tar", b"text".to_vec()),
            ("mirror_000001.tar.bak", tar("working-dir/x")),
            ("old_mirror_000001.tar", tar("working-dir/x")),
            ("mirror_00001.tar", tar("working-dir/x")),
        ] {
            fs::write(at(name), bytes).expect("written");
        }
        fs::create_dir(at("mirror_000009.tar")).expect("a folder");
        assert_eq!(foreign(folder.path()), [at("mirror_000001.tar"), at("mirror_000002.tar")]);
        assert!(foreign(&at("nowhere")).is_empty());
    }
}
