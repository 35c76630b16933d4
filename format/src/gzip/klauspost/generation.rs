//! [`Generation`]: which releases of `klauspost/compress` write the same bytes at level 5, and what tells them apart.
//!
//! **Invariants.** The number of a generation never changes, and is never given to another: archives hold it.
//!
//! *Not here:* what the rules are for (`search`, `block`, `literal`, `estimate`).

/// Releases of `klauspost/compress` that write the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// 1.14.0 to 1.14.2.
    K7,
    /// 1.14.3 and 1.14.4.
    K7a,
    /// 1.15.0 to 1.15.9.
    K8a,
    /// 1.15.10 to 1.18.0.
    K8,
    /// 1.18.1, which was withdrawn.
    K9a,
    /// From 1.18.2 on, at least up to 1.19.1.
    K9,
}

/// What the search does when it found a copy that is not long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    None,
    /// Tries another distance for the whole copy.
    Whole,
    /// Tries another distance, and leaves out the first two bytes of the copy.
    Skips,
}

/// What a generation does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The tables of the search have two to this power of entries.
    pub(super) table_bits: u32,
    pub(super) tail: Tail,
    /// Copies longer than 258 bytes begin with 255 bytes, whatever is left.
    pub(super) splits_early: bool,
    /// Whether headers in the middle of a piece end with the last symbol that occurs, and have a distance.
    pub(super) trims: bool,
    /// Whether sizes of blocks in the middle of a piece count their end.
    pub(super) counts_end: bool,
    /// Fixed codes are tried for blocks of less tokens.
    pub(super) fixed_below: usize,
    /// Whether bytes that look random are stored without trying.
    pub(super) tests_noise: bool,
}

impl Generation {
    /// All of them, from the oldest to the newest.
    pub const ALL: [Self; 6] = [Self::K7, Self::K7a, Self::K8a, Self::K8, Self::K9a, Self::K9];

    pub(super) fn rules(self) -> Rules {
        let newest = Rules {
            table_bits: 15,
            tail: Tail::Skips,
            splits_early: false,
            trims: true,
            counts_end: true,
            fixed_below: 250,
            tests_noise: true,
        };
        let k9a = Rules { counts_end: false, ..newest };
        let k8 = Rules { trims: false, ..k9a };
        let k8a = Rules { tail: Tail::Whole, ..k8 };
        let k7a = Rules { splits_early: true, ..k8a };
        let k7 = Rules { fixed_below: usize::MAX, tests_noise: false, ..k7a };
        match self {
            Self::K9 => newest,
            Self::K9a => k9a,
            Self::K8 => k8,
            Self::K8a => k8a,
            Self::K7a => k7a,
            Self::K7 => k7,
        }
    }
}
