//! Canonical JSON (RFC 8785), as far as the format needs it: integers below 2^53, depth at most 32.
//!
//! **Invariants.** [`parse`] takes exactly the bytes that [`to_bytes`] writes of the same value, so a document has one
//! form and one hash.
//!
//! *Not here:* what the documents mean.

use serde_json::Value;

use crate::error::{Error, Kind, Result};

/// How deep arrays and objects may nest (SPEC section 14).
pub const MAX_DEPTH: usize = 32;

/// The first integer that JSON readers may not agree on.
const TOO_LARGE: u64 = 1 << 53;

/// Reads a canonical document of at most `limit_bytes`. `object` names it in errors.
pub fn parse(bytes: &[u8], limit_bytes: u64, object: &str) -> Result<Value> {
    let bad = |why: String| Error::new(Kind::Damaged, format!("{object}: {why}"));
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit_bytes) {
        return Err(Error::new(Kind::Limit, format!("{object} is larger than {limit_bytes} bytes")));
    }
    if nesting(bytes) > MAX_DEPTH {
        return Err(Error::new(Kind::Limit, format!("{object} nests deeper than {MAX_DEPTH}")));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
    if to_bytes(&value).map_err(|error| bad(error.to_string()))? != bytes {
        return Err(bad("it is not canonical JSON".into()));
    }
    Ok(value)
}

/// Writes the canonical form of `value`; fails where a number is not an integer below 2^53.
pub fn to_bytes(value: &Value) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    write(&mut out, value, 0)?;
    Ok(out)
}

fn write(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<()> {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(true) => out.extend(b"true"),
        Value::Bool(false) => out.extend(b"false"),
        Value::Number(number) => write_number(out, number)?,
        Value::String(text) => write_text(out, text)?,
        Value::Array(values) => {
            let depth = deeper(depth)?;
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                separate(out, at);
                write(out, value, depth)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let depth = deeper(depth)?;
            // The map may keep the order of insertion, so the order is made here: UTF-16 code units, by the RFC.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (at, (key, value)) in members.into_iter().enumerate() {
                separate(out, at);
                write_text(out, key)?;
                out.push(b':');
                write(out, value, depth)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn deeper(depth: usize) -> Result<usize> {
    let depth = depth.saturating_add(1);
    if depth > MAX_DEPTH {
        return Err(Error::new(Kind::Limit, format!("JSON nests deeper than {MAX_DEPTH}")));
    }
    Ok(depth)
}

fn separate(out: &mut Vec<u8>, at: usize) {
    if at > 0 {
        out.push(b',');
    }
}

fn write_number(out: &mut Vec<u8>, number: &serde_json::Number) -> Result<()> {
    let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    match size {
        Some(size) if size < TOO_LARGE => out.extend(number.to_string().into_bytes()),
        _ => return Err(Error::new(Kind::Damaged, format!("{number} is no integer below 2^53"))),
    }
    Ok(())
}

fn write_text(out: &mut Vec<u8>, text: &str) -> Result<()> {
    // The escapes of serde_json are those of the RFC: the short ones where there are any, else \u00xx in lower case.
    serde_json::to_writer(out, text).map_err(|error| Error::new(Kind::Damaged, error.to_string()))
}

/// How deep `bytes` nest, without building anything from them.
fn nesting(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let (mut in_text, mut escaped) = (false, false);
    for byte in bytes {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_document_is_taken_and_comes_back() {
        for text in [r#"{"a":1,"b":[true,null,"\u001f\n\"\\é"],"c":{"d":-5}}"#, "[]", r#""{[""#, "9007199254740991"] {
            let value = parse(text.as_bytes(), 1000, "test").expect(text);
            assert_eq!(to_bytes(&value).expect(text), text.as_bytes());
        }
    }

    #[test]
    fn every_other_form_of_a_document_is_refused() {
        for text in [
            r#"{"b":1,"a":1}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a": 1}"#,
            r#"["\u0041"]"#,
            r#"["\/"]"#,
            "[1.0]",
            "[1e3]",
            "[-0]",
            "[9007199254740992]",
            "[1]\n",
            "[1",
            "",
        ] {
            let error = parse(text.as_bytes(), 1000, "test").expect_err(text);
            assert_eq!(error.kind(), Kind::Damaged, "{text}");
        }
    }

    #[test]
    fn depth_and_size_are_limited() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(deep(32).as_bytes(), 1000, "test").is_ok());
        for (text, limit) in [(deep(33), 1000), (deep(100_000), 1_000_000), (deep(5), 9)] {
            assert_eq!(parse(text.as_bytes(), limit, "test").expect_err("too much").kind(), Kind::Limit);
        }
    }
}
