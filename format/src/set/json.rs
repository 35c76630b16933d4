//! Canonical JSON (RFC 8785), as far as the format needs it: integers from 0 to 2^53 − 1, depth at most 32.
//!
//! **Invariants.** [`check`] and [`members`] take exactly the bytes that [`to_bytes`] writes of some value, so a document has one
//! form and one hash. They make nothing of what they read: it takes no more memory than its bytes.
//!
//! *Not here:* what the documents mean.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::walk::Walk;
use crate::error::{Error, Kind, Result, cap};

/// How deep arrays and objects may nest (SPEC section 14).
pub const MAX_DEPTH: usize = 32;

/// The first integer that JSON readers may not agree on.
pub(super) const TOO_LARGE: u64 = 1 << 53;

/// The members of an object, in order: each key with the text of its value.
pub type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

/// Checks a document of at most `limit_bytes`. `object` names it in errors.
pub fn check(bytes: &[u8], limit_bytes: u64, object: &str) -> Result<()> {
    let text = text(bytes, limit_bytes, object)?;
    Walk::new(text).document().map_err(|error| error.context(object))
}

/// The members of a document of at most `limit_bytes`, which is an object with at most `most` of them. `object` names it in errors.
pub fn members<'a>(bytes: &'a [u8], limit_bytes: u64, most: usize, object: &str) -> Result<Members<'a>> {
    let mut found = Members::new();
    let mut keep = |key, value| {
        if found.len() >= most {
            return Err(Error::limit(format!("it has more than {most} keys")));
        }
        found.push((key, value));
        Ok(())
    };
    let mut walk = Walk::new(text(bytes, limit_bytes, object)?);
    walk.object(&mut keep).and_then(|()| walk.end()).map_err(|error| error.context(object))?;
    Ok(found)
}

fn text<'a>(bytes: &'a [u8], limit_bytes: u64, object: &str) -> Result<&'a str> {
    cap(crate::codec::length(bytes), limit_bytes, object)?;
    std::str::from_utf8(bytes).map_err(|error| Error::damaged(format!("{object}: {error}")))
}

/// Writes the canonical form of `value`; fails where a number is no integer from 0 to 2^53 − 1.
pub fn to_bytes(value: &Value) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    write(&mut out, value, 0)?;
    Ok(out)
}

/// Writes an object of members whose values are canonical, in whatever order they come.
pub(super) fn object(mut members: Members<'_>) -> Result<Vec<u8>> {
    members.sort_by(|(a, _), (b, _)| order(a, b));
    let mut out = vec![b'{'];
    for (at, (key, value)) in members.iter().enumerate() {
        separate(&mut out, at);
        write_text(&mut out, key)?;
        out.push(b':');
        out.extend(value.as_bytes());
    }
    out.push(b'}');
    if members.is_sorted_by(|(a, _), (b, _)| order(a, b).is_lt()) { Ok(out) } else { Err(Error::damaged("a key is there twice")) }
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
            members.sort_by(|(a, _), (b, _)| order(a, b));
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
    if number.as_u64().is_none_or(|number| number >= TOO_LARGE) {
        return Err(Error::damaged(format!("{number} is no integer from 0 to 2^53 - 1")));
    }
    out.extend(number.to_string().into_bytes());
    Ok(())
}

fn write_text(out: &mut Vec<u8>, text: &str) -> Result<()> {
    // The escapes of serde_json are those of the RFC: the short ones where there are any, else \u00xx in lower case.
    serde_json::to_writer(out, text).map_err(|error| Error::new(Kind::Damaged, error.to_string()))
}

/// The order of keys: by UTF-16 code units, says the RFC.
pub(super) fn order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether `bytes` are what is written of what a reader of another kind makes of them.
    fn has_one_form(bytes: &[u8]) -> bool {
        let value: Option<Value> = serde_json::from_slice(bytes).ok();
        value.and_then(|value| to_bytes(&value).ok()).is_some_and(|written| written == bytes)
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[a-c]{0,2}", "[\\x00-\\x7f]{0,4}", "\\PC{0,3}"];
        let number = prop_oneof![Just(0), -9..9_i64, any::<i64>(), ((1_i64 << 53) - 2)..((1 << 53) + 2)];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number.prop_map(Value::from),
            text.clone().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 30, 5, move |inner| {
            let members = prop::collection::vec((text.clone(), inner.clone()), 0..5);
            let object = members.prop_map(|members| Value::Object(members.into_iter().collect()));
            prop_oneof![prop::collection::vec(inner, 0..5).prop_map(Value::Array), object]
        })
    }

    #[test]
    fn a_canonical_document_is_taken() {
        for text in [r#"{"a":1,"b":[true,null,"\u001f\n\"\\é"],"c":{"d":5}}"#, "[]", "{}", r#""{[""#, "9007199254740991", "0", "false"] {
            check(text.as_bytes(), 1000, "test").expect(text);
        }
    }

    #[test]
    fn every_other_form_of_a_document_is_refused() {
        for text in [
            r#"{"b":1,"a":1}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a": 1}"#,
            r#"{"a":1,}"#,
            r#"["\u0041"]"#,
            r#"["\u000a"]"#,
            r#"["\u001F"]"#,
            r#"["\/"]"#,
            "[\"\n\"]",
            "[1.0]",
            "[1e3]",
            "[01]",
            "[-0]",
            "[-1]",
            "[9007199254740992]",
            "[1]\n",
            "[1",
            "[1}",
            "[nul]",
            "[\"",
            "",
        ] {
            let error = check(text.as_bytes(), 1000, "test").expect_err(text);
            assert_eq!(error.kind(), Kind::Damaged, "{text}");
            assert!(!has_one_form(text.as_bytes()), "{text}");
        }
        assert_eq!(check(b"\"\xff\"", 1000, "test").expect_err("no UTF-8").kind(), Kind::Damaged);
    }

    #[test]
    fn depth_size_and_keys_are_limited() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(deep(32).as_bytes(), 1000, "test").is_ok());
        for (text, limit) in [(deep(33), 1000), (deep(100_000), 1_000_000), (deep(5), 9)] {
            assert_eq!(check(text.as_bytes(), limit, "test").expect_err("too much").kind(), Kind::Limit);
        }
        let two = br#"{"a":[1],"b\n":{"c":2}}"#;
        let found = members(two, 1000, 2, "test").expect("two members");
        assert_eq!(found, [("a".into(), "[1]"), ("b\n".into(), r#"{"c":2}"#)]);
        assert_eq!(members(two, 1000, 1, "test").expect_err("one too many").kind(), Kind::Limit);
        for other in [&b"[]"[..], b"{}{}", b"{\"a\":1"] {
            assert_eq!(members(other, 1000, 9, "test").expect_err("no object").kind(), Kind::Damaged);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_taken_and_what_becomes_of_it_only_if_it_has_one_form(
            value in values(), place in any::<prop::sample::Index>(), byte in prop::sample::select(b"{}[]\",:\\u0019af-.e tn\x1f\xc3".to_vec()), kind in 0..3,
        ) {
            let Ok(mut bytes) = to_bytes(&value) else { return Ok(()) };
            check(&bytes, 10_000, "test").expect("canonical");
            let place = place.index(bytes.len());
            match kind {
                0 => drop(bytes.remove(place)),
                1 => bytes.insert(place, byte),
                _ => bytes[place] = byte,
            }
            prop_assert_eq!(check(&bytes, 10_000, "test").is_ok(), has_one_form(&bytes), "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
