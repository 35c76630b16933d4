//! [`Samples`]: what a process took from time to time.

use std::fmt;

use crate::support::process::Watched;

/// Fewer samples than these say nothing.
const ENOUGH: usize = 100;
/// How much memory may come and go besides a tenth of it.
const SLACK_BYTES: u64 = 6 << 20;

/// Memory and descriptors of a process, in order of time.
#[derive(Debug, Default)]
pub(super) struct Samples {
    resident_bytes: Vec<u64>,
    descriptors: Vec<usize>,
}

impl Samples {
    pub(super) fn take(&mut self, process: Watched) {
        self.resident_bytes.push(process.resident_bytes());
        self.descriptors.push(process.descriptors());
    }

    /// Whether memory is at the end what it was after the first tenth of the time.
    pub(super) fn stays(&self) -> bool {
        let (first, last) = (self.median(1), self.median(9));
        self.resident_bytes.len() < ENOUGH || last <= first + first / 10 + SLACK_BYTES
    }

    /// The median of the memory in one tenth of the time.
    fn median(&self, tenth: usize) -> u64 {
        let part = self.resident_bytes.len() / 10;
        let mut these = self.resident_bytes.get(tenth * part..(tenth + 1) * part).unwrap_or_default().to_vec();
        these.sort_unstable();
        these.get(part / 2).copied().unwrap_or(0)
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let most = self.resident_bytes.iter().max().copied().unwrap_or(0);
        let tenths: Vec<String> = (0..10).map(|tenth| format!("{:.1}", mebibytes(self.median(tenth)))).collect();
        write!(f, "{} samples, memory by tenths {} MiB, at most {:.1} MiB", self.resident_bytes.len(), tenths.join(" "), mebibytes(most))?;
        write!(f, ", descriptors at most {}", self.descriptors.iter().max().unwrap_or(&0))
    }
}
