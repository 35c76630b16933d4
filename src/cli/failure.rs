//! Errors as a person sees them: what went wrong, what that means, and the way out.
//!
//! **Invariants.** One error, one block. The same cause on many items is one block with a count.
//!
//! *Not here:* colours (`console`), exit codes (`transfer::Class`).

use std::collections::BTreeMap;

use super::safe::safe;
use crate::error::Error;
use crate::image::{Digest, Reference};
use crate::transfer::{Ending, Outcome};

/// The block of one error.
#[must_use]
pub(super) fn block(error: &Error) -> String {
    let mut text = format!("error: {}\n", safe(&error.to_string()));
    for note in error.notes() {
        text += &format!("  {}\n", safe(note));
    }
    if let Some(hint) = error.way_out() {
        text += &format!("  hint:    {}\n", safe(hint));
    }
    text
}

/// Items that failed for one cause.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    /// The error, of the first of them.
    pub(super) error: &'a Error,
    /// What the errors have in common; that of a single item as it is.
    pub(super) cause: String,
    /// Their names, in the order of the report.
    pub(super) names: Vec<&'a Reference>,
}

/// The items of a report that failed, by cause, in the order of the first of each.
#[must_use]
pub(super) fn groups(outcomes: &[Outcome]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places = BTreeMap::new();
    for outcome in outcomes {
        let Ending::Failed(error) = &outcome.ending else { continue };
        let cause = common(&error.to_string(), &outcome.item.origin, outcome.item.digest().as_ref());
        let place = *places.entry((cause.clone(), error.way_out())).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.names.push(&outcome.item.origin),
            None => groups.push(Group { error, cause, names: vec![&outcome.item.origin] }),
        }
    }
    for group in groups.iter_mut().filter(|group| group.names.len() == 1) {
        group.cause = group.error.to_string();
    }
    groups
}

/// `text` with what belongs to one image alone replaced by a word, so that the same cause reads the same.
fn common(text: &str, origin: &Reference, digest: Option<&Digest>) -> String {
    let repository = origin.repository();
    let mut text = text.replace(&origin.to_string(), "IMAGE").replace(&origin.clone().or_latest().to_string(), "IMAGE");
    text = text.replace(&repository.to_string(), "IMAGE");
    // The path alone may be a word of another meaning, so it counts only as a part of a URL.
    text = text.replace(&format!("/{}/", repository.path()), "/IMAGE/");
    if let Some(digest) = digest.copied().or(origin.digest()) {
        text = text.replace(&digest.to_string(), "DIGEST");
    }
    match origin.tag() {
        Some(tag) => text.replace(&format!("IMAGE:{tag}"), "IMAGE").replace(&format!("/manifests/{tag}"), "/manifests/TAG"),
        None => text,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::image::Item;

    /// An item that failed.
    pub(in crate::cli) fn failed(name: &str, error: Error) -> Outcome {
        let origin: Reference = name.parse().expect("a name");
        Outcome { item: Item::image(origin.clone()), name: origin, ending: Ending::Failed(error) }
    }

    #[test]
    fn an_error_is_a_block_of_what_notes_and_way_out() {
        let error = Error::needed("set 2 refers to content of set 1")
            .note("missing: 3 layers")
            .note("bring:   set 1")
            .hint("--base DIR names more places to look");
        let text = "error: set 2 refers to content of set 1\n  missing: 3 layers\n  bring:   set 1\n  hint:    --base DIR names more places to look\n";
        assert_eq!(block(&error), text);
        assert_eq!(block(&Error::failed("a \u{1b}[2J\nb")), "error: a \\u{1b}[2J\\nb\n");
    }

    #[test]
    fn the_same_cause_on_many_images_is_one_group() {
        let refused =
            |name: &str| failed(name, Error::failed(format!("GET https://r.io/v2/{}/manifests/1: 401", &name[5..name.len() - 2])));
        let outcomes = [
            refused("r.io/a:1"),
            failed("r.io/x:1", Error::damaged("r.io/x:1: manifest: it does not match")),
            refused("r.io/b/c:1"),
            failed("r.io/y:2", Error::damaged("r.io/y:2: manifest: it does not match")),
            failed("r.io/z:2", Error::damaged("alone with r.io/z:2")),
        ];
        let found: Vec<_> = groups(&outcomes).into_iter().map(|group| (group.cause, group.names.len())).collect();
        let expected =
            [("GET https://r.io/v2/IMAGE/manifests/TAG: 401", 2), ("IMAGE: manifest: it does not match", 2), ("alone with r.io/z:2", 1)];
        assert_eq!(found, expected.map(|(cause, count)| (cause.to_owned(), count)));
    }
}
