//! [`Generation`]: which releases of `klauspost/compress` write the same bytes at level 5, and what tells them apart.
//!
//! **Invariants.** The number of a generation never changes, and is never given to another: archives hold it.
//!
//! *Not here:* what the rules are for (`search`, `block`, `filled`, `literal`, `estimate`).

/// Releases of `klauspost/compress` that write the same bytes at level 5, which is also level -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// 1.9.0 to 1.9.7.
    K1,
    /// 1.9.8 and 1.10.0.
    K2,
    /// 1.10.1.
    K3,
    /// 1.10.2 to 1.11.12.
    K4,
    /// 1.11.13 to 1.12.1.
    K5,
    /// 1.12.2.
    K6,
    /// 1.12.3 to 1.13.6.
    K6a,
    /// 1.14.0 and 1.14.1.
    K7,
    /// 1.14.2.
    K7a,
    /// 1.14.3 and 1.14.4.
    K7b,
    /// 1.15.0 to 1.15.9.
    K8a,
    /// 1.15.10 to 1.18.0.
    K8,
    /// 1.18.1, which was withdrawn.
    K9a,
    /// From 1.18.2 on, up to 1.20.3 at least.
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

/// How the size of a block with codes of its own is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
    /// From logarithms, each symbol rounded up; from wrong extra bits.
    Ceiling,
    /// From about the logarithms.
    Entropy,
    /// From about the logarithms, each 1 to 15 bits.
    Clamped,
}

/// How the size of a block without copies is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LiteralGuess {
    /// From logarithms, each symbol rounded up.
    Ceiling,
    /// From about the logarithms; bytes that do not occur count if a block of its own is weighed.
    Entropy,
    /// From about the logarithms; bytes that do not occur count in the total.
    Spread,
    /// From the code.
    Exact,
}

/// What a generation does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The tables of the search have two to this power of entries.
    pub(super) table_bits: u32,
    pub(super) tail: Tail,
    /// Copies longer than 258 bytes begin with 255 bytes, whatever is left.
    pub(super) splits_early: bool,
    /// Whether a piece copies from the one before.
    pub(super) has_history: bool,
    /// Whether the last block of all is stored.
    pub(super) ends_stored: bool,
    /// Whether a block in the middle of a piece has a word for every symbol.
    pub(super) fills: bool,
    /// The part of a guess that is added to it: one by two to this power.
    pub(super) penalty: u32,
    pub(super) guess: Guess,
    /// Whether the end of a piece counts as a token in a guess.
    pub(super) guesses_end: bool,
    pub(super) literal_guess: LiteralGuess,
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
    pub const ALL: [Self; 14] = [
        Self::K1,
        Self::K2,
        Self::K3,
        Self::K4,
        Self::K5,
        Self::K6,
        Self::K6a,
        Self::K7,
        Self::K7a,
        Self::K7b,
        Self::K8a,
        Self::K8,
        Self::K9a,
        Self::K9,
    ];

    /// The number of this generation in archives: ten times that of its name, and 1 more for the letter a, 2 for b.
    #[must_use]
    pub fn id(self) -> u64 {
        match self {
            Self::K1 => 10,
            Self::K2 => 20,
            Self::K3 => 30,
            Self::K4 => 40,
            Self::K5 => 50,
            Self::K6 => 60,
            Self::K6a => 61,
            Self::K7 => 70,
            Self::K7a => 71,
            Self::K7b => 72,
            Self::K8 => 80,
            Self::K8a => 81,
            Self::K9 => 90,
            Self::K9a => 91,
        }
    }

    /// The generation of this number, if it is one.
    #[must_use]
    pub fn from_id(id: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|generation| generation.id() == id)
    }

    /// Each differs in few points from the next newer one.
    pub(super) fn rules(self) -> Rules {
        match self {
            Self::K9 => NEWEST,
            Self::K9a => Rules { counts_end: false, ..NEWEST },
            Self::K8 => Rules { trims: false, ..Self::K9a.rules() },
            Self::K8a => Rules { tail: Tail::Whole, ..Self::K8.rules() },
            Self::K7b => Rules { splits_early: true, ..Self::K8a.rules() },
            Self::K7a => Rules { fixed_below: usize::MAX, tests_noise: false, ..Self::K7b.rules() },
            Self::K7 => Rules { guesses_end: false, ..Self::K7a.rules() },
            Self::K6a => Rules { fills: true, penalty: 8, ..Self::K7.rules() },
            Self::K6 => Rules { guess: Guess::Entropy, literal_guess: LiteralGuess::Spread, ..Self::K6a.rules() },
            Self::K5 => Rules { tail: Tail::None, ..Self::K6.rules() },
            Self::K4 => Rules { penalty: 6, literal_guess: LiteralGuess::Entropy, ..Self::K5.rules() },
            Self::K3 => Rules { table_bits: 16, ends_stored: true, ..Self::K4.rules() },
            Self::K2 => Rules { has_history: false, ..Self::K3.rules() },
            Self::K1 => Rules { guess: Guess::Ceiling, literal_guess: LiteralGuess::Ceiling, ..Self::K2.rules() },
        }
    }
}

const NEWEST: Rules = Rules {
    table_bits: 15,
    tail: Tail::Skips,
    splits_early: false,
    has_history: true,
    ends_stored: false,
    fills: false,
    penalty: 7,
    guess: Guess::Clamped,
    guesses_end: true,
    literal_guess: LiteralGuess::Exact,
    trims: true,
    counts_end: true,
    fixed_below: 250,
    tests_noise: true,
};

#[cfg(test)]
mod tests {
    use super::Generation;

    #[test]
    fn numbers_of_generations_are_those_that_archives_hold() {
        let ids = Generation::ALL.map(Generation::id);
        assert_eq!(ids, [10, 20, 30, 40, 50, 60, 61, 70, 71, 72, 81, 80, 91, 90]);
        assert_eq!(Generation::ALL.map(|generation| Generation::from_id(generation.id())), Generation::ALL.map(Some));
        assert_eq!(Generation::from_id(0), None);
    }
}
