//! Fields that the API has not: what to write instead.
//!
//! **Invariants.** A field of an earlier API is named as such; `storageConfig` alone is passed over with a warning
//! (semantics H.5), because it asked for nothing that is mirrored.

use super::finding::{Findings, quoted};
use super::path::Path;
use super::yaml::Pair;

/// Fields of `v1alpha1` and `v1alpha2` that are no more, and of which nothing close is left.
const FORMER: [(&str, &str); 13] = [
    ("allPackages", "write full: true"),
    ("bundles", "write minVersion and maxVersion"),
    ("headsOnly", "leave it out: the newest of each channel is the default; for headsOnly: false write full: true"),
    ("minBundle", "write minVersion"),
    ("ocp", "write platform"),
    ("originalRef", "leave it out: catalog says where it comes from"),
    ("repos", "write repositories"),
    ("selectedBundles", "write minVersion and maxVersion"),
    ("skipDeps", "leave it out: dependencies are never added"),
    ("startingVersion", "write minVersion"),
    ("targetName", "write targetCatalog, with all of the path"),
    ("allowedVersions", "write minVersion and maxVersion"),
    ("versions", "write minVersion and maxVersion"),
];

/// Keys longer than that are like no known one.
const MAX_KEY: usize = 64;

/// Reports a key that is not among `known` in `path`.
pub(super) fn report(pair: &Pair, path: &Path<'_>, known: &[&str], findings: &mut Findings) {
    let key = &*pair.key;
    if key.eq_ignore_ascii_case("storageConfig") && known.contains(&"archiveSize") {
        findings.warning(pair.place, "storageConfig is ignored: the workspace keeps what it kept").help("leave it out");
        return;
    }
    if let Some(stanza) = ["mirror", "delete"].iter().find(|stanza| key.eq_ignore_ascii_case(stanza) && known.contains(&"apiVersion")) {
        findings
            .error(pair.place, format!("{stanza}: is not allowed in {path}"))
            .help("keep what is mirrored and what is deleted in two files");
        return;
    }
    findings.error(pair.place, format!("unknown field {} in {path}", quoted(key))).help(instead(key, known));
}

fn instead(key: &str, known: &[&str]) -> String {
    if let Some((_, instead)) = FORMER.iter().find(|(former, _)| former.eq_ignore_ascii_case(key)) {
        return format!("of an earlier API; {instead}");
    }
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The one of `known` that `word` was meant to be, if one is close enough.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_KEY {
        return None;
    }
    let word = word.to_lowercase();
    let distance = |candidate: &str| strsim::osa_distance(&word, &candidate.to_lowercase());
    let (distance, near) = known.map(|candidate| (distance(candidate), candidate)).min_by_key(|(distance, _)| *distance)?;
    (distance <= (near.len() / 3).max(1)).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_and_another_word_is_not() {
        let near = |word| nearest(word, ["minVersion", "maxVersion", "name", "full"].into_iter());
        assert_eq!(near("minVerson"), Some("minVersion"));
        assert_eq!(near("mixVersion"), Some("minVersion"));
        assert_eq!(near("fulll"), Some("full"));
        assert_eq!(near("nmae"), Some("name"));
        assert_eq!(near("catalog"), None);
        assert_eq!(near(&"x".repeat(100_000)), None);
    }
}
