//! [`read`]: the rules in the text of one file in the form of containers-registries.conf(5), version 2.
//!
//! **Invariants.** What the library behind podman refuses of rules is refused, with file, line and column. Keys that are not known
//! are passed over, as there: another program may know them.
//!
//! *Not here:* which files are read (`files`), what rules mean (`rule`). Search registries, aliases and helpers for credentials are
//! passed over: a short name has one meaning (`image::name`).

use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::rule::{Mirror, Pulls, Rule};
use crate::error::{Error, Result};

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    registry: Vec<Spanned<Table>>,
    #[serde(default)]
    registries: Option<Spanned<FirstVersion>>,
}

/// One `[[registry]]`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Table {
    prefix: Option<Spanned<String>>,
    location: Option<Spanned<String>>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    pull_from_mirror: Option<Spanned<String>>,
    #[serde(default)]
    mirror: Vec<Spanned<MirrorTable>>,
}

/// One `[[registry.mirror]]`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MirrorTable {
    location: Option<Spanned<String>>,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<Spanned<String>>,
}

/// What a file of version 1 has in place of `[[registry]]`.
#[derive(Deserialize)]
struct FirstVersion {
    #[serde(default)]
    search: Names,
    #[serde(default)]
    insecure: Names,
    #[serde(default)]
    block: Names,
}

#[derive(Deserialize, Default)]
struct Names {
    #[serde(default)]
    registries: Vec<String>,
}

/// The rules in `text`, which is the content of `file`, in their order.
pub(super) fn read(text: &str, file: &str) -> Result<Vec<Rule>> {
    let source = Text { text, file: file.into() };
    let document: Document = toml::from_str(text).map_err(|error| {
        let what = error.message().lines().collect::<Vec<_>>().join(", ");
        source.error(error.span().unwrap_or_default(), &what)
    })?;
    if let Some(old) = document.registries.filter(|old| old.get_ref().says_something()) {
        return Err(source
            .error(old.span(), "this is version 1 of the format, which knows no mirrors and is not read")
            .hint("write a [[registry]] table with a location for each registry that is insecure or blocked"));
    }
    let rules = document.registry.iter().map(|table| Ok((source.rule(table)?, table.span()))).collect::<Result<Vec<_>>>()?;
    source.check_agreement(&rules)?;
    Ok(rules.into_iter().map(|(rule, _)| rule).collect())
}

impl FirstVersion {
    fn says_something(&self) -> bool {
        [&self.search, &self.insecure, &self.block].iter().any(|names| !names.registries.is_empty())
    }
}

/// A text, and the file that it is of.
struct Text<'a> {
    text: &'a str,
    file: Arc<str>,
}

