//! [`Command`]: what is run for each finished volume: to burn it, to move it.
//!
//! **Invariants.** The command has the terminal. A volume is let go only after its command has succeeded.

use std::path::Path;

use crate::error::{Error, Result};
use crate::store::archive::WrittenVolume;

/// A command of the shell.
#[derive(Debug, Clone)]
pub(super) struct Command {
    /// What the shell runs.
    pub(super) text: String,
    /// Whether the file is let go afterwards.
    pub(super) release: bool,
}

impl Command {
    /// Runs it for a finished volume; says whether its file is to be let go.
    pub(super) fn run(&self, volume: &WrittenVolume) -> Result<bool> {
        let variables = [
            ("OCM_VOLUME_NUMBER", volume.number.to_string()),
            ("OCM_VOLUME_BYTES", volume.bytes.to_string()),
            ("OCM_VOLUME_SHA256", volume.sum.hex()),
        ];
        self.run_for(&volume.path, "volume", &variables).map(|()| self.release)
    }

    /// Runs it for a file of the catalogue; says whether that was let go.
    pub(super) fn run_for_catalogue(&self, path: &Path) -> Result<bool> {
        self.run_for(path, "catalogue", &[])?;
        if self.release {
            std::fs::remove_file(path).map_err(|error| Error::io(path.display(), &error))?;
        }
        Ok(self.release)
    }

    fn run_for(&self, path: &Path, kind: &str, variables: &[(&str, String)]) -> Result<()> {
        let what = format!("the command for {}", path.display());
        let mut command = std::process::Command::new("/bin/sh");
        command.arg("-c").arg(&self.text).env("OCM_VOLUME", path).env("OCM_VOLUME_KIND", kind);
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        let status = command.status().map_err(|error| Error::io(&what, &error))?;
        if !status.success() {
            return Err(Error::failed(format!("{what}: it ended with {status}"))
                .hint("mend what it lacked and run the same sync again: it goes on at this volume"));
        }
        Ok(())
    }
}
