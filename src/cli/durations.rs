//! Spans of time as a person types them: `30s`, `10m`, `1h30m`, `500ms`.
//!
//! **Invariants.** A number has a unit, but for `0`.

use std::time::Duration;

use crate::error::{Error, Result};

/// The span that `text` means.
pub(super) fn parse(text: &str) -> Result<Duration> {
    let refused = || {
        let hint = "write it like 30s, 10m, 1h30m or 500ms";
        Error::usage(format!("duration {text:?}: it is not a number with a unit")).hint(hint)
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return Err(refused()),
        };
        let number: u64 = number.parse().map_err(|_| refused())?;
        let part = number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(refused)?;
        sum = sum.checked_add(part).ok_or_else(refused)?;
        rest = after;
    }
    if text.is_empty() { Err(refused()) } else { Ok(sum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, milliseconds) in [("30s", 30_000), ("10m", 600_000), ("2h", 7_200_000), ("500ms", 500), ("1h30m", 5_400_000), ("0", 0)] {
            assert_eq!(parse(text).expect(text), Duration::from_millis(milliseconds));
        }
        for text in ["", "30", "s", "-1s", "1.5s", "1y", "99999999999999999999h", "18446744073709551615h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
