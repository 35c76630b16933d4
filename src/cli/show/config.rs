//! What is wrong in configuration files, as people read it.

use crate::cli::safe::safe;
use crate::config::{Checked, Configuration, Finding, Severity};

/// What was found in each file: a block for each finding, and a line of what it came to.
#[must_use]
pub(in crate::cli) fn text(files: &[Checked]) -> String {
    files.iter().map(file).collect()
}

fn file(checked: &Checked) -> String {
    let blocks: String = checked.findings.iter().map(|finding| block(finding, checked)).collect();
    let name = safe(checked.source.name());
    let verdict = match &checked.configuration {
        Some(configuration) => format!("{name}: sound · {}\n{}", says(configuration), unsupported(configuration, &name)),
        None => String::new(),
    };
    let (errors, warnings) = (checked.of(Severity::Error).count(), checked.of(Severity::Warning).count());
    let counts = match (errors, warnings) {
        (0, _) => String::new(),
        (errors, 0) => format!("{name}: {}\n", counted(errors, "error")),
        (errors, warnings) => format!("{name}: {}, {}\n", counted(errors, "error"), counted(warnings, "warning")),
    };
    blocks + &verdict + &counts
}

fn block(finding: &Finding, checked: &Checked) -> String {
    let word = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let excerpt: String = finding.excerpt(&checked.source).iter().map(|line| format!("  {}\n", safe(line))).collect();
    format!("{word}: {}\n{excerpt}", safe(&finding.line(&checked.source)))
}

/// What a sound file is about, in one line.
fn says(configuration: &Configuration) -> String {
    let images = counted(configuration.wishes().additional_images.len(), "additional image");
    let kind = configuration.kind().word();
    match configuration {
        Configuration::ImageSet(set) if !set.blocked.expressions().is_empty() => {
            format!("{kind} · {images} · {} for what is left out", counted(set.blocked.expressions().len(), "expression"))
        }
        _ => format!("{kind} · {images}"),
    }
}

fn unsupported(configuration: &Configuration, file: &str) -> String {
    let line = |pending: &crate::config::Pending| {
        format!("  {file}:{}:{}: not supported yet: {}\n", pending.place.line, pending.place.column, pending.field)
    };
    configuration.wishes().pending.iter().map(line).collect()
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::config::{STARTER, Source, check};

    fn checked(text: &str) -> Checked {
        check(Source::new("isc.yaml", text.as_bytes().to_vec()).expect("text"), false)
    }

    /// A sound file that names operators.
    pub(in crate::cli) fn unsupported() -> Checked {
        checked(&format!("{STARTER}  operators:\n    - catalog: quay.io/c:1\n"))
    }

    /// A file with an error and a warning.
    pub(in crate::cli) fn unsound() -> Checked {
        checked("kind: ImageSetConfiguration\nmirror:\n  additionalImages:\n    - nmae: a.io/b:1\n      name: a.io/c:1\n")
    }

    #[test]
    fn a_sound_file_is_told_with_what_is_not_supported_yet() {
        assert_eq!(
            text(&[unsupported()]),
            "isc.yaml: sound · ImageSetConfiguration · 1 additional image\n  isc.yaml:30:3: not supported yet: mirror.operators\n"
        );
    }

    #[test]
    fn each_finding_is_a_block_with_its_line() {
        let expected = "\
warning: isc.yaml:1:1: no apiVersion: read as mirror.openshift.io/v2alpha1
    |
  1 | kind: ImageSetConfiguration
    | ^ write apiVersion: mirror.openshift.io/v2alpha1
error: isc.yaml:4:7: unknown field \"nmae\" in mirror.additionalImages[0]
    |
  4 |     - nmae: a.io/b:1
    |       ^^^^ did you mean name?
isc.yaml: 1 error, 1 warning
";
        assert_eq!(text(&[unsound()]), expected);
    }
}
