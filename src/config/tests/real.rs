//! Configurations that people use: those below the directory that `OCM_CONFIGS` names, if it names one.
//!
//! **Invariants.** What lies in `v2alpha1/` there loads, as it does in oc-mirror v2, but for a list of named exceptions.

use std::path::{Path, PathBuf};

use crate::config::{Checked, Configuration, Severity, Source, check};

/// Files that oc-mirror v2 refuses too, by the end of their names, with what is said of them.
const EXCEPTIONS: [(&str, &str); 4] = [
    // Two whole configurations in one document.
    ("config-samples_isc-platform-only.yaml", "duplicate field \"mirror\""),
    // A slip of the person who wrote it.
    ("tnc-ghub_install_mirror-registry_imageset-config.yaml", "duplicate package entry"),
    // Made to be refused, for oc-mirror's own tests.
    ("config-72938.yaml", "mixing both filtering by minVersion/maxVersion"),
    ("isc-platforms-and-archs.yaml", "cannot be used together"),
];

fn files(kind: &str) -> Vec<PathBuf> {
    let Some(directory) = std::env::var_os("OCM_CONFIGS") else {
        use std::io::Write as _;
        writeln!(std::io::stderr(), "skipped: OCM_CONFIGS names no directory of configurations").expect("stderr is open in a test");
        return Vec::new();
    };
    let entries = std::fs::read_dir(Path::new(&directory).join(kind)).expect("a directory");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn load(path: &Path) -> Checked {
    check(Source::load(path).expect("text"), false)
}

fn errors(checked: &Checked) -> Vec<String> {
    checked.of(Severity::Error).map(|error| error.line(&checked.source)).collect()
}

#[test]
fn configurations_that_people_use_load() {
    let mut surprises = Vec::new();
    for path in files("v2alpha1") {
        let errors = errors(&load(&path));
        let exception = EXCEPTIONS.iter().find(|(name, _)| path.to_string_lossy().ends_with(name));
        let is_expected = match exception {
            Some((_, why)) => errors.iter().any(|error| error.contains(why)),
            None => errors.is_empty(),
        };
        if !is_expected {
            surprises.push(format!("{}: {errors:#?}", path.display()));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

#[test]
fn configurations_of_earlier_versions_load_or_say_why_not() {
    for path in files("v1alpha2").into_iter().chain(files("v1alpha1")) {
        let checked = load(&path);
        match &checked.configuration {
            Some(Configuration::ImageSet(_) | Configuration::DeleteImageSet(_)) => {
                assert!(!checked.findings.is_empty(), "{}", path.display())
            }
            None => assert!(!errors(&checked).is_empty(), "{}", path.display()),
        }
    }
}
