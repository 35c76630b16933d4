//! Sizes as a person types them: `4GiB`, `4.7GB`, `700M`, bytes, and the names of media.
//!
//! **Invariants.** The same text means the same bytes everywhere; nothing is rounded up.
//!
//! *Not here:* what fits on a medium (`media`).

use super::media::Medium;
use crate::error::{Error, Result};

/// The smallest cap that the command line takes: below it, a volume is mostly overhead.
pub(super) const MIN_CAP_BYTES: u64 = 16 << 20;

/// The cap of volumes that `text` means: a size, or the name of a medium.
pub(super) fn volume_cap(text: &str) -> Result<u64> {
    let bytes = match text.to_ascii_lowercase().parse::<Medium>() {
        Ok(medium) => medium.cap_bytes(),
        Err(()) => parse(text)?,
    };
    if bytes < MIN_CAP_BYTES {
        return Err(Error::usage(format!("size {text:?}: volumes below 16 MiB are mostly overhead")).hint("name a size from 16MiB up"));
    }
    Ok(bytes)
}

/// The bytes that `text` means. `K`, `M`, `G`, `T`, with or without `B`, are powers of 1000; `KiB` and so on of 1024.
pub(super) fn parse(text: &str) -> Result<u64> {
    let refused = |why: &str| {
        Error::usage(format!("size {text:?}: {why}"))
            .hint("write it like 4GiB, 4.7GB, 700M, a number of bytes, or cd, dvd, dvd-dl, bd25, bd50, fat32")
    };
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit_bytes(unit.trim()).ok_or_else(|| refused("its unit is not known"))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let too_large = || refused("it is too large");
    if whole.is_empty() || fraction.contains('.') || (number.contains('.') && fraction.is_empty()) {
        return Err(refused("it is not a number"));
    }
    let bytes = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(unit)).ok_or_else(too_large)?;
    bytes.checked_add(part_of(unit, fraction)).ok_or_else(too_large)
}

/// The part of `unit` that stands after the decimal point, rounded down.
fn part_of(unit: u64, fraction: &str) -> u64 {
    let mut part = 0;
    // From the last digit to the first: each step adds the digit and takes the tenth. Digits beyond the 18th are less
    // than a byte of any unit.
    for digit in fraction.bytes().take(18).rev() {
        part = (u128::from(digit - b'0') * u128::from(unit) * SCALE + part) / 10;
    }
    u64::try_from(part / SCALE).unwrap_or(u64::MAX)
}

/// Keeps what is below a byte while the digits are added up.
const SCALE: u128 = 1 << 60;

fn unit_bytes(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let (letter, base) = match unit.strip_suffix("ib") {
        Some(letter) => (letter, 1024u64),
        None => (unit.strip_suffix('b').unwrap_or(&unit), 1000),
    };
    let power = match (letter, base) {
        ("", 1000) => 0,
        ("k", _) => 1,
        ("m", _) => 2,
        ("g", _) => 3,
        ("t", _) => 4,
        _ => return None,
    };
    Some(base.pow(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_all_their_forms() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("700M", 700_000_000),
            ("700MB", 700_000_000),
            ("700 mb", 700_000_000),
            ("4.7GB", 4_700_000_000),
            ("4GiB", 4 << 30),
            ("4gib", 4 << 30),
            ("0.5KiB", 512),
            ("1.0009765625KiB", 1025),
            ("2T", 2_000_000_000_000),
            ("1.5TiB", 3 << 39),
            ("7b", 7),
            ("0.1", 0),
            ("0.9999999999999999999999T", 999_999_999_999),
        ] {
            assert_eq!(parse(text).expect(text), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_its_reason() {
        for (text, why) in [
            ("", "not a number"),
            ("GiB", "not a number"),
            ("1.", "not a number"),
            ("1.2.3M", "not a number"),
            (".5G", "not a number"),
            ("-4G", "unit"),
            ("4iB", "unit"),
            ("4GX", "unit"),
            ("4 GiB GiB", "unit"),
            ("99999999T", "too large"),
            ("99999999999999999999", "too large"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn caps_of_nothing_but_overhead_are_refused() {
        assert_eq!(volume_cap("16MiB").expect("a cap"), 16 << 20);
        assert_eq!(volume_cap("DVD").expect("a cap"), Medium::Dvd.cap_bytes());
        for text in ["1", "16MB", "64KiB"] {
            assert!(volume_cap(text).expect_err(text).to_string().contains("16 MiB"));
        }
    }
}
