//! [`Level`]: how hard to look for matches, as zlib and GNU gzip both have it.
//!
//! *Not here:* level 0, which looks for none.

/// Limits of the search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level {
    /// With a match of this length in hand, only a quarter of the chain is walked.
    pub(crate) good: usize,
    /// Lazy: with a match of this length in hand, there is no search for a better one at the next byte.
    /// Greedy: the strings inside of longer matches are not remembered.
    pub(crate) lazy: usize,
    /// A match of this length ends the search.
    pub(crate) nice: usize,
    /// How many candidates are tried.
    pub(crate) chain: u32,
    /// Whether a match waits for a look at the next byte.
    pub(crate) is_lazy: bool,
    /// Whether chains are long enough for ranks to be worth their cost; only if lazy.
    pub(crate) is_ranked: bool,
}

impl Level {
    /// The limits of a level from 1 to 9; those of the nearest one for any other number.
    pub(crate) fn new(level: u8) -> Self {
        let (good, lazy, nice, chain) = match level {
            0 | 1 => (4, 4, 8, 4),
            2 => (4, 5, 16, 8),
            3 => (4, 6, 32, 32),
            4 => (4, 4, 16, 16),
            5 => (8, 16, 32, 32),
            6 => (8, 16, 128, 128),
            7 => (8, 32, 128, 256),
            8 => (32, 128, 258, 1024),
            _ => (32, 258, 258, 4096),
        };
        Self { good, lazy, nice, chain, is_lazy: level > 3, is_ranked: level > 4 }
    }
}
