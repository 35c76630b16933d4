//! [`nameless`]: files that no name leads to, for what is kept for a while.
//!
//! **Invariants.** Nobody else can open such a file, and it is gone with the last who has it open, however that ends.
//!
//! *Not here:* files that stay (`durable`).

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file in `folder` that has no name there; one that loses its name at once where the file system knows no other.
pub(crate) fn nameless(folder: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options.clone().custom_flags(libc::O_TMPFILE).open(folder).or_else(|_| named_once(folder, options.create_new(true)))
}

fn named_once(folder: &Path, options: &OpenOptions) -> Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let path = folder.join(format!(".ocm-spool-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        match options.open(&path) {
            Ok(file) => return fs::remove_file(&path).map(|()| file),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn a_file_without_a_name_is_one_s_own_and_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let named = named_once(folder.path(), OpenOptions::new().read(true).write(true).mode(0o600).create_new(true));
        for file in [nameless(folder.path()).expect("a file"), named.expect("a file")] {
            file.write_all_at(b"kept", 0).expect("written");
            assert_eq!(file.metadata().expect("of it").permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::read_dir(folder.path()).expect("entries").count(), 0);
        }
        assert!(nameless(&folder.path().join("nowhere")).is_err());
    }
}
