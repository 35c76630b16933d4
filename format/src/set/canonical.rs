//! [`Canonical`]: a value of SET.json that means nothing here, as its text.
//!
//! **Invariants.** The text is canonical JSON, and takes no more room than that.
//!
//! *Not here:* which texts are canonical (`json`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::json::{check, to_bytes};
use super::walk::Walk;
use crate::error::{Error, Result};
use crate::layout::MAX_DOCUMENT_BYTES;

/// Canonical JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Canonical(Box<str>);

impl Canonical {
    /// The text of `value`; fails where a number is no integer from 0 to 2^53 − 1.
    pub fn of(value: &Value) -> Result<Self> {
        let text = String::from_utf8(to_bytes(value)?).map_err(|error| Error::damaged(error.to_string()))?;
        Ok(Self(text.into()))
    }

    /// A text that was found to be canonical.
    pub(super) fn found(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `T` that it says.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(&self.0)
    }

    /// The `T` that its member `key` says; `None` where it is no object, has no such member, or that says something else.
    #[must_use]
    pub fn member<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let mut found = None;
        let mut look = |name: Cow<'_, str>, value| {
            found = found.or((name == key).then_some(value));
            Ok(())
        };
        Walk::new(&self.0).object(&mut look).ok()?;
        serde_json::from_str(found?).ok()
    }
}

impl FromStr for Canonical {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        check(text.as_bytes(), MAX_DOCUMENT_BYTES, "a value of SET.json")?;
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_member_is_read_and_the_others_are_not() {
        let value = json!({"a": {"b": "no"}, "b": ["yes"], "c": 7});
        let canonical = Canonical::of(&value).expect("canonical");
        assert_eq!(canonical.as_str(), r#"{"a":{"b":"no"},"b":["yes"],"c":7}"#);
        assert_eq!(canonical.read::<Value>().expect("a value"), value);
        assert_eq!(canonical.member::<Vec<String>>("b"), Some(vec!["yes".to_owned()]));
        assert_eq!((canonical.member::<u8>("b"), canonical.member::<u8>("d")), (None, None));
        assert_eq!(Canonical::of(&json!([1])).expect("canonical").member::<u8>("a"), None);
        assert_eq!(canonical.as_str().parse::<Canonical>().expect("canonical"), canonical);
        assert!(Canonical::of(&json!(0.5)).is_err() && "[ ]".parse::<Canonical>().is_err());
    }
}
