//! The arrows of `docs/architecture.md`, held against every path that the source names.
//!
//! **Invariants.** The block of arrows in the document is the rule; there is no second list. Unit tests may use what
//! they like: an arrow is about what ships.
//!
//! *Not here:* how files look (`tidy`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[allow(dead_code, unreachable_pub, reason = "shared with tidy, which uses other parts of it")]
#[path = "support/source.rs"]
mod source;

use source::{Token, files, find, is_test, read, tokens};

/// One path that the source names, resolved from the crate's root.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    path: Vec<String>,
    line: usize,
}

/// What each module may use, as the document says it.
type Arrows = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_path_follows_an_arrow() {
    let arrows = arrows(&read("docs/architecture.md"));
    let mut wrong = Vec::new();
    for file in files(&["src"], "rs").iter().filter(|file| !is_test(file)) {
        let from = module_of(file);
        let Some(top) = from.first() else { continue };
        let Some(allowed) = arrows.get(top) else {
            wrong.push(format!("{}: no arrow begins at {top}", file.display()));
            continue;
        };
        for named in paths(&tokens(&read(file)), &from) {
            if let Some(why) = verdict(&from, &named.path, allowed, &arrows) {
                wrong.push(format!("{}:{}: {}: {why}", file.display(), named.line, named.path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "paths against the arrows of docs/architecture.md:\n{}", wrong.join("\n"));
}

#[test]
fn arrows_make_no_circle() {
    let arrows = arrows(&read("docs/architecture.md"));
    let mut settled = BTreeSet::from(["ocm_format"]);
    while let Some(next) =
        arrows.iter().find(|(from, to)| !settled.contains(from.as_str()) && to.iter().all(|to| settled.contains(base(to))))
    {
        settled.insert(next.0.as_str());
    }
    let left: Vec<&String> = arrows.keys().filter(|name| !settled.contains(name.as_str())).collect();
    assert!(left.is_empty(), "these see each other: {left:?}");
}

#[test]
fn some_rooms_have_no_door_to_the_outside() {
    for (directory, words) in [
        ("src/image", &["std::fs", "std::env", "std::process", "TcpStream", "ToSocketAddrs", "tokio", "reqwest"][..]),
        ("src/plan", &["std::fs", "TcpStream", "tokio::fs", "tokio::net", "reqwest"]),
        ("src/serve", &["Sink"]),
        ("src/mount", &["Sink"]),
        ("format/src", &["tokio", "reqwest", "std::net", "std::env", "std::thread::sleep", "SystemTime", "Instant"]),
    ] {
        for file in files(&[directory], "rs").iter().filter(|file| !is_test(file)) {
            let code = tokens(&read(file));
            for word in words {
                let parts: Vec<&str> = word.split("::").flat_map(|part| ["::", part]).skip(1).collect();
                assert_eq!(find(&code, &parts), None, "{} names {word}", file.display());
            }
        }
    }
}

#[test]
fn names_of_workflows_stay_in_workflow_and_cli() {
    for file in files(&["src", "format/src"], "rs") {
        if file.starts_with("src/cli") || file.starts_with("src/workflow") || file == Path::new("src/workflow.rs") {
            continue;
        }
        let code = tokens(&read(&file));
        for token in code {
            let words: Vec<&str> = token.text.split('_').collect();
            let is_mode = words.iter().any(|word| ["m2d", "d2m", "m2m"].contains(&word.to_lowercase().as_str()));
            assert!(!is_mode, "{}:{}: {} is a workflow's name", file.display(), token.line, token.text);
        }
    }
}

#[test]
fn a_path_is_found_however_it_is_written() {
    let text = r##"
        //! [`crate::comment`]
        use crate::{image::{Digest, ends::*}, plan};
        use super::memory;
        pub(super) fn f(c: char) -> crate::error::Result<u8> { if c == '"' { panic!("crate::string") } else { r#"crate::raw"#; 'x' } }
        fn g<'a>(x: &'a str) -> ocm_format::digest::Digest { self::inner::h(x) }
        #[cfg(test)]
        mod tests { use crate::store::memory; }
        use crate::monitor::Event;
    "##;
    let from = ["store", "wrap"].map(str::to_owned);
    let found: Vec<String> = paths(&tokens(text), &from).into_iter().map(|named| named.path.join("::")).collect();
    assert_eq!(
        found,
        [
            "image::Digest",
            "image::ends::*",
            "plan",
            "store::memory",
            "error::Result",
            "ocm_format::digest::Digest",
            "store::wrap::inner::h",
            "monitor::Event",
        ]
    );
}

#[test]
fn an_arrow_the_wrong_way_is_seen() {
    let arrows = arrows(&read("docs/architecture.md"));
    for (from, to, good) in [
        ("image", "error::Error", true),
        ("image", "ocm_format::digest::Digest", true),
        ("image", "ocm_format::writer", false),
        ("image", "store::memory", false),
        ("plan", "store::memory", false),
        ("store::archive::sink", "ocm_format::writer::Writer", true),
        ("store::registry::pull", "ocm_format::writer::Writer", false),
        ("store::registry::pull", "store::registry::connection", true),
        ("store::registry::pull", "store::layout::Layout", false),
        ("store::wrap", "store::memory::Memory", false),
        ("store::layout::sink", "store::family::Family", true),
        ("store::registry", "store::family::Family", false),
        ("store::layout", "plan::Plan", false),
        ("transfer", "plan::Plan", true),
        ("transfer", "store::memory", false),
        ("workflow", "store::archive::Archive", true),
        ("workflow", "ocm_format::digest::Digest", false),
        ("cli::sync", "workflow::sync", true),
        ("cli::sync", "store::registry::Registry", false),
    ] {
        let [from, path] = [from, to].map(|text| text.split("::").map(str::to_owned).collect::<Vec<_>>());
        let why = verdict(&from, &path, &arrows[&from[0]], &arrows);
        assert_eq!(why.is_none(), good, "{} uses {to}: {why:?}", from.join("::"));
    }
}

/// The lines `name name <- name name` of the block that begins with ```` ```arrows ````.
fn arrows(document: &str) -> Arrows {
    let block = document.split("```arrows\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of arrows");
    let mut arrows = Arrows::new();
    for line in block.lines() {
        let (from, to) = line.split_once("<-").unwrap_or_else(|| panic!("{line:?} is no arrow"));
        let to: BTreeSet<String> = to.split_whitespace().map(str::to_owned).collect();
        from.split_whitespace().for_each(|from| assert!(arrows.insert(from.to_owned(), to.clone()).is_none(), "{from} twice"));
    }
    arrows
}

/// The module that a name of an arrow stands in: `ocm_format` of `ocm_format::digest`.
fn base(name: &str) -> &str {
    name.split("::").next().unwrap_or(name)
}

/// Why `from` may not name `path`; `None` where it may.
fn verdict(from: &[String], path: &[String], allowed: &BTreeSet<String>, arrows: &Arrows) -> Option<String> {
    let target = path.first()?;
    // A part of a module may have arrows of its own: `store::archive <- ocm_format`.
    let own = from.get(..2).and_then(|two| arrows.get(&two.join("::")));
    let may = |allowed: &BTreeSet<String>| {
        allowed.contains(target) || path.get(1).is_some_and(|second| allowed.contains(&format!("{target}::{second}")))
    };
    let is_module = target == "ocm_format" || arrows.contains_key(target);
    let is_home = target == &from[0] && !is_other_store(from, path);
    let good = !is_module || is_home || may(allowed) || own.is_some_and(may);
    (!good).then(|| format!("{} may not use it", from.join("::")))
}

/// Stores do not see each other: below `store`, only the own subtree and what `store` itself defines.
fn is_other_store(from: &[String], path: &[String]) -> bool {
    let (Some(own), Some(other)) = (from.get(1), path.get(1)) else { return false };
    from[0] == "store" && other.starts_with(char::is_lowercase) && own != other
}

/// The module that a file is: `["store", "wrap"]`; of `lib.rs` the root, of `main.rs` its own.
fn module_of(file: &Path) -> Vec<String> {
    let inside = file.strip_prefix("src").expect("a file of src").with_extension("");
    let mut parts: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts
}

/// Every path that begins with `crate`, `super`, `self`, `ocm` or `ocm_format`.
fn paths(tokens: &[Token], from: &[String]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 1 < tokens.len() {
        let begins = tokens[at + 1].text == "::" && (at == 0 || tokens[at - 1].text != "::");
        let root = match tokens[at].text.as_str() {
            "crate" | "ocm" if begins => Some((Vec::new(), at + 2)),
            "self" if begins => Some((from.to_vec(), at + 2)),
            "super" if begins => Some(above(tokens, at, from)),
            "ocm_format" if begins => Some((vec!["ocm_format".to_owned()], at + 2)),
            _ => None,
        };
        at = match root {
            Some((root, next)) => tree(tokens, next, root, &mut found),
            None => at + 1,
        };
    }
    found
}

/// Climbs up one module for each `super::`.
fn above(tokens: &[Token], mut at: usize, from: &[String]) -> (Vec<String>, usize) {
    let mut root = from.to_vec();
    while tokens.get(at).is_some_and(|token| token.text == "super") && tokens.get(at + 1).is_some_and(|token| token.text == "::") {
        root.pop();
        at += 2;
    }
    (root, at)
}

/// Reads the rest of a path, which may branch in braces, and answers where it ends.
fn tree(tokens: &[Token], mut at: usize, mut path: Vec<String>, found: &mut Vec<Named>) -> usize {
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            return branches(tokens, at + 1, &path, found);
        }
        let is_name = token.text == "*" || token.text.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if !is_name {
            break;
        }
        path.push(token.text.clone());
        if tokens.get(at + 1).is_none_or(|next| next.text != "::") {
            found.push(Named { path, line: token.line });
            return at + 1;
        }
        at += 2;
    }
    let line = tokens.get(at).map_or(0, |token| token.line);
    found.push(Named { path, line });
    at
}

fn branches(tokens: &[Token], mut at: usize, path: &[String], found: &mut Vec<Named>) -> usize {
    while let Some(token) = tokens.get(at) {
        at = match token.text.as_str() {
            "}" => return at + 1,
            "," => at + 1,
            _ => tree(tokens, at, path.to_vec(), found).max(at + 1),
        };
    }
    at
}
