//! The command line is read as it is written.

use super::*;

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    parse(line.split_whitespace().map(OsString::from), &Environment::default())
}

#[test]
fn the_tree_of_verbs_is_sound() {
    command().debug_assert();
}

#[test]
fn options_stand_anywhere_and_keep_their_defaults() {
    for line in [
        "ocm sync docker://a.io/b:1 /mnt/x",
        "ocm sync --volume-size dvd docker://a.io/b:1 docker://c.io/d oci:e --tls-verify=false --platform linux/amd64 --platform linux/arm64 /mnt/x -o json -q",
        "ocm -o json ls",
        "ocm inspect /mnt/x nginx:1 --raw",
        "ocm verify --quick a b",
        "ocm gather /media/a /media/b /srv/archive",
        "ocm sync --on-volume true --release a b",
    ] {
        assert!(parsed(line).is_ok(), "{line}: {}", parsed(line).expect_err("an error"));
    }
    let Verb::Sync(sync) = parsed("ocm sync docker://a.io/b:1 /mnt/x").expect("a command line").verb else { panic!("not sync") };
    let text = format!("{sync:?}");
    for default in ["volume_size: 536870912000", "level: 6", "jobs: 6", "retry_times: 3", "image_timeout: 600s", "tls_verify: None"] {
        assert!(text.contains(default), "{default}: {text}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    for (line, reason) in [
        ("ocm sync", "FROM… TO"),
        ("ocm sync s3://b /x", "s3:// is not a kind of place"),
        ("ocm sync a b --volume-size 1MiB", "mostly overhead; name a size from 16MiB up"),
        ("ocm sync a b --volume-size many", "unit is not known"),
        ("ocm sync a b --retry-delay 10", "number with a unit"),
        ("ocm sync a b --level 20", "1..=19"),
        ("ocm sync a b --jobs 0", "from 1 to 1000"),
        ("ocm sync a b --platform linux", "os/arch"),
        ("ocm sync a b --release", "--on-volume"),
        ("ocm sync a b --full --since 2026-01-01", "cannot be used with"),
        ("ocm inspect a --raw", "IMAGE"),
        ("ocm ls a b", "unexpected argument"),
        ("ocm verify", "ARCHIVE|FILE"),
        ("ocm gather /media/a", "<ARCHIVE>"),
        ("ocm ls -q -v", "cannot be used with"),
        ("ocm mirror", "unrecognized subcommand"),
    ] {
        let error = parsed(line).expect_err(line);
        let text = error.to_string();
        assert!(text.contains(reason), "{line}: {text}");
        assert!(error.use_stderr());
    }
}

#[test]
fn every_option_has_a_variable() {
    for verb in command().get_subcommands() {
        let options = verb.get_arguments().filter(|arg| !arg.is_positional() && arg.get_id() != "help" && arg.get_id() != "raw");
        for option in options {
            let long = option.get_long().expect("a long name").to_uppercase().replace('-', "_");
            let variable = option.get_env().and_then(|name| name.to_str()).map(str::to_owned);
            assert_eq!(variable, Some(format!("OCM_{long}")), "{} of {}", option.get_id(), verb.get_name());
        }
    }
}

#[test]
fn each_verb_has_an_example_and_each_option_one_line_of_help() {
    for verb in command().get_subcommands_mut() {
        let name = verb.get_name().to_owned();
        let help = verb.render_long_help().to_string();
        assert!(help.contains("Example") && help.contains(&format!("  ocm {name}")), "{help}");
        for arg in verb.get_arguments() {
            let line = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!line.is_empty() && line.len() <= 110 && !line.ends_with('.'), "{name} {}: {line:?}", arg.get_id());
        }
    }
}
