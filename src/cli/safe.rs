//! [`safe`]: foreign text made harmless for a terminal.
//!
//! **Invariants.** What leaves here moves no cursor, sets no colour, starts no line and turns no text around.
//!
//! *Not here:* which texts are foreign; all that is printed passes here, field by field.

/// `text` with everything that a terminal would act upon written out: `\u{1b}`. For one field of one line.
#[must_use]
pub(super) fn safe(text: &str) -> String {
    spelled(text, false)
}

/// The same for text of several lines, whose line breaks stay.
#[must_use]
pub(super) fn safe_lines(text: &str) -> String {
    spelled(text, true)
}

/// JSON in which such characters are written as JSON has it: they can only stand inside strings.
#[must_use]
pub(super) fn safe_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' => out.push(c),
            c if acts(c) => out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
            c => out.push(c),
        }
    }
    out
}

fn spelled(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) && !(lines && c == '\n') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters, line and paragraph separators, and marks that reorder what follows them (Unicode annex 9).
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_a_terminal() {
        for (foreign, printed) in [
            ("plain näme 漢", "plain näme 漢"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\r\nb", "a\\r\\nb"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("x\u{202e}gpj.exe", "x\\u{202e}gpj.exe"),
        ] {
            assert_eq!(safe(foreign), printed);
        }
        assert_eq!(safe_lines("a\nb\t"), "a\nb\\t");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"a": "\u{9b}\u{202e}x\u{1b}"});
        let text = safe_json(&serde_json::to_string_pretty(&value).expect("json"));
        assert!(text.chars().all(|c| c == '\n' || !acts(c)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("json"), value);
    }
}
