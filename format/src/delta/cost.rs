//! [`Cost`]: what it takes to read something.
//!
//! *Not here:* how much is too much (`writer`).

/// What it takes to read something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// How deep the prefixes are of the frames that it lies in.
    pub depth: u8,
    /// How many frames must be opened for it, with those of their prefixes.
    pub frames: u64,
    /// How many references are followed for it, at about the most.
    pub steps: u64,
}

impl Cost {
    /// A frame that needs no other.
    pub const FRAME: Self = Self { depth: 0, frames: 1, steps: 0 };

    /// What this and `other` take together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            frames: self.frames.saturating_add(other.frames),
            steps: self.steps.saturating_add(other.steps),
        }
    }

    /// The same with so many references more.
    #[must_use]
    pub fn after(self, steps: u64) -> Self {
        Self { steps: self.steps.saturating_add(steps), ..self }
    }
}