impl Text<'_> {
    fn rule(&self, table: &Spanned<Table>) -> Result<Rule> {
        let (at, table) = (table.span(), table.get_ref());
        let (written, location) = (self.name(table.prefix.as_ref())?, self.name(table.location.as_ref())?);
        let prefix = match (written, &location) {
            (None, None) => return Err(self.error(at, "[[registry]] has neither prefix nor location")),
            (None, Some(location)) => location.clone(),
            (Some(prefix), None) if !prefix.starts_with("*.") => {
                return Err(self
                    .error(at, &format!("prefix {prefix:?} has no location"))
                    .hint("name the location too, the same if need be"));
            }
            (Some(prefix), _) => prefix,
        };
        if let Some(only) = &table.pull_from_mirror {
            return Err(self.error(only.span(), "pull-from-mirror stands in a [[registry.mirror]] table alone"));
        }
        let mirrors = table.mirror.iter().map(|mirror| self.mirror(mirror, table.mirror_by_digest_only)).collect::<Result<_>>()?;
        Ok(Rule { prefix, location, insecure: table.insecure, blocked: table.blocked, mirrors, file: Arc::clone(&self.file) })
    }

    fn mirror(&self, mirror: &Spanned<MirrorTable>, by_digest_only: bool) -> Result<Mirror> {
        let (at, table) = (mirror.span(), mirror.get_ref());
        let location = self.name(table.location.as_ref())?.ok_or_else(|| self.error(at, "[[registry.mirror]] has no location"))?;
        let pulls = match table.pull_from_mirror.as_ref().map(|word| (word.get_ref().as_str(), word.span())) {
            None | Some(("", _)) => {
                if by_digest_only {
                    Pulls::ByDigest
                } else {
                    Pulls::All
                }
            }
            Some((_, at)) if by_digest_only => {
                return Err(self.error(at, "pull-from-mirror and mirror-by-digest-only exclude each other"));
            }
            Some(("all", _)) => Pulls::All,
            Some(("digest-only", _)) => Pulls::ByDigest,
            Some(("tag-only", _)) => Pulls::ByTag,
            Some((other, at)) => {
                return Err(self.error(at, &format!("pull-from-mirror {other:?} is none of all, digest-only, tag-only")));
            }
        };
        Ok(Mirror { location, insecure: table.insecure, pulls })
    }

    /// A prefix or location without slashes at its end; `None` where it is not there or empty.
    fn name(&self, written: Option<&Spanned<String>>) -> Result<Option<String>> {
        let Some(written) = written else { return Ok(None) };
        let name = written.get_ref().trim_end_matches('/');
        if name.contains("://") {
            return Err(self.error(written.span(), &format!("{name:?} has a scheme")).hint("write HOST[:PORT][/PATH]"));
        }
        Ok(Some(name.to_owned()).filter(|name| !name.is_empty()))
    }

    /// Refuses two rules of one location that do not agree whether it may be read, and how.
    fn check_agreement(&self, rules: &[(Rule, Range<usize>)]) -> Result<()> {
        let place = |rule: &Rule| rule.location.clone().unwrap_or_else(|| rule.prefix.clone());
        for (index, (rule, at)) in rules.iter().enumerate() {
            for (earlier, _) in rules.iter().take(index).filter(|(earlier, _)| place(earlier) == place(rule)) {
                let word = match (earlier.insecure == rule.insecure, earlier.blocked == rule.blocked) {
                    (true, true) => continue,
                    (false, _) => "insecure",
                    (true, false) => "blocked",
                };
                return Err(self.error(at.clone(), &format!("{} is there twice, and once it is {word}", place(rule))));
            }
        }
        Ok(())
    }

    /// What is wrong at a place in the text.
    fn error(&self, at: Range<usize>, what: &str) -> Error {
        let before = self.text.get(..at.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Error::usage(format!("{}:{line}:{column}: {what}", self.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_rule() {
        let text = r#"
            unqualified-search-registries = ["example.com"]
            short-name-mode = "enforcing"
            [[registry]]
            prefix = "quay.io/org"
            location = "internal.lab:5000/org/"
            insecure = true
            [[registry.mirror]]
            location = "one.lab"
            [[registry.mirror]]
            location = "two.lab/x/"
            insecure = true
            pull-from-mirror = "tag-only"
            [[registry]]
            location = "docker.io"
            blocked = true
            mirror-by-digest-only = true
            mirror = [{ location = "three.lab" }]
            [[registry]]
            prefix = "*.example.com"
            [aliases]
            app = "quay.io/org/app"
        "#;
        let rules = read(text, "x").expect("rules");
        let file: Arc<str> = "x".into();
        let mirror = |location: &str, insecure, pulls| Mirror { location: location.into(), insecure, pulls };
        let rule = |prefix: &str, location: Option<&str>, insecure, blocked, mirrors| {
            let (prefix, location, file) = (prefix.into(), location.map(Into::into), Arc::clone(&file));
            Rule { prefix, location, insecure, blocked, mirrors, file }
        };
        let two = vec![mirror("one.lab", false, Pulls::All), mirror("two.lab/x", true, Pulls::ByTag)];
        let one = vec![mirror("three.lab", false, Pulls::ByDigest)];
        assert_eq!(
            rules,
            [
                rule("quay.io/org", Some("internal.lab:5000/org"), true, false, two),
                rule("docker.io", Some("docker.io"), false, true, one),
                rule("*.example.com", None, false, false, Vec::new()),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, said) in [
            ("invalid", "x:1:8: "),
            ("[[registry]]\nlocation = 1", "x:2:12: invalid type: integer `1`, expected a string"),
            ("[[registry]]\ninsecure = true", "x:1:1: [[registry]] has neither prefix nor location"),
            ("[[registry]]\nprefix = \"a.b\"", "x:1:1: prefix \"a.b\" has no location"),
            ("[[registry]]\nlocation = \"https://a.b\"", "x:2:12: \"https://a.b\" has a scheme"),
            ("[[registry]]\nlocation = \"a.b\"\npull-from-mirror = \"all\"", "x:3:20: pull-from-mirror stands in"),
            ("[[registry]]\nlocation = \"a.b\"\n[[registry.mirror]]\ninsecure = true", "x:3:1: [[registry.mirror]] has no location"),
            ("[[registry]]\nlocation = \"a.b\"\nmirror = [{ location = \"c\", pull-from-mirror = \"no\" }]", "\"no\" is none of all"),
            (
                "[[registry]]\nlocation = \"a.b\"\nmirror-by-digest-only = true\nmirror = [{ location = \"c\", pull-from-mirror = \"all\" }]",
                "exclude each other",
            ),
            (
                "[[registry]]\nlocation = \"a.b\"\n[[registry]]\nlocation = \"a.b\"\nblocked = true",
                "x:3:1: a.b is there twice, and once it is blocked",
            ),
            ("[registries.search]\nregistries = [\"a.b\"]", "version 1"),
        ] {
            let error = read(text, "x").expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(read("[registries.search]\nregistries = []", "x").expect("it says nothing").is_empty());
    }
}
