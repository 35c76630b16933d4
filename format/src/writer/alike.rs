//! [`are_alike`]: whether content has enough in common with what it could be compressed after.
//!
//! **Invariants.** It costs a small part of compressing, and depends on the bytes alone.
//!
//! *Not here:* how much is gained in the end (`pool`).

/// What is compared, in bytes.
const WINDOW: usize = 16;
/// Of all windows one in so many is looked at: those whose sums end in zeros.
const SAMPLE: u64 = 32;
/// Of these one in so many must be found in the prefix.
const COMMON: usize = 24;

/// Whether one in [`COMMON`] of the stretches of `content` is somewhere in `prefix`.
pub(super) fn are_alike(content: &[u8], prefix: &[u8]) -> bool {
    let mut there = Vec::new();
    sample(prefix, |sum| there.push(sum));
    there.sort_unstable();
    there.dedup();
    let (mut all, mut common) = (0usize, 0usize);
    sample(content, |sum| {
        all = all.saturating_add(1);
        common = common.saturating_add(usize::from(there.binary_search(&sum).is_ok()));
    });
    // Too little to tell.
    all == 0 || common.saturating_mul(COMMON) >= all
}

/// Calls `found` with the sums of some windows: which ones, what stands in them decides.
fn sample(bytes: &[u8], mut found: impl FnMut(u32)) {
    for window in bytes.windows(WINDOW) {
        let sum = sum(window);
        if sum.is_multiple_of(SAMPLE) {
            found(u32::try_from(sum >> 32).unwrap_or_default());
        }
    }
}

fn sum(window: &[u8]) -> u64 {
    let whole = window.first_chunk().copied().map(u128::from_le_bytes).unwrap_or_default();
    let [low, high] = [whole, whole >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default());
    // Odd numbers of the golden ratio: what is multiplied by them shows in the upper bits.
    let mixed = low.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ high.wrapping_mul(0xC2B2_AE3D_27D4_EB4F).rotate_left(31);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "a test may panic")]
mod tests {
    use super::*;

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..length).map(next).collect()
    }

    #[test]
    fn content_is_alike_wherever_what_is_common_has_moved_to() {
        let old = noise(1, 100_000);
        let mut new = noise(2, 12_345);
        new.extend(&old[30_001..80_000]);
        assert!(are_alike(&new, &old) && are_alike(&old, &new) && are_alike(&old, &old));
    }

    #[test]
    fn content_with_nothing_in_common_is_not() {
        assert!(!are_alike(&noise(1, 100_000), &noise(2, 100_000)));
        let mut new = noise(3, 100_000);
        new.extend(&noise(1, 1_000));
        assert!(!are_alike(&new, &noise(1, 100_000)), "a hundredth is too little");
    }

    #[test]
    fn too_little_to_tell_is_tried() {
        assert!(are_alike(b"short", &noise(1, 1000)));
    }
}
