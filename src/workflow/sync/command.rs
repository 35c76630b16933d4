//! [`Command`]: what is run for each finished volume: to burn it, to move it.
//!
//! **Invariants.** The command has the terminal: it reads from ours, and what it says goes to stderr, since stdout is for the
//! result. A file is let go only after its command has succeeded, and after it was noted
//! in the workspace that it is elsewhere (semantics G.4).

use std::path::Path;

use super::Request;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::store::archive::WrittenVolume;
use crate::workspace::{Released, ReleasedFile, Workspace};

/// A command of the shell, for the files of one set.
#[derive(Debug, Clone)]
pub(super) struct Command {
    /// What the shell runs.
    text: String,
    /// Whether the file is let go afterwards.
    release: bool,
    /// Where it is noted what was let go.
    workspace: Workspace,
    /// The set that this is about.
    set: Released,
}

impl Command {
    /// The command that a request names, if any, for the files of `set`.
    pub(super) fn of(request: &Request, workspace: &Workspace, set: Released) -> Option<Self> {
        let text = request.archive.on_volume.clone()?;
        Some(Self { text, release: request.archive.release, workspace: workspace.clone(), set })
    }

    /// Runs it for a finished volume; says whether its file is to be let go.
    pub(super) fn run(&self, volume: &WrittenVolume) -> Result<bool> {
        self.hand_over(&volume.path, true, (volume.number, volume.bytes, volume.sum))
    }

    /// Runs it for file `number` of the catalogue; says whether that was let go.
    pub(super) fn run_for_catalogue(&self, number: u32, path: &Path) -> Result<bool> {
        let content = std::fs::read(path).map_err(|error| Error::io(path.display(), &error))?;
        let gone = self.hand_over(path, false, (number, content.len() as u64, Digest::of(&content)))?;
        match gone.then(|| std::fs::remove_file(path)) {
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path.display(), &error)),
            _ => Ok(gone),
        }
    }

    /// Runs it; says whether the file is to be let go, or was moved away by the command itself, and notes that.
    fn hand_over(&self, path: &Path, data: bool, (number, bytes, sha256): (u32, u64, Digest)) -> Result<bool> {
        let absolute = std::path::absolute(path).map_err(|error| Error::io(path.display(), &error))?;
        let what = format!("the command for {}", path.display());
        let mut command = std::process::Command::new("/bin/sh");
        command.arg("-c").arg(format!("exec >&2; {}", self.text)).env("OCM_VOLUME", &absolute);
        command.env("OCM_VOLUME_KIND", if data { "volume" } else { "catalogue" });
        command.env("OCM_VOLUME_NUMBER", number.to_string());
        command.env("OCM_VOLUME_BYTES", bytes.to_string());
        command.env("OCM_VOLUME_SHA256", sha256.hex());
        let status = command.status().map_err(|error| Error::io(&what, &error))?;
        if !status.success() {
            return Err(Error::failed(format!("{what}: it ended with {status}"))
                .hint("mend what it lacked and run the same sync again: it goes on at this volume"));
        }
        let gone = self.release || !absolute.exists();
        if gone {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.workspace.release(&self.set, ReleasedFile { data, number, name, bytes, sha256 })?;
        }
        Ok(gone)
    }
}
