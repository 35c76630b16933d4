//! [`Pages`]: walking a list that a registry hands out in pages (OCI distribution-spec, "Listing Tags": `Link`).
//!
//! **Invariants.** Only a path on the same host is ever followed. A walk ends: a page that was there before, more
//! than [`MAX_PAGES`] pages or more than [`MAX_LIST_BYTES`] bytes are an error, never a shorter list.
//!
//! *Not here:* what stands in a page (`tags`, `referrers`).

use std::collections::BTreeSet;

use url::Url;

use crate::error::{Error, Result};

/// The most pages of one list.
pub(super) const MAX_PAGES: usize = 10_000;

/// The most bytes of one list, over all its pages.
pub(super) const MAX_LIST_BYTES: u64 = 64 << 20;

/// A walk over the pages of one list.
pub(super) struct Pages {
    what: String,
    seen: BTreeSet<String>,
    bytes: u64,
}

impl Pages {
    /// A walk that begins at the page `first`; `what` names the list in errors.
    pub(super) fn new(what: impl Into<String>, first: &str) -> Self {
        Self { what: what.into(), seen: BTreeSet::from([first.to_owned()]), bytes: 0 }
    }

    /// The path of the page after one of `bytes` bytes that came from `url` with that `Link` header; `None` after the
    /// last.
    pub(super) fn after(&mut self, url: &str, link: Option<&str>, bytes: usize) -> Result<Option<String>> {
        self.bytes += bytes as u64;
        let Some(next) = link.and_then(next_target) else { return Ok(None) };
        let next = path_of(url, next).ok_or_else(|| self.refused(format!("its next page {next:?} is no address")))?;
        if self.bytes > MAX_LIST_BYTES {
            return Err(self.refused(format!("it is longer than {MAX_LIST_BYTES} bytes")));
        }
        if self.seen.len() >= MAX_PAGES {
            return Err(self.refused(format!("it has more than {MAX_PAGES} pages")));
        }
        if !self.seen.insert(next.clone()) {
            return Err(self.refused(format!("its pages go in a circle, back to {next}")));
        }
        Ok(Some(next))
    }

    fn refused(&self, why: String) -> Error {
        Error::failed(format!("{}: {why}", self.what)).hint("tell the operator of the registry: its lists do not end")
    }
}

/// The target of the link with `rel="next"` (RFC 8288).
fn next_target(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let parameters = after.split_once('<').map_or(after, |(before, _)| before);
        let is_next = |parameter: &str| {
            let (name, value) = parameter.trim().trim_end_matches(',').split_once('=').unwrap_or_default();
            let words = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel") && words.split(' ').any(|word| word.eq_ignore_ascii_case("next"))
        };
        if parameters.split(';').any(is_next) {
            return Some(target);
        }
        rest = after;
    }
    None
}

/// Path and query of `target`, relative to `url`. A host in it does not count: proxies tell the inner one.
fn path_of(url: &str, target: &str) -> Option<String> {
    let next = Url::parse(url).ok()?.join(target).ok()?;
    let query = next.query().map(|query| format!("?{query}")).unwrap_or_default();
    next.path().starts_with("/v2/").then(|| format!("{}{query}", next.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "https://reg.lab/v2/a/tags/list?n=2";

    #[test]
    fn links_are_followed_in_the_forms_that_registries_write() {
        for (link, path) in [
            (r#"</v2/a/tags/list?last=b&n=2>; rel="next""#, Some("/v2/a/tags/list?last=b&n=2")),
            (r#"<https://reg.lab/v2/a/tags/list?last=b>; rel="next""#, Some("/v2/a/tags/list?last=b")),
            (r#"<http://inner:5000/v2/a/tags/list?last=b>; rel=next"#, Some("/v2/a/tags/list?last=b")),
            (r#"<?next_page=xyz%3D>; rel="next""#, Some("/v2/a/tags/list?next_page=xyz%3D")),
            (r#"</v2/first>; rel="first", </v2/second>; rel="next""#, Some("/v2/second")),
            (r#"</v2/second>; title="x"; REL="prev next""#, Some("/v2/second")),
            (r#"</v2/first>; rel="first""#, None),
            ("nonsense", None),
        ] {
            assert_eq!(Pages::new("tags", "x").after(HERE, Some(link), 1).expect(link).as_deref(), path, "{link}");
        }
    }

    #[test]
    fn lists_without_end_are_cut_with_their_reason() {
        let next = |n: usize| format!("</v2/a/tags/list?last={n}>; rel=next");
        let mut circle = Pages::new("tags of a", "/v2/a/tags/list?last=0");
        circle.after(HERE, Some(&next(1)), 1).expect("a new page");
        let error = circle.after(HERE, Some(&next(0)), 1).expect_err("a circle").to_string();
        assert!(error.contains("tags of a: its pages go in a circle"), "{error}");

        let mut endless = Pages::new("tags of a", "x");
        let error = (0..=MAX_PAGES).find_map(|n| endless.after(HERE, Some(&next(n)), 1).err()).expect("cut").to_string();
        assert!(error.contains("more than 10000 pages"), "{error}");

        let mut heavy = Pages::new("tags of a", "x");
        let error = heavy.after(HERE, Some(&next(1)), MAX_LIST_BYTES as usize + 1).expect_err("too long").to_string();
        assert!(error.contains("longer than"), "{error}");
        assert!(Pages::new("tags", "x").after(HERE, Some("<https://reg.lab/evil>; rel=next"), 1).is_err());
    }
}
