//! What a plain word of YAML means, as Go programs read it.
//!
//! **Invariants.** The words and numbers of YAML 1.1 that `sigs.k8s.io/yaml` knows, no others: `yes` and `on` are true,
//! `010` is eight, `1_000` is a thousand, `4.10` is a number and not a version, a date is text.
//!
//! *Not here:* quoted text, which means itself (`yaml`).

/// What a scalar means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    /// Nothing: an empty value, `~`, `null`.
    Null,
    /// True or false, in one of six spellings each.
    Bool(bool),
    /// A whole number that fits.
    Whole(i64),
    /// Any other number.
    Number(f64),
    /// Text.
    Text,
}

impl Meaning {
    /// The meaning of a word without quotation marks.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Self::Bool(true),
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Self::Bool(false),
            ".nan" | ".NaN" | ".NAN" => Self::Number(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Self::Number(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Self::Number(f64::NEG_INFINITY),
            _ if word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => number(word).unwrap_or(Self::Text),
            _ => Self::Text,
        }
    }

    /// What a person would call it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Whole(_) | Self::Number(_) => "a number",
            Self::Text => "text",
        }
    }
}

fn number(word: &str) -> Option<Meaning> {
    let digits = word.replace('_', "");
    let (negative, unsigned) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    if let Some(magnitude) = whole(unsigned) {
        let signed = if negative { -magnitude } else { magnitude };
        return Some(i64::try_from(signed).map_or(Meaning::Number(signed as f64), Meaning::Whole));
    }
    is_float(unsigned).then(|| digits.parse().ok().map(Meaning::Number))?
}

/// A whole number in one of Go's notations: `0x`, `0o`, `0b`, a leading zero for octal.
fn whole(unsigned: &str) -> Option<i128> {
    let lower = unsigned.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    // A sign here would be the second one.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?` without its sign.
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    (!before.is_empty() || !after.is_empty()) && all_digits(before) && all_digits(after) && exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_mean_to_go() {
        use Meaning::{Bool, Null, Number, Text, Whole};
        for (word, meaning) in [
            ("", Null),
            ("~", Null),
            ("yes", Bool(true)),
            ("On", Bool(true)),
            ("n", Bool(false)),
            ("yEs", Text),
            ("500", Whole(500)),
            ("-5", Whole(-5)),
            ("+5", Whole(5)),
            ("--5", Text),
            ("1_000", Whole(1000)),
            ("010", Whole(8)),
            ("0o10", Whole(8)),
            ("0x1F", Whole(31)),
            ("0b11", Whole(3)),
            ("4.10", Number(4.1)),
            ("4.", Number(4.0)),
            (".5", Number(0.5)),
            ("1e3", Number(1000.0)),
            ("4.10.0", Text),
            ("1e", Text),
            (".", Text),
            ("-", Text),
            ("-e5", Text),
            ("2026-01-02", Text),
            ("stable-4.16", Text),
            ("9223372036854775807", Whole(i64::MAX)),
            ("9223372036854775808", Number(9_223_372_036_854_775_808.0)),
            (".inf", Number(f64::INFINITY)),
        ] {
            assert_eq!(Meaning::of(word), meaning, "{word}");
        }
    }
}
