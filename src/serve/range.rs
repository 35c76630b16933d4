//! [`stretches`]: which bytes of a blob a `Range` header asks for (RFC 9110, "Range Requests").
//!
//! **Invariants.** Stretches lie within the blob, are never empty, stay in the order asked for and do not overlap, so that no request
//! makes an answer longer than the blob. Nothing is allocated by a number from outside.
//!
//! *Not here:* the answer that they make (`blobs`).

/// The most ranges that one request may have; clients of `zstd:chunked` images ask for up to 1,024.
pub(super) const MAX_RANGES: usize = 1024;

/// Bytes from `start` up to, and without, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Stretch {
    /// How many bytes.
    pub(super) fn len(self) -> u64 {
        self.end - self.start
    }

    /// How `Content-Range` says it of a blob of `size` bytes.
    pub(super) fn content_range(self, size: u64) -> String {
        format!("bytes {}-{}/{size}", self.start, self.end - 1)
    }
}

/// Why a `Range` header is not answered with parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is no list of ranges, has too many, or they overlap.
    Refused(&'static str),
    /// No byte of the blob is in it.
    Beyond,
}

/// What `header` asks for of a blob of `size` bytes; `None` where it speaks of other units than bytes, and means nothing.
pub(super) fn stretches(header: &str, size: u64) -> Result<Option<Vec<Stretch>>, Wrong> {
    let Some((_, list)) = header.split_once('=').filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes")) else { return Ok(None) };
    let mut found = Vec::new();
    for (n, part) in list.split(',').map(str::trim).filter(|part| !part.is_empty()).enumerate() {
        if n == MAX_RANGES {
            return Err(Wrong::Refused("it has too many ranges"));
        }
        found.extend(stretch(part, size)?);
    }
    if found.is_empty() {
        return Err(if list.trim().is_empty() { Wrong::Refused("it has no range") } else { Wrong::Beyond });
    }
    if overlap(&found) {
        return Err(Wrong::Refused("its ranges overlap"));
    }
    Ok(Some(found))
}

/// One of `FIRST-LAST`, `FIRST-` and `-COUNT`; `None` if no byte of the blob is in it.
fn stretch(part: &str, size: u64) -> Result<Option<Stretch>, Wrong> {
    const MALFORMED: Wrong = Wrong::Refused("it is not well formed");
    let (first, last) = part.split_once('-').ok_or(MALFORMED)?;
    let (start, end) = match (number(first)?, number(last)?) {
        (Some(first), Some(last)) if last < first => return Err(MALFORMED),
        (Some(first), last) => (first, last.map_or(size, |last| last.saturating_add(1).min(size))),
        (None, Some(count)) => (size.saturating_sub(count), size),
        (None, None) => return Err(MALFORMED),
    };
    Ok(Some(Stretch { start, end }).filter(|stretch| stretch.start < stretch.end))
}

/// The number that `text` is, `None` if it is empty; one that is too large is as large as can be.
fn number(text: &str) -> Result<Option<u64>, Wrong> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::Refused("it is not well formed"));
    }
    Ok(if text.is_empty() { None } else { Some(text.parse().unwrap_or(u64::MAX)) })
}

fn overlap(stretches: &[Stretch]) -> bool {
    let mut sorted = stretches.to_vec();
    sorted.sort_unstable_by_key(|stretch| stretch.start);
    sorted.windows(2).any(|pair| matches!(pair, [one, next] if next.start < one.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_all_their_forms() {
        for (header, expected) in [
            ("bytes=0-0", &[(0, 1)][..]),
            ("bytes=5-", &[(5, 10)]),
            ("bytes=-3", &[(7, 10)]),
            ("bytes=-99", &[(0, 10)]),
            ("bytes=5-99999999999999999999999", &[(5, 10)]),
            ("BYTES = 1-2 , 4-4,", &[(1, 3), (4, 5)]),
            ("bytes=8-9,0-3", &[(8, 10), (0, 4)]),
            ("bytes=0-1,50-60", &[(0, 2)]),
        ] {
            let found = stretches(header, 10).expect(header).expect(header);
            assert_eq!(found, expected.iter().map(|&(start, end)| Stretch { start, end }).collect::<Vec<_>>(), "{header}");
        }
        assert_eq!(stretches("items=0-1", 10), Ok(None));
        assert_eq!(stretches("0-1", 10), Ok(None));
        assert_eq!(Stretch { start: 2, end: 5 }.content_range(10), "bytes 2-4/10");
    }

    #[test]
    fn what_cannot_be_answered_in_parts_is_refused_with_its_reason() {
        let many = format!("bytes={}", (0..=MAX_RANGES as u64).map(|n| format!("{0}-{0}", 2 * n)).collect::<Vec<_>>().join(","));
        for (header, wrong) in [
            ("bytes=10-", Wrong::Beyond),
            ("bytes=-0", Wrong::Beyond),
            ("bytes=99999999999999999999-", Wrong::Beyond),
            ("bytes=", Wrong::Refused("it has no range")),
            ("bytes=3-2", Wrong::Refused("it is not well formed")),
            ("bytes=-", Wrong::Refused("it is not well formed")),
            ("bytes=1", Wrong::Refused("it is not well formed")),
            ("bytes=+1-2", Wrong::Refused("it is not well formed")),
            ("bytes=0x1-2", Wrong::Refused("it is not well formed")),
            ("bytes=0-4,4-6", Wrong::Refused("its ranges overlap")),
            ("bytes=0-,0-", Wrong::Refused("its ranges overlap")),
            (&many, Wrong::Refused("it has too many ranges")),
        ] {
            assert_eq!(stretches(header, 10), Err(wrong), "{header}");
        }
        assert_eq!(stretches("bytes=0-", 0), Err(Wrong::Beyond));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_asked_for_lies_within_the_blob(header in "(bytes=)?[-0-9, =x]{0,60}", size in 0u64..100) {
            if let Ok(Some(found)) = stretches(&header, size) {
                assert!(found.iter().all(|stretch| stretch.start < stretch.end && stretch.end <= size));
                assert!(found.iter().map(|stretch| stretch.len()).sum::<u64>() <= size);
            }
        }
    }
}
