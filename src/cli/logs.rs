//! Lists that are too long for a message, written into the workspace.
//!
//! *Not here:* when a list is too long (`show`).

use std::fs;
use std::path::{Path, PathBuf};

use super::safe::safe;
use crate::error::{Error, Result};

/// Writes `lines` into a new file `WORKSPACE/logs/VERB-TIME.log` and answers its path. `now` is in seconds since 1970.
pub(super) fn write(workspace: &Path, verb: &str, now: u64, lines: &[String]) -> Result<PathBuf> {
    let folder = workspace.join("logs");
    fs::create_dir_all(&folder).map_err(|error| Error::io(folder.display(), &error))?;
    let time = i64::try_from(now).ok().and_then(|now| jiff::Timestamp::from_second(now).ok()).unwrap_or_default();
    let path = folder.join(format!("{verb}-{}.log", time.strftime("%Y%m%dT%H%M%SZ")));
    let text: String = lines.iter().map(|line| safe(line) + "\n").collect();
    fs::write(&path, text).map_err(|error| Error::io(path.display(), &error))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_named_after_verb_and_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = write(folder.path(), "sync", 1_700_000_000, &["a".into(), "b\n".into()]).expect("a log");
        assert!(path.ends_with("logs/sync-20231114T221320Z.log"), "{}", path.display());
        assert_eq!(fs::read_to_string(path).expect("text"), "a\nb\\n\n");
    }
}
