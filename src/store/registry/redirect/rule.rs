//! [`Rule`]: what one `[[registry]]` table says of the names below its prefix.
//!
//! **Invariants.** Matching and rewriting are those of containers-registries.conf(5) and of the library behind podman and skopeo,
//! which looks at names without tag and digest. A rewritten name is checked like any other.
//!
//! *Not here:* which rule is the one for a name ([`Redirects`](super::Redirects)), how a table is read (`document`).

use std::sync::Arc;

use crate::error::Result;
use crate::image::Repository;

/// What a file says of the names below one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// `host[:port][/path]` or `*.host`.
    pub(super) prefix: String,
    /// What stands for the prefix where content is read; `None` is the prefix itself.
    pub(super) location: Option<String>,
    /// Whether any certificate will do there, and plain HTTP.
    pub(super) insecure: bool,
    /// Whether nothing may be read by these names.
    pub(super) blocked: bool,
    /// Where content is looked for first, in this order.
    pub(super) mirrors: Vec<Mirror>,
    /// The file that says so.
    pub(super) file: Arc<str>,
}

/// A place that has content of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    /// What stands for the prefix there.
    pub(super) location: String,
    /// Whether any certificate will do there, and plain HTTP.
    pub(super) insecure: bool,
    /// What it is asked for.
    pub(super) pulls: Pulls,
}

/// What a place is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pulls {
    /// Anything.
    All,
    /// What is named by digest.
    ByDigest,
    /// What is named by tag, and what belongs to that.
    ByTag,
}

/// How many bytes of `name` the prefix covers; `None` where it is not one. It ends where a part of the name ends. That a port may
/// follow is an accident of the library, and kept, so that a file means the same to both.
pub(super) fn covered(name: &str, prefix: &str) -> Option<usize> {
    let end = match prefix.strip_prefix('*').filter(|rest| rest.starts_with('.')) {
        Some(domain) => {
            let start = name.find(domain)?;
            (!name[..start].contains('/')).then_some(start + domain.len())?
        }
        None => name.starts_with(prefix).then_some(prefix.len())?,
    };
    (end == name.len() || name[end..].starts_with([':', '/', '@'])).then_some(end)
}

impl Rule {
    /// The name `origin` with `location` in place of what the prefix covers.
    pub(super) fn rewritten(&self, origin: &Repository, location: Option<&str>) -> Result<Repository> {
        let name = origin.to_string();
        let (Some(location), Some(covered)) = (location, covered(&name, &self.prefix)) else { return Ok(origin.clone()) };
        read(&format!("{location}{}", &name[covered..])).map_err(|error| error.context(format!("{origin} by {}", self.file)))
    }
}

/// A location is never a short name: a host without a dot is a host here.
fn read(name: &str) -> Result<Repository> {
    match name.split_once('/').unwrap_or((name, "")) {
        ("docker.io", _) => name.parse(),
        (host, path) => Repository::new(host, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_a_part_of_the_name_ends() {
        for (name, prefix, rest) in [
            ("quay.io/org/app", "quay.io", Some("/org/app")),
            ("quay.io/org/app", "quay.io/org", Some("/app")),
            ("quay.io/org/app", "quay.io/org/app", Some("")),
            ("quay.io/org/app", "quay.io/org/ap", None),
            ("quay.io/organic/app", "quay.io/org", None),
            ("quay.io.example.com/app", "quay.io", None),
            ("quay.io:5000/app", "quay.io", Some(":5000/app")),
            ("quay.io/app", "quay.io:5000", None),
            ("a.example.com/app", "*.example.com", Some("/app")),
            ("a.b.example.com/app", "*.example.com", Some("/app")),
            ("a.example.com:5000/app", "*.example.com", Some(":5000/app")),
            ("example.com/app", "*.example.com", None),
            ("a.example.community/app", "*.example.com", None),
            ("quay.io/a.example.com/app", "*.example.com", None),
        ] {
            assert_eq!(covered(name, prefix).map(|end| &name[end..]), rest, "{name} {prefix}");
        }
    }

    #[test]
    fn names_are_rewritten_from_their_prefix_on() {
        for (prefix, location, name, read) in [
            ("quay.io", "mirror.lab:5000/quay", "quay.io/org/app", Some("mirror.lab:5000/quay/org/app")),
            ("quay.io/org/app", "mirror.lab/one", "quay.io/org/app", Some("mirror.lab/one")),
            ("quay.io/org", "mirror/x", "quay.io/org/app", Some("mirror/x/app")),
            ("*.example.com", "mirror.lab/all", "a.b.example.com/app", Some("mirror.lab/all/app")),
            ("quay.io/library", "docker.io", "quay.io/library/nginx", Some("docker.io/library/nginx")),
            ("quay.io/org/app", "mirror.lab", "quay.io/org/app", None),
            ("quay.io", "mirror.lab/UPPER", "quay.io/org/app", None),
        ] {
            let rule = Rule { prefix: prefix.into(), ..rule() };
            let made = rule.rewritten(&name.parse().expect("a name"), Some(location));
            assert_eq!(made.ok().map(|name| name.to_string()).as_deref(), read, "{name} {prefix} {location}");
        }
        let origin: Repository = "a.example.com/app".parse().expect("a name");
        assert_eq!(Rule { prefix: "*.example.com".into(), ..rule() }.rewritten(&origin, None).expect("the same"), origin);
    }

    fn rule() -> Rule {
        Rule { prefix: String::new(), location: None, insecure: false, blocked: false, mirrors: Vec::new(), file: "x.conf".into() }
    }
}
