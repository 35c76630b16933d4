//! How the files of the project look: what style asks for and a compiler does not see.
//!
//! **Invariants.** Each rule names the file and the line that break it, all of them at once.
//!
//! *Not here:* who may use whom (`layering`), formatting and lints (`make check`).

use std::path::{Path, PathBuf};

#[allow(dead_code, unreachable_pub, reason = "shared with layering, which uses other parts of it")]
#[path = "support/source.rs"]
mod source;

use source::{files, find, is_test, project, read, tokens};

const SOURCES: [&str; 2] = ["src", "format/src"];
const MAX_LINES: usize = 500;

/// Fails with every complaint, one a line.
fn none(rule: &str, complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{rule}:\n{}", complaints.join("\n"));
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let all = files(&["src", "format", "tests", "benches", "fuzz"], "rs").into_iter();
    let silent = all.filter(|file| !read(file).starts_with("//! "));
    none("files that do not begin with `//! `", silent.map(|file| file.display().to_string()).collect());
}

#[test]
fn no_file_is_too_long_to_read() {
    let long = files(&SOURCES, "rs").into_iter().filter_map(|file| {
        let lines = read(&file).lines().count();
        (lines > MAX_LINES).then(|| format!("{}: {lines} lines", file.display()))
    });
    none("files longer than 500 lines: one file, one noun", long.collect());
}

#[test]
fn only_the_command_line_prints_exits_and_reads_the_environment() {
    let mut complaints = Vec::new();
    let is_library = |file: &&PathBuf| !file.starts_with("src/cli") && file.as_path() != Path::new("src/main.rs") && !is_test(file);
    for file in files(&SOURCES, "rs").iter().filter(is_library) {
        let code = tokens(&read(file));
        for words in [
            &["print", "!"][..],
            &["println", "!"],
            &["eprint", "!"],
            &["eprintln", "!"],
            &["dbg", "!"],
            &["stdout", "(", ")"],
            &["stderr", "(", ")"],
            &["process", "::", "exit"],
            &["process", "::", "abort"],
            &["env", "::"],
            &["std", "::", "env"],
        ] {
            complaints.extend(find(&code, words).map(|line| format!("{}:{line}: {}", file.display(), words.concat())));
        }
    }
    none("the library never prints, exits or reads the environment", complaints);
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mut complaints = Vec::new();
    for extension in ["rs", "md", "py", "toml", "sh", "yml"] {
        for file in files(&["src", "format", "tests", "tools", "docs", "benches", "fuzz"], extension) {
            let text = read(&file);
            let marked = text.lines().enumerate().filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
            complaints.extend(marked.map(|(at, line)| format!("{}:{}: {}", file.display(), at + 1, line.trim())));
        }
    }
    none("open ends", complaints);
}

#[test]
fn every_verb_of_the_readme_is_one_that_ocm_has() {
    let missing = verbs(&read("README.md")).into_iter().filter(|verb| {
        let cli = project().join("src/cli");
        cli.exists() && !cli.join(format!("{verb}.rs")).exists() && !cli.join(verb).exists()
    });
    none("verbs of README.md without a file in src/cli", missing.collect());
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents = files(&["docs"], "md");
    documents.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from));
    let mut broken = Vec::new();
    for document in documents {
        let text = read(&document);
        let here = document.parent().unwrap_or(Path::new(""));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let is_file = !link.is_empty() && !link.contains("://");
            if is_file && !project().join(here).join(link).exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    none("links to files that are not there", broken);
}

/// The documents that say which test shows what.
const EVIDENCE: [&str; 2] = ["docs/threat-model.md", "docs/reliability.md"];

#[test]
fn tests_that_documents_name_are_there() {
    let sources: String = files(&["src", "format", "tests", "fuzz"], "rs").iter().map(read).collect();
    let mut complaints = Vec::new();
    for document in EVIDENCE {
        let text = read(Path::new(document));
        let named = text.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() > 2 && !word.contains([' ', '/', '.', '$']));
        let gone = named.filter(|word| !sources.contains(&format!("fn {}(", word.rsplit(':').next().unwrap_or_default())));
        complaints.extend(gone.map(|word| format!("{document}: {word}")));
    }
    none("tests that are named and not there", complaints);
}

#[test]
fn a_verb_is_found_where_a_person_would_type_it() {
    let text = "```\n$ ocm sync a b\nocm ls x\n$ cargo build\n$ ocm --version\n```\n`ocm verify DIR` checks.\nocm is a tool.\n";
    assert_eq!(verbs(text), ["ls", "sync", "verify"]);
}

/// The verbs in commands: lines of code, in blocks or within a line, that begin with `ocm` or `$ ocm`.
fn verbs(text: &str) -> Vec<String> {
    let code = text.split('`').skip(1).step_by(2).flat_map(str::lines);
    let words = code.filter_map(|line| line.trim_start_matches("$ ").strip_prefix("ocm ")?.split_whitespace().next());
    let mut verbs: Vec<String> = words.filter(|word| word.chars().all(|c| c.is_ascii_lowercase())).map(str::to_owned).collect();
    verbs.sort();
    verbs.dedup();
    verbs
}
