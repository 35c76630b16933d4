//! [`Walk`]: canonical JSON from its beginning to its end, without making anything of it.
//!
//! *Not here:* writing it (`json`).

use std::borrow::Cow;

use super::json::{MAX_DEPTH, TOO_LARGE, order};
use crate::error::{Error, Result};

/// What is still to be read of a document.
pub(super) struct Walk<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
}

/// What is done with each member of an object: its key, and the text of its value.
pub(super) type Each<'a, 'b> = &'b mut dyn FnMut(Cow<'a, str>, &'a str) -> Result<()>;

impl<'a> Walk<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, rest: text, depth: 0 }
    }

    /// All that is left is one value.
    pub(super) fn document(mut self) -> Result<()> {
        self.value()?;
        self.end()
    }

    pub(super) fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.wrong("something follows its end")) }
    }

    pub(super) fn object(&mut self, each: Each<'a, '_>) -> Result<()> {
        let mut last: Option<Cow<'a, str>> = None;
        self.list('{', '}', &mut |walk| {
            let key = walk.key()?;
            if last.as_ref().is_some_and(|last| order(last, &key).is_ge()) {
                return Err(walk.wrong("keys are not in order"));
            }
            last = Some(key.clone());
            walk.expect(':')?;
            let value = walk.value()?;
            each(key, value)
        })
    }

    fn value(&mut self) -> Result<&'a str> {
        let before = self.rest;
        match before.as_bytes().first() {
            Some(b'{') => self.object(&mut |_, _| Ok(()))?,
            Some(b'[') => self.list('[', ']', &mut |walk| walk.value().map(drop))?,
            Some(b'"') => drop(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        }
        Ok(self.since(before))
    }

    fn list(&mut self, open: char, close: char, item: &mut dyn FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.expect(open)?;
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(Error::limit(format!("it nests deeper than {MAX_DEPTH}")));
        }
        if !self.skip(close) {
            item(self)?;
            while self.skip(',') {
                item(self)?;
            }
            self.expect(close)?;
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    fn key(&mut self) -> Result<Cow<'a, str>> {
        let raw = self.string()?;
        if !raw.contains('\\') {
            return Ok(Cow::Borrowed(raw.trim_matches('"')));
        }
        serde_json::from_str(raw).map(Cow::Owned).map_err(|error| self.wrong(&error.to_string()))
    }

    /// A string with its quotes. What need not be escaped is not; what must be is, by the short escapes where there are any.
    fn string(&mut self) -> Result<&'a str> {
        let before = self.rest;
        self.expect('"')?;
        loop {
            let plain = self.rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            self.pass(plain.ok_or_else(|| self.wrong("a string has no end"))?);
            match self.rest.as_bytes() {
                [b'"', ..] => {
                    self.pass(1);
                    return Ok(self.since(before));
                }
                [b'\\', b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.pass(2),
                [b'\\', b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f', ..]
                | [b'\\', b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f', ..] => self.pass(6),
                _ => return Err(self.wrong("a string is not in its one form")),
            }
        }
    }

    fn number(&mut self) -> Result<()> {
        let before = self.rest;
        self.pass(before.bytes().take_while(u8::is_ascii_digit).count());
        let digits = self.since(before);
        let is_right = digits == "0" || !digits.starts_with('0') && digits.parse().is_ok_and(|number: u64| number < TOO_LARGE);
        if is_right { Ok(()) } else { Err(self.wrong("a number is no integer from 0 to 2^53 - 1 in its one form")) }
    }

    fn word(&mut self) -> Result<()> {
        let word = ["null", "true", "false"].into_iter().find(|word| self.rest.starts_with(word));
        self.pass(word.ok_or_else(|| self.wrong("there is no value where one must be"))?.len());
        Ok(())
    }

    fn expect(&mut self, sign: char) -> Result<()> {
        if self.skip(sign) { Ok(()) } else { Err(self.wrong(&format!("there is no {sign} where one must be"))) }
    }

    fn skip(&mut self, sign: char) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn pass(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// What was read since `before` was what is left.
    fn since(&self, before: &'a str) -> &'a str {
        before.get(..before.len().saturating_sub(self.rest.len())).unwrap_or_default()
    }

    fn wrong(&self, why: &str) -> Error {
        let place = self.text.len().saturating_sub(self.rest.len());
        Error::damaged(format!("it is not canonical JSON at byte {place}: {why}"))
    }
}
