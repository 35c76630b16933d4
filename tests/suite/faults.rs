//! Bad input and bad places: what a person is told, how the run ends, and that nothing partial is ever visible.
//!
//! *Not here:* interruptions (`resume`), lies that one request tells (`store::registry::tests`), every bit of a volume (`format`).

mod answers;
mod archives;
mod content;
mod fleet;
mod part;
mod places;
mod sectors;
mod storms;
mod targets;

use ocm::error::Error;
use ocm::transfer::{Class, Ending};
use ocm::workflow::sync::Outcome;

/// The error that an item ended with; the name is the end of its repository.
fn failure<'a>(outcome: &'a Outcome, name: &str) -> &'a Error {
    let item = outcome.report.items.iter().find(|one| one.item.origin.repository().path().ends_with(name));
    match item.map(|one| &one.ending) {
        Some(Ending::Failed(error)) => error,
        other => panic!("{name}: {other:?}"),
    }
}

/// Every word stands in the message.
#[track_caller]
fn assert_says(error: &Error, words: &[&str]) {
    for word in words {
        assert!(error.to_string().contains(word), "no {word:?} in: {error}");
    }
}

/// The way out has these words.
#[track_caller]
fn assert_hints(error: &Error, words: &str) {
    assert!(error.way_out().is_some_and(|hint| hint.contains(words)), "no {words:?} in: {error:?}");
}

/// All but the item of this name is complete, and the run ended so.
#[track_caller]
fn assert_only(outcome: &Outcome, name: &str, class: Class) {
    assert_eq!(outcome.class(), class, "{:?}", outcome.report);
    for one in &outcome.report.items {
        assert_eq!(one.has_failed(), one.item.origin.repository().path().ends_with(name), "{one:?}");
    }
}
