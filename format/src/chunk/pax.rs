//! [`Records`]: what stands in a pax header: the one record that moves the next header, `size`, the name of the entry, and any other.
//!
//! **Invariants.** No more is held than the size that the header gave, which the caller has bounded. Every record has
//! the form `LENGTH KEY=VALUE\n`, or all of them are refused. A `size` for all entries that follow is refused too: readers
//! disagree on what it means.
//!
//! *Not here:* what other records mean.

pub(crate) struct Records {
    bytes: Vec<u8>,
    size_bytes: usize,
    global: bool,
}

/// These records cannot be followed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Records {
    /// Records of `size_bytes` in all, for one entry or for all that follow.
    pub(crate) fn new(size_bytes: u64, global: bool) -> Self {
        Self { bytes: Vec::new(), size_bytes: usize::try_from(size_bytes).unwrap_or(usize::MAX), global }
    }

    /// Takes the next bytes; padding after the records is left alone.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let missing = self.size_bytes.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..missing).unwrap_or(bytes));
    }

    /// The path that the records give to the next entry, if any. Of several the last one counts.
    pub(crate) fn path(&self) -> Option<&[u8]> {
        let (mut path, mut rest) = (None, self.bytes.as_slice());
        while let Some((key, value, after)) = first(rest) {
            path = if key == b"path" { Some(value) } else { path };
            rest = after;
        }
        path
    }

    /// Every record in order, key and value; the last one is an error where the records cannot be followed.
    pub(crate) fn each(&self) -> impl Iterator<Item = Result<(&[u8], &[u8]), Malformed>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let found = (!rest.is_empty()).then(|| first(rest))?;
            rest = found.map(|(_, _, after)| after).unwrap_or_default();
            Some(found.map(|(key, value, _)| (key, value)).ok_or(Malformed))
        })
    }

    /// The size that the records give to the next entry, if any. Of several the last one counts; an empty one takes it back.
    pub(crate) fn size(&self) -> Result<Option<u64>, Malformed> {
        let mut size = None;
        for record in self.each() {
            if let (b"size", value) = record? {
                size = given(value)?;
            }
        }
        if self.global && size.is_some() { Err(Malformed) } else { Ok(size) }
    }
}

/// The key and value of the first record, and what follows it.
fn first(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(records.get(..space)?)?).ok()?;
    let (record, after) = records.split_at_checked(length)?;
    let text = record.get(space.checked_add(1)?..)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|&byte| byte == b'=')?;
    let (key, value) = text.split_at_checked(equals)?;
    Some((key, value.get(1..)?, after))
}

fn given(value: &[u8]) -> Result<Option<u64>, Malformed> {
    if value.is_empty() {
        return Ok(None);
    }
    decimal(value).filter(|&size| i64::try_from(size).is_ok()).map(Some).ok_or(Malformed)
}

pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &[u8], global: bool) -> Result<Option<u64>, Malformed> {
        let mut records = Records::new(u64::try_from(text.len()).expect("a length"), global);
        for byte in text.iter().chain(&[0; 100]) {
            records.push(&[*byte]);
        }
        records.size()
    }

    #[test]
    fn the_size_is_found_among_other_records() {
        for (text, found) in [
            (b"".as_slice(), None),
            (b"30 mtime=1350244992.023960108\n", None),
            (b"11 size=10\n", Some(10)),
            (b"14 path=a\nb=c\n11 size=12\n6 a=b\n", Some(12)),
            (b"11 size=10\n11 size=20\n", Some(20)),
            (b"11 size=10\n8 size=\n", None),
            (b"20 size=10000000000\n", Some(10_000_000_000)),
            (b"28 size=9223372036854775807\n", Some(u64::MAX >> 1)),
            (b"13 xsize=100\n", None),
            (b"18 a=\n11 size=10\n\n", None),
        ] {
            assert_eq!(size(text, false), Ok(found), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn records_that_cannot_be_followed_are_refused() {
        for text in [
            b"x".as_slice(),
            b"11 size=10",
            b"11 size=10\n\0",
            b"12 size=10\n",
            b"10 size=10\n",
            b"0 a=b\n",
            b"1 a=b\n",
            b"2 a=b\n",
            b"+6 a=b\n",
            b" a=b\n",
            b"6 abc\n",
            b"99999999999999999999999 a=b\n",
            b"18446744073709551615 a=b\n",
            b"12 size=-10\n",
            b"12 size=0x1\n",
            b"28 size=9223372036854775808\n",
            b"29 size=99999999999999999999\n",
        ] {
            assert_eq!(size(text, false), Err(Malformed), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_size_for_all_entries_is_refused() {
        assert_eq!(size(b"11 size=10\n", true), Err(Malformed));
        assert_eq!(size(b"6 a=b\n", true), Ok(None));
    }
}
