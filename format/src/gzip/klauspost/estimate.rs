//! How many bits a block would take with codes of its own, guessed from the entropy of its symbols.
//!
//! **Invariants.** Every operation on floating point numbers rounds by itself, and symbols are summed in their order; so
//! the guess is the same on every machine.
//!
//! *Not here:* sizes that are counted.

#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "floating point, and counts of one chunk")]
#![allow(clippy::cast_precision_loss, clippy::indexing_slicing, reason = "counts are below 2^24; tables of fixed sizes")]

use super::generation::Guess;
use crate::gzip::token::Counts;

/// The guess for the symbols of `tokens` tokens with the bits that follow symbols.
pub(super) fn size(guess: Guess, counts: &Counts, tokens: usize) -> i64 {
    let extra = counts.extra_bits();
    match guess {
        Guess::Ceiling => ceiling(counts, tokens) + wrong_extra_bits(counts),
        Guess::Entropy => entropy(counts, tokens, |bits| bits) + extra,
        Guess::Clamped => entropy(counts, tokens, |bits| bits.clamp(1.0, 15.0)) + extra,
    }
}

fn entropy(counts: &Counts, tokens: usize, limit: impl Fn(f32) -> f32) -> i64 {
    let inverse = 1.0 / tokens as f32;
    let add = |total: f32, counts: &[u32], inverse: f32| {
        let counts = counts.iter().filter(|count| **count > 0).map(|count| *count as f32);
        counts.fold(total, |total, count| total + limit(-binary_logarithm(count * inverse)) * count)
    };
    let mut total = add(0.0, &counts.literals[..256], inverse) + END_BITS;
    total = add(total, counts.lengths(), inverse);
    let copies = counts.copies();
    if copies > 0 {
        total = add(total, &counts.distances, 1.0 / copies as f32);
    }
    total as i64
}

/// What the end of a block is taken for.
const END_BITS: f32 = 15.0;

/// About the logarithm: the exponent, and a parabola for the mantissa.
fn binary_logarithm(value: f32) -> f32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 0xff) as i32 - 128;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 127 << 23);
    exponent as f32 + (((-0.344_848_43 * mantissa) + 2.024_665_8) * mantissa - 0.674_877_6)
}

fn ceiling(counts: &Counts, tokens: usize) -> i64 {
    let inverse = 1.0 / tokens as f64;
    let literals = ceiling_of(&counts.literals[..256], inverse) + ceiling_of(counts.lengths(), inverse);
    let copies = counts.copies();
    let distances = if copies > 0 { ceiling_of(&counts.distances, 1.0 / f64::from(copies)) } else { 0.0 };
    (literals + f64::from(END_BITS) + distances) as i64
}

/// Whole bits for each symbol, so their order is all one.
fn ceiling_of(counts: &[u32], inverse: f64) -> f64 {
    let counts = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count));
    counts.map(|count| (-exact_logarithm(count * inverse) * count).ceil()).sum()
}

/// The first releases looked up the bits that follow a symbol by how often it occurs.
fn wrong_extra_bits(counts: &Counts) -> i64 {
    let lengths = counts.lengths().iter().map(|count| (LENGTH_EXTRA[*count as usize % 32], *count));
    let distances = counts.distances.iter().map(|count| ((*count as usize % 32).saturating_sub(2) / 2, *count));
    let distances = distances.map(|(bits, count)| (bits as u8, count));
    lengths.chain(distances).map(|(bits, count)| i64::from(bits) * i64::from(count)).sum()
}

/// The bits that follow length symbols, as a table of 32.
const LENGTH_EXTRA: [u8; 32] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0, 0, 0, 0];

/// The binary logarithm as `math.Log2` of Go has it; the logarithm below it is the one of FreeBSD's `e_log.c`.
fn exact_logarithm(value: f64) -> f64 {
    let (fraction, exponent) = fraction_and_exponent(value);
    if fraction == 0.5 { f64::from(exponent - 1) } else { f64::from(exponent) + logarithm(fraction) * std::f64::consts::LOG2_E }
}

/// A positive normal number as one from a half up to 1, and a power of two.
fn fraction_and_exponent(value: f64) -> (f64, i32) {
    let bits = value.to_bits();
    let fraction = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 1022 << 52);
    (fraction, (bits >> 52) as i32 - 1022)
}

/// The natural logarithm of a number from a half up to 1.
fn logarithm(value: f64) -> f64 {
    let (value, exponent) = if value < std::f64::consts::FRAC_1_SQRT_2 { (value * 2.0, -1.0) } else { (value, 0.0) };
    let f = value - 1.0;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let odd =
        s2 * (0.666_666_666_666_673_5 + s4 * (0.285_714_287_436_623_9 + s4 * (0.181_835_721_616_180_5 + s4 * 0.147_981_986_051_165_86)));
    let even = s4 * (0.399_999_999_994_094_2 + s4 * (0.222_221_984_321_497_84 + s4 * 0.153_138_376_992_093_73));
    let half = 0.5 * f * f;
    exponent * 6.931_471_803_691_238e-1 - ((half - (s * (half + (odd + even)) + exponent * 1.908_214_929_270_587_7e-10)) - f)
}

/// The guess for literals, and what the bytes that do not occur add if each is counted once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Literals {
    pub(super) bits: i64,
    pub(super) missing_bits: i64,
}

/// The guess from about the logarithms; `missing_in_total` bytes count in the total, though they do not occur.
pub(super) fn literals(counts: &[u32], bytes: usize, missing_in_total: usize) -> Literals {
    let inverse = 1.0 / (bytes + missing_in_total) as f32;
    let at_least_one = |value: f32| (-binary_logarithm(value)).max(1.0);
    let one = at_least_one(inverse);
    let (mut total, mut missing) = (0.0_f32, 0.0_f32);
    for count in counts {
        let count = *count as f32;
        if count > 0.0 {
            total += at_least_one(count * inverse) * count;
        } else {
            missing += one;
        }
    }
    Literals { bits: (total + 0.99) as i64, missing_bits: (missing + 0.99) as i64 }
}

/// The guess from logarithms, each rounded up.
pub(super) fn ceiling_of_literals(counts: &[u32], bytes: usize, fills: bool) -> i64 {
    let inverse = 1.0 / bytes as f64;
    let missing = counts.iter().filter(|count| **count == 0).count() as f64;
    let filled = if fills { missing * (-exact_logarithm(inverse)).ceil() } else { 0.0 };
    (ceiling_of(counts, inverse) + filled) as i64
}
