//! How many bits a block would take with codes of its own, guessed from the entropy of its symbols.
//!
//! **Invariants.** Every operation is on 32 bit floating point numbers and rounds by itself, so the guess is the same on
//! every machine; symbols are summed in their order.
//!
//! *Not here:* sizes that are counted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "floating point, and counts of one chunk"
)]

use crate::gzip::token::Counts;

/// The guess for the symbols of `tokens` tokens, without the bits that follow symbols.
pub(super) fn bits(counts: &Counts, tokens: usize) -> u64 {
    let inverse = 1.0 / tokens as f32;
    let mut total = 0.0;
    add(&mut total, counts.literals.iter().take(256), inverse);
    // The end of the block.
    total += 15.0;
    add(&mut total, counts.lengths().iter(), inverse);
    let copies = counts.copies();
    if copies > 0 {
        add(&mut total, counts.distances.iter(), 1.0 / copies as f32);
    }
    total as u64
}

fn add<'a>(total: &mut f32, counts: impl Iterator<Item = &'a u32>, inverse: f32) {
    for count in counts.filter(|count| **count > 0) {
        let count = *count as f32;
        *total += (-binary_logarithm(count * inverse)).clamp(1.0, 15.0) * count;
    }
}

/// About the logarithm: the exponent, and a parabola for the mantissa.
fn binary_logarithm(value: f32) -> f32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 0xff) as i32 - 128;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 127 << 23);
    exponent as f32 + (((-0.344_848_43 * mantissa) + 2.024_665_78) * mantissa - 0.674_877_59)
}
