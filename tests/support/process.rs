//! [`Watched`]: what another process takes, as Linux tells it.

use std::process::Child;

/// A running process.
#[derive(Debug, Clone, Copy)]
pub struct Watched(u32);

impl Watched {
    /// A child of ours.
    pub fn of(child: &Child) -> Self {
        Self(child.id())
    }

    /// The memory that it has now, in bytes.
    pub fn resident_bytes(self) -> u64 {
        self.bytes("VmRSS:")
    }

    /// The most memory that it had, in bytes.
    pub fn peak_bytes(self) -> u64 {
        self.bytes("VmHWM:")
    }

    /// How many files it has open.
    pub fn descriptors(self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.0)).expect("it runs").count()
    }

    fn bytes(self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line of it");
        line.split_whitespace().next().and_then(|kibibytes| kibibytes.parse::<u64>().ok()).expect("a number") << 10
    }
}
