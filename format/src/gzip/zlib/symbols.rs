//! The alphabets of deflate (RFC 1951, section 3.2.5 and 3.2.6): codes, their extra bits and the fixed lengths.
//!
//! **Invariants.** Lengths are kept as length − 3, so that they fit a byte; distances as they are, 1 to 32768.
//!
//! *Not here:* which code gets which bits (`trees`).

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "tables computed when this is compiled, and lookups in them by values in their range"
)]

/// Literals, the end of a block, and the codes of lengths.
pub(crate) const LITERALS: usize = 286;
/// The codes of distances.
pub(crate) const DISTANCES: usize = 30;
/// The symbol that ends a block.
pub(crate) const END: usize = 256;
/// The shortest and the longest match.
pub(crate) const MIN_MATCH: usize = 3;
/// The longest match.
pub(crate) const MAX_MATCH: usize = 258;

/// Extra bits after each code of a length.
pub(crate) const LENGTH_EXTRA: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// Extra bits after each code of a distance.
pub(crate) const DISTANCE_EXTRA: [u8; DISTANCES] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];

/// The least length − 3 of each code.
pub(crate) static LENGTH_BASE: [u8; 29] = length_bases();
/// The least distance of each code.
pub(crate) static DISTANCE_BASE: [u16; DISTANCES] = distance_bases();
/// The code (0 to 28) of each length − 3.
static LENGTH_CODE: [u8; 256] = length_codes();

/// The bits that every literal and length has in a block of fixed codes.
pub(crate) static FIXED_LITERAL_BITS: [u8; LITERALS] = fixed_literal_bits();
/// The bits that every distance has in a block of fixed codes.
pub(crate) static FIXED_DISTANCE_BITS: [u8; DISTANCES] = [5; DISTANCES];

/// The code, 0 to 28, of a length − 3.
pub(crate) fn length_code(length_less_3: u8) -> usize {
    usize::from(LENGTH_CODE[usize::from(length_less_3)])
}

/// The code, 0 to 29, of a distance from 1 to 32768: two codes for each power of two.
pub(crate) fn distance_code(distance: u16) -> usize {
    let from_zero = u32::from(distance.wrapping_sub(1)) & 0x7fff;
    if from_zero < 2 {
        return from_zero as usize;
    }
    let power = 31 - from_zero.leading_zeros();
    (2 * power + ((from_zero >> (power - 1)) & 1)) as usize
}

const fn length_bases() -> [u8; 29] {
    let mut bases = [0; 29];
    let (mut code, mut next) = (0, 0u16);
    while code < 28 {
        bases[code] = next as u8;
        next += 1 << LENGTH_EXTRA[code];
        code += 1;
    }
    bases[28] = 255;
    bases
}

const fn length_codes() -> [u8; 256] {
    let bases = length_bases();
    let mut codes = [0; 256];
    let (mut length, mut code) = (0, 0);
    while length < 256 {
        while code < 28 && bases[code + 1] as usize <= length {
            code += 1;
        }
        codes[length] = code as u8;
        length += 1;
    }
    codes
}

const fn distance_bases() -> [u16; DISTANCES] {
    let mut bases = [0; DISTANCES];
    let (mut code, mut next) = (0, 1u16);
    while code < DISTANCES {
        bases[code] = next;
        next += 1 << DISTANCE_EXTRA[code];
        code += 1;
    }
    bases
}

const fn fixed_literal_bits() -> [u8; LITERALS] {
    let mut bits = [8; LITERALS];
    let mut symbol = 144;
    while symbol < 280 {
        bits[symbol] = if symbol < END { 9 } else { 7 };
        symbol += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_distance_lies_in_the_range_of_its_code() {
        for length in 0..=255u8 {
            let code = length_code(length);
            let over = length - LENGTH_BASE[code];
            assert!(u32::from(over) < 1 << LENGTH_EXTRA[code], "length {length} in code {code}");
        }
        for distance in 1..=32768u16 {
            let code = distance_code(distance);
            let over = distance - DISTANCE_BASE[code];
            assert!(u32::from(over) < 1 << DISTANCE_EXTRA[code], "distance {distance} in code {code}");
        }
    }
}
