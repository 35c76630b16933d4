//! [`Json`]: a document that is read strictly: policies, and what signatures claim.
//!
//! **Invariants.** A key that is there twice, or that nobody knows, is an error that says where: what a reader passes over could mean
//! something else to another one. Reading never nests deeper than serde_json does.
//!
//! *Not here:* what the fields mean (`document`, `claims`).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Why a document is not what it should be, in words that follow a colon.
pub(super) type Why<T> = Result<T, String>;

/// Any JSON; of numbers and the like nothing is needed but that they are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    /// `null`, a boolean, or a number.
    Other,
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads `bytes`, which are one document.
    pub(super) fn read(bytes: &[u8]) -> Why<Self> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// The text that stands at `place`.
    pub(super) fn text(self, place: &str) -> Why<String> {
        if let Self::Text(text) = self { Ok(text) } else { Err(format!("{place}: it is no text")) }
    }

    /// The list that stands at `place`.
    pub(super) fn list(self, place: &str) -> Why<Vec<Self>> {
        if let Self::List(list) = self { Ok(list) } else { Err(format!("{place}: it is no list")) }
    }

    /// The object that stands at `place`.
    pub(super) fn object(self, place: &str) -> Why<Fields> {
        match self {
            Self::Object(fields) => Ok(Fields { place: place.to_owned(), fields }),
            _ => Err(format!("{place}: it is no object")),
        }
    }
}

/// The fields of an object, of which each is taken once.
pub(super) struct Fields {
    place: String,
    fields: Vec<(String, Json)>,
}

impl Fields {
    /// Where this object stands.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Takes a field that may be there.
    pub(super) fn take(&mut self, name: &str) -> Option<Json> {
        let at = self.fields.iter().position(|(field, _)| field == name)?;
        Some(self.fields.remove(at).1)
    }

    /// Takes a field that must be there.
    pub(super) fn need(&mut self, name: &str) -> Why<Json> {
        self.take(name).ok_or_else(|| format!("{}: it has no field {name:?}", self.place))
    }

    /// Takes a text that must be there.
    pub(super) fn text(&mut self, name: &str) -> Why<String> {
        let place = format!("{}.{name}", self.place);
        self.need(name)?.text(&place)
    }

    /// Takes an object that must be there.
    pub(super) fn object(&mut self, name: &str) -> Why<Fields> {
        let place = format!("{}.{name}", self.place);
        self.need(name)?.object(&place)
    }

    /// All that are left, in order.
    pub(super) fn rest(self) -> Vec<(String, Json)> {
        self.fields
    }

    /// Refuses what nobody took.
    pub(super) fn end(self) -> Why<()> {
        match self.fields.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!("{}: field {name:?} is not known", self.place)),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let (mut fields, mut seen) = (Vec::new(), std::collections::HashSet::new());
        while let Some((name, value)) = items.next_entry::<String, Json>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format!("key {name:?} is there twice")));
            }
            fields.push((name, value));
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_an_error_with_its_line() {
        let error = Json::read(b"{\n\"a\": 1,\n\"b\": {\"c\": [], \"c\": 2}}").expect_err("twice");
        assert!(error.contains("key \"c\" is there twice") && error.contains("line 3"), "{error}");
        assert!(Json::read(&[b'['; 100_000]).is_err(), "deep documents end");
    }

    #[test]
    fn fields_that_are_missing_or_left_over_are_errors() {
        let mut fields = Json::read(br#"{"a":"x","b":{},"c":null}"#).and_then(|json| json.object("top")).expect("an object");
        assert_eq!(fields.text("a"), Ok("x".to_owned()));
        assert_eq!(fields.text("a").expect_err("taken"), "top: it has no field \"a\"");
        assert_eq!(fields.text("b").expect_err("an object"), "top.b: it is no text");
        assert_eq!(fields.end().expect_err("left over"), "top: field \"c\" is not known");
    }
}
