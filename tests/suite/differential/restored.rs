//! [`restored`]: what the programs make of an archive that lie in it and share no code with ocm.

use std::path::Path;

use crate::support::tools::Tool;

/// One of the two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// It has the encoder of zlib.
    Small,
    /// It has those in Go too.
    Gzip,
}

impl Script {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Small => "restore.py",
            Self::Gzip => "restore-gzip.py",
        }
    }
}

/// Restores an archive with layers that the program cannot make again; false where it cannot run here.
pub(super) fn restored(script: Script, archive: &Path, out: &Path) -> bool {
    let (Some(mut python), Some(_)) = (Tool::find("python3"), Tool::find("zstd")) else { return false };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("format").join(script.name());
    let output = python.arg(path).arg(archive).arg(out).output().expect("python3 runs");
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    true
}
