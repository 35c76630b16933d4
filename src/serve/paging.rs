//! [`Page`]: which part of a long list a request asks for, and the link to what follows (OCI distribution-spec, "Listing Tags").
//!
//! **Invariants.** A page is never longer than [`MAX_ENTRIES`]; `last` is exclusive.
//!
//! *Not here:* the lists (`lists`, `referrers`).

use url::form_urlencoded;

use super::refusal::Refusal;

/// The most entries of one page; what follows has a link.
pub(super) const MAX_ENTRIES: usize = 1000;

/// Which part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    n: Option<usize>,
    /// The entry that it begins after.
    pub(super) last: Option<String>,
}

impl Page {
    /// What `query` asks for; parameters that it does not know mean nothing.
    pub(super) fn of(query: Option<&str>) -> Result<Self, Refusal> {
        let n = parameter(query, "n").filter(|n| !n.is_empty());
        let n = n.map(|n| n.parse::<u32>().map_err(|_| Refusal::number_invalid(&n))).transpose()?;
        Ok(Self { n: n.map(|n| usize::try_from(n).unwrap_or(usize::MAX)), last: parameter(query, "last").filter(|last| !last.is_empty()) })
    }

    /// The first entries of `all` as far as they belong to this page, and the query for what follows, if anything does.
    pub(super) fn cut<'a>(&self, all: impl Iterator<Item = &'a str>) -> (Vec<&'a str>, Option<String>) {
        let most = self.n.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES);
        let mut entries: Vec<&str> = all.take(most.saturating_add(1)).collect();
        let more = entries.len() > most;
        entries.truncate(most);
        let next = entries.last().filter(|_| more).map(|last| query(&[("n", &most.to_string()), ("last", last)]));
        (entries, next)
    }
}

/// The value of a parameter of a query; the first one counts.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A query of these parameters.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The header `Link` that leads on: the same path with another query.
pub(super) fn link(path: &str, query: &str) -> String {
    format!("<{path}?{query}>; rel=\"next\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(query: &str) -> (Vec<&'static str>, Option<String>) {
        Page::of(Some(query)).expect(query).cut(["a", "b", "c"].into_iter())
    }

    #[test]
    fn a_page_ends_with_a_link_if_more_follows() {
        assert_eq!(cut(""), (vec!["a", "b", "c"], None));
        assert_eq!(cut("ns=docker.io&x"), (vec!["a", "b", "c"], None));
        assert_eq!(cut("n=3"), (vec!["a", "b", "c"], None));
        assert_eq!(cut("n=2"), (vec!["a", "b"], Some("n=2&last=b".into())));
        assert_eq!(cut("n=0"), (vec![], None));
        assert_eq!(cut("n=4294967295"), (vec!["a", "b", "c"], None));
        for wrong in ["n=-1", "n=x", "n=99999999999"] {
            assert_eq!(Page::of(Some(wrong)).expect_err(wrong).code, "PAGINATION_NUMBER_INVALID");
        }
        assert_eq!(Page::of(Some("last=%2Fx&n=1")).expect("a page").last.as_deref(), Some("/x"));
    }
}
