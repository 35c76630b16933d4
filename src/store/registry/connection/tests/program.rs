//! Puts a credential helper in place for a test.

use std::path::Path;
use std::process::Command;

/// Makes `text` the program `docker-credential-test` in `dir`.
///
/// Another process writes it: a file that this process has open for writing, in any thread that just forks, cannot be
/// run.
pub(crate) fn install(dir: &Path, text: &str) {
    let draft = dir.join("draft");
    std::fs::write(&draft, text).expect("a draft");
    let copied = Command::new("install").args(["-m", "755"]).arg(&draft).arg(dir.join("docker-credential-test")).status();
    assert!(copied.expect("install(1) is part of every system").success());
}
