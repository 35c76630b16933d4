//! Bytes that nobody would write. Nothing panics, and what a file costs is bounded.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{HEAD, STARTER, checked};
use crate::config::{MAX_FINDINGS, Source, check};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Source::new("f", bytes).map(|source| check(source, false));
    }

    #[test]
    fn any_text_of_the_signs_of_yaml_is_read_or_refused(text in "[-a-c0-2:,&*!|>%@?#'\"{}\\[\\]<~ \t\n]{0,200}") {
        let read = checked(&format!("{HEAD}mirror:\n{text}"), true);
        prop_assert_eq!(read.configuration.is_some(), read.findings.is_empty());
        for finding in &read.findings {
            prop_assert!(finding.excerpt(&read.source).iter().all(|line| line.len() < 2000));
        }
    }

    #[test]
    fn a_configuration_with_something_else_in_it_is_read_or_refused(at in 0..STARTER.len(), with in "\\PC{0,20}", cut in 0..40_usize) {
        let start: String = STARTER.chars().take(at).collect();
        let rest: String = STARTER.chars().skip(at + cut).collect();
        let _ = checked(&format!("{start}{with}{rest}"), false);
    }
}

#[test]
fn a_file_of_findings_costs_as_little_as_a_sound_one() {
    let names = (0..100_000).fold(format!("{HEAD}mirror:\n"), |text, number| text + &format!("  x{number}: 1\n"));
    let entries = format!("{HEAD}mirror:\n  additionalImages:\n{}", "  - nmae: 1\n".repeat(100_000));
    let long = format!("{HEAD}mirror:\n  {}: 1\n", "x".repeat(4 << 20));
    for text in [names, entries, long] {
        let begun = Instant::now();
        let read = checked(&text, false);
        assert!(!read.findings.is_empty() && read.findings.len() <= MAX_FINDINGS + 1);
        assert!(read.findings.iter().all(|finding| finding.what.len() < 500), "{:?}", read.findings[0].what.len());
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?} for {}…", begun.elapsed(), &text[..90]);
    }
}
