//! Rust source files as tests read them: code alone, without comments, strings and unit tests.
//!
//! **Invariants.** Paths are relative to the project and sorted. Line numbers are those of the file.
//!
//! *Not here:* rules (`layering`, `tidy`).

use std::fs;
use std::path::{Path, PathBuf};

/// The directory of the project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the project.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below these directories with that extension, relative to the project, sorted; a directory that is not
/// there has none.
pub fn files(directories: &[&str], extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    directories.iter().for_each(|directory| walk(&project().join(directory), extension, &mut found));
    found.sort();
    found
}

fn walk(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.expect("an entry can be read").path()) {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|is| is == extension) {
            found.push(path.strip_prefix(project()).expect("it lies below").to_owned());
        }
    }
}

/// Whether a whole file is for tests: by its name, or because the module above declares it under `#[cfg(test)]`.
pub fn is_test(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let directory = path.parent().unwrap_or(Path::new(""));
    let above = [directory.join("mod.rs"), directory.join("lib.rs"), directory.with_extension("rs")];
    let declared = ["", "pub(crate)", "pub(super)"].map(|scope| format!("#[cfg(test)]{scope}mod{stem};"));
    let declares = |text: String| {
        let code: String = split(&text).into_iter().map(|token| token.text).collect();
        declared.iter().any(|declared| code.contains(declared))
    };
    stem == "tests" || above.iter().filter_map(|file| fs::read_to_string(project().join(file)).ok()).any(declares)
}

/// One word or sign of code, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// An identifier, `::`, or one other character.
    pub text: String,
    /// Counted from 1.
    pub line: usize,
}

/// The code of a file as tokens: without comments, without what is in strings, without `#[cfg(test)]` items.
pub fn tokens(text: &str) -> Vec<Token> {
    without_tests(&split(text))
}

/// Whether these words stand one after another, and on which line first.
pub fn find(tokens: &[Token], words: &[&str]) -> Option<usize> {
    let same = |window: &&[Token]| window.iter().zip(words).all(|(token, word)| token.text == *word);
    tokens.windows(words.len()).find(same).map(|window| window[0].line)
}

fn split(text: &str) -> Vec<Token> {
    let (mut tokens, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let size = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if raw_string(rest).is_some() => raw_string(rest).unwrap_or(1),
            '\'' => character(rest),
            _ if first.is_alphanumeric() || first == '_' => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(size);
        let is_code = !first.is_whitespace() && !token.starts_with("//") && !token.starts_with("/*");
        if is_code {
            let text = if token.contains('"') { "\"\"" } else { token };
            tokens.push(Token { text: text.to_owned(), line });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

fn block_comment(rest: &str) -> usize {
    rest.find("*/").map_or(rest.len(), |end| end + 2)
}

/// The length of a string literal, from its first quote.
fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of `r"…"`, `r#"…"#`, `b"…"`, `br#"…"#`, if that is what begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = rest.len() - rest.trim_start_matches(['r', 'b', 'c']).len();
    let after = rest.get(prefix..)?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after.get(hashes..)?.strip_prefix('"')?;
    if !rest.get(..prefix)?.contains('r') {
        return (hashes == 0).then(|| prefix + string(after));
    }
    let close = format!("\"{}", "#".repeat(hashes));
    Some(prefix + hashes + 1 + body.find(&close)? + close.len())
}

/// The length of a character literal, or of the quote alone where a lifetime begins.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => rest.char_indices().skip(3).find(|(_, c)| *c == '\'').map_or(rest.len(), |(at, _)| at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if find(&tokens[at..tokens.len().min(at + 7)], &["#", "[", "cfg", "(", "test", ")", "]"]).is_some() {
            at = end_of_item(tokens, at + 7);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the item that begins at `at` ends: after its `;` or its braces.
fn end_of_item(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0usize;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" if depth <= 1 => return place + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return place + 1,
            _ => {}
        }
    }
    tokens.len()
}
