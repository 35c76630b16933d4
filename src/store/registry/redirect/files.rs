//! [`Files`]: where rules are written down, and all of them together.
//!
//! **Invariants.** A later file replaces the whole rule that an earlier one has for the same prefix. A file that was named must be
//! there; one that is only looked for need not.
//!
//! *Not here:* what is in a file (`document`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::document;
use super::rule::Rule;
use crate::environment::Environment;
use crate::error::{Error, Result};

/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Where the machine keeps what is the same for all its users.
const SYSTEM: &str = "/etc/containers";

/// The files of one run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    /// The file that is read first.
    main: PathBuf,
    /// Whether somebody named it.
    named: bool,
    /// Directories of which every `*.conf` is read then.
    drop_ins: Vec<PathBuf>,
}

impl Files {
    /// The file `named`, and what lies in the directory beside it called the same with `.d`; without one, what podman would read.
    pub(super) fn find(environment: &Environment, named: Option<&Path>) -> Self {
        Self::find_in(Path::new(SYSTEM), environment, named)
    }

    fn find_in(system: &Path, environment: &Environment, named: Option<&Path>) -> Self {
        if let Some(named) = named {
            return Self { main: named.to_owned(), named: true, drop_ins: vec![beside(named)] };
        }
        let system = system.join("registries.conf");
        let own = environment.path("HOME").map(|home| home.join(".config/containers/registries.conf"));
        let both = std::iter::once(&system).chain(&own).map(|file| beside(file)).collect();
        match (environment.path("CONTAINERS_REGISTRIES_CONF"), own.filter(|own| own.exists())) {
            (Some(main), _) => Self { main, named: true, drop_ins: both },
            (None, Some(own)) => Self { drop_ins: vec![beside(&own)], main: own, named: false },
            (None, None) => Self { main: system, named: false, drop_ins: both },
        }
    }

    /// All rules by prefix.
    pub(super) fn rules(&self) -> Result<BTreeMap<String, Rule>> {
        let mut rules = BTreeMap::new();
        let main = text(&self.main)?;
        if main.is_none() && self.named {
            return Err(Error::usage(format!("{}: it is not there", self.main.display())).hint("name another file with --registries-conf"));
        }
        let mut take = |text: &str, file: &Path| -> Result<()> {
            let read = document::read(text, &file.display().to_string());
            let read = read.map_err(|error| error.hint("correct the file, or name another with --registries-conf"))?;
            rules.extend(read.into_iter().map(|rule| (rule.prefix.clone(), rule)));
            Ok(())
        };
        main.map_or(Ok(()), |main| take(&main, &self.main))?;
        for folder in &self.drop_ins {
            for file in drop_ins(folder)? {
                text(&file)?.map_or(Ok(()), |text| take(&text, &file))?;
            }
        }
        Ok(rules)
    }
}

/// `FILE.d`.
fn beside(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".d");
    name.into()
}

/// What a file holds; `None` where there is none.
fn text(path: &Path) -> Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(Error::io(path.display(), &error)),
    };
    let mut text = String::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| Error::io(path.display(), &error))?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(Error::usage(format!("{}: it is longer than the {MAX_FILE_BYTES} bytes that are read", path.display())));
    }
    Ok(Some(text))
}

/// The files `*.conf` in a directory, in lexical order; none where there is no such directory.
fn drop_ins(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| Error::io(folder.display(), &error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "conf") && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, rules: &[(&str, &str)]) {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        let rules = rules.iter().map(|(prefix, location)| format!("[[registry]]\nprefix = \"{prefix}\"\nlocation = \"{location}\"\n"));
        std::fs::write(path, rules.collect::<String>()).expect("a file");
    }

    #[test]
    fn files_are_found_where_podman_finds_them() {
        let folder = tempfile::tempdir().expect("a directory");
        let at = |path: &str| folder.path().join(path);
        let (home, system) = (at("home"), at("etc"));
        let environment = Environment::from_iter([("HOME", home.display().to_string())]);
        let other = Environment::from_iter([("CONTAINERS_REGISTRIES_CONF", "/x/other.conf")]);
        let files = |main: PathBuf, named, drop_ins: &[PathBuf]| Files { main, named, drop_ins: drop_ins.to_vec() };
        let (own, all) = (home.join(".config/containers/registries.conf"), system.join("registries.conf"));
        let (own_dir, all_dir) = (beside(&own), beside(&all));
        let both = [all_dir.clone(), own_dir.clone()];
        assert_eq!(Files::find_in(&system, &environment, None), files(all.clone(), false, &both));
        assert_eq!(Files::find_in(&system, &other, None), files("/x/other.conf".into(), true, &[all_dir]));
        write(&own, &[]);
        assert_eq!(Files::find_in(&system, &environment, None), files(own, false, &[own_dir]));
        let named = Files::find_in(&system, &other, Some(Path::new("/x/mine.conf")));
        assert_eq!(named, files("/x/mine.conf".into(), true, &["/x/mine.conf.d".into()]));
    }

    #[test]
    fn later_files_replace_rules_of_earlier_ones() {
        let folder = tempfile::tempdir().expect("a directory");
        let main = folder.path().join("x.conf");
        write(&main, &[("a.test", "first"), ("b.test", "first")]);
        write(&folder.path().join("x.conf.d/2.conf"), &[("a.test", "third"), ("c.test", "third")]);
        write(&folder.path().join("x.conf.d/10.conf"), &[("a.test", "second"), ("c.test", "second")]);
        write(&folder.path().join("x.conf.d/9.ignored"), &[("a.test", "ignored")]);
        write(&folder.path().join("x.conf.d/deep/1.conf"), &[("a.test", "ignored")]);
        let rules = Files::find(&Environment::default(), Some(&main)).rules().expect("rules");
        let found: Vec<(&str, &str)> =
            rules.iter().map(|(prefix, rule)| (prefix.as_str(), rule.location.as_deref().unwrap_or_default())).collect();
        assert_eq!(found, [("a.test", "third"), ("b.test", "first"), ("c.test", "third")]);
    }

    #[test]
    fn a_file_that_was_named_must_be_there_and_others_need_not() {
        let folder = tempfile::tempdir().expect("a directory");
        let nowhere = folder.path().join("none.conf");
        let error = Files::find(&Environment::default(), Some(&nowhere)).rules().expect_err("it was named");
        assert_eq!(error.to_string(), format!("{}: it is not there", nowhere.display()));
        let looked_for = Files::find_in(folder.path(), &Environment::default(), None);
        assert!(looked_for.rules().expect("nothing is no error").is_empty());
        std::fs::write(&nowhere, "[[registry").expect("a file");
        let error = Files::find(&Environment::default(), Some(&nowhere)).rules().expect_err("no TOML");
        assert!(error.to_string().starts_with(&format!("{}:1:", nowhere.display())), "{error}");
        assert!(error.way_out().is_some_and(|hint| hint.contains("--registries-conf")));
        assert!(Files::find(&Environment::default(), Some(Path::new("/dev/null"))).rules().expect("no rule").is_empty());
    }
}
