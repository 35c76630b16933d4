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
        "ocm plan docker://a.io/b:1 --volume-size dvd --platform linux/amd64 /mnt/x -o json",
        "ocm diff /mnt/x@1 oci:y",
        "ocm diff --files /mnt/x@1 /mnt/x@2",
        "ocm receipt docker://a.io/b docker://a.io/c --to r.json -o json",
        "ocm why /mnt/x@2 sha256:0123abc",
        "ocm verify --quick a b",
        "ocm sync --again /mnt/x@2 /mnt/y",
        "ocm sync --again file:///mnt/x@2:3 /mnt/y",
        "ocm merge a b@3 --volume-size dvd --for x c",
        "ocm gather /media/dvd /mnt/disk",
        "ocm recover /mnt/disk@1 half.ocm.tar oci:out -c isc.yaml",
        "ocm mount --daemon --all-sets /mnt/a /mnt/b@2 /mnt/view --spool /var/tmp --spool-size 4GiB",
        "ocm umount /mnt/view",
        "ocm sync --on-volume true --release a b",
        "ocm serve /mnt/x@2 /mnt/y --listen 127.0.0.1:0 --watch --access-log - -o json",
        "ocm serve --all-sets --base /mnt/z --tls-cert c --tls-key k --htpasswd h --spool /s --spool-size 1GiB /mnt/x",
        "ocm serve --print-mirror-config idms --public-name reg.lab:5000 /mnt/x",
        "ocm config check a.yaml b.yaml --strict -o json",
        "ocm config init",
        "ocm config schema",
    ] {
        assert!(parsed(line).is_ok(), "{line}: {}", parsed(line).expect_err("an error"));
    }
    let Verb::Sync(sync) = parsed("ocm sync docker://a.io/b:1 /mnt/x").expect("a command line").verb else { panic!("not sync") };
    let text = format!("{sync:?}");
    for default in [
        "volume_size: None",
        "level: None",
        "small: false",
        "gzip: Auto",
        "jobs: 6",
        "retry_times: 3",
        "image_timeout: 600s",
        "tls_verify: None",
    ] {
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
        ("ocm sync --again /mnt/x /mnt/y", "write DIR@N or DIR@N:VOLUME"),
        ("ocm sync a b --jobs 0", "from 1 to 1000"),
        ("ocm sync a b --platform linux", "os/arch"),
        ("ocm inspect a --raw", "IMAGE"),
        ("ocm ls a b", "unexpected argument"),
        ("ocm plan", "FROM… TO"),
        ("ocm diff a", "<B>"),
        ("ocm why a", "DIGEST|VOLUME"),
        ("ocm why a abcdef", "neither content nor a volume"),
        ("ocm verify", "ARCHIVE|FILE"),
        // A verb has no option that does nothing there.
        ("ocm gather --workspace w a b", "unexpected argument"),
        ("ocm ls --jobs 2", "unexpected argument"),
        ("ocm verify a --authfile f", "unexpected argument"),
        ("ocm gather", "SOURCE… ARCHIVE"),
        ("ocm mirror", "unrecognized subcommand"),
        ("ocm serve", "<ARCHIVE>"),
        ("ocm serve a --tls-cert c", "--tls-key"),
        ("ocm serve a --tls-self-signed --tls-cert c --tls-key k", "cannot be used with"),
        ("ocm serve a --max-connections 0", "1..=100000"),
        ("ocm serve a --spool-size x", "unit is not known"),
        ("ocm config check", "<FILE>"),
    ] {
        let error = parsed(line).expect_err(line);
        let text = error.to_string();
        assert!(text.contains(reason), "{line}: {text}");
        assert!(error.use_stderr());
    }
}

/// Every verb, and what stands below it, with the words that a person types.
fn verbs() -> Vec<(String, clap::Command)> {
    fn below(name: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
        for verb in command.get_subcommands() {
            let name = format!("{name} {}", verb.get_name());
            below(&name, verb, found);
            found.push((name, verb.clone()));
        }
    }
    let mut found = Vec::new();
    below("ocm", &command(), &mut found);
    found
}

#[test]
fn every_option_but_config_has_a_variable() {
    for (name, verb) in verbs() {
        let has_none = |arg: &clap::Arg| arg.is_positional() || ["help", "raw", "config"].contains(&arg.get_id().as_str());
        let options = verb.get_arguments().filter(|arg| !has_none(arg));
        for option in options {
            let long = option.get_long().expect("a long name").to_uppercase().replace('-', "_");
            let variable = option.get_env().and_then(|name| name.to_str()).map(str::to_owned);
            assert_eq!(variable, Some(format!("OCM_{long}")), "{} of {name}", option.get_id());
        }
    }
}

#[test]
fn each_verb_has_an_example_and_each_option_one_line_of_help() {
    for (name, mut verb) in verbs() {
        let help = verb.render_long_help().to_string();
        assert!(help.contains("Example") && help.contains(&format!("  {name}")), "{help}");
        for arg in verb.get_arguments() {
            let line = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!line.is_empty() && line.len() <= 110 && !line.ends_with('.'), "{name} {}: {line:?}", arg.get_id());
        }
    }
}

/// Every key of `value`, at any depth, but for what stands below maps whose keys are data.
fn keys(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                found.insert(key.clone());
                keys(value, found);
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_of_a_document_is_explained() {
    use super::show::{changes, diff, gather, inspect, list, prune, receipt, serve, sync, verify, why};
    use crate::workflow::diff::{Compared, Found, Side};
    let failed = failure::tests::failed("a.io/b:1", crate::error::Error::failed("x").hint("y"));
    let items = vec![sync::tests::done("a.io/a:1", Some(1)), failed];
    let synced = crate::workflow::sync::Outcome {
        set: Some(sync::tests::set(1)),
        receipt: Some("r".into()),
        receipt_signature: Some("r.minisig".into()),
        sources: serve::tests::ready(&[1]).sets,
        newer: vec!["n".into()],
        ..sync::tests::outcome(items)
    };
    let listed = list::tests::listing(vec![list::tests::set(2)], vec![list::tests::image("a", None)]);
    let verified = verify::tests::of(verify::tests::damaged());
    let (signatures, receipts) = (vec![verify::tests::signed()], vec![verify::tests::of_receipt()]);
    let verified = crate::workflow::verify::Outcome { signatures, receipts, ..verified };
    let folder = tempfile::tempdir().expect("a folder");
    let key = crate::workflow::key::new(&folder.path().join("k"), &[1; 72], None).expect("a key");
    let set = serve::tests::ready(&[1]).sets.remove(0);
    let approved = crate::workflow::key::Approved { set, id: "00".into(), key: key.id.clone(), file: "a".into() };
    let found = [Found::Changes(changes::tests::changes(3)), Found::OnlyIn(Side::A), Found::Why("x".into())];
    let inside = found.map(|found| changes::tests::inside(Some("linux/arm64/v8"), found));
    let compared = Compared { files: Some(inside.into()), ..diff::tests::compared() };
    let checked = [show::config::tests::unsupported(), show::config::tests::unsound()];
    let documents = [
        runner::document("ocm.config.check.v1", Class::Usage, &config::outcome(&checked)),
        runner::document("ocm.sync.v1", Class::Partial, &synced),
        runner::document("ocm.ls.v1", Class::Done, &listed),
        runner::document("ocm.inspect.image.v1", Class::Done, &inspect::tests::view()),
        runner::document("ocm.why.v1", Class::Done, &why::tests::answer()),
        runner::document("ocm.diff.v1", Class::Done, &compared),
        runner::document("ocm.receipt.v1", Class::Partial, &receipt::tests::outcome()),
        runner::document("ocm.gather.v1", Class::Needed, &gather::tests::outcome()),
        runner::document("ocm.serve.v1", Class::Done, &serve::tests::ready(&[1])),
        runner::document("ocm.prune.v1", Class::Done, &prune::tests::outcome()),
        runner::document("ocm.verify.v1", Class::Damaged, &verified),
        runner::document("ocm.key.v1", Class::Done, &key),
        runner::document("ocm.key.approve.v1", Class::Done, &approved),
    ];
    let explained = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/json.md")).expect("json.md");
    let mut found = std::collections::BTreeSet::new();
    for document in documents {
        let value: serde_json::Value = serde_json::from_str(&document.expect("a document")).expect("json");
        assert!(explained.contains(&format!("## {}\n", value["schema"].as_str().expect("a schema"))), "{}", value["schema"]);
        keys(&value, &mut found);
    }
    let silent: Vec<_> = found.into_iter().filter(|key| !explained.contains(&format!("`{key}`"))).collect();
    assert!(silent.is_empty(), "docs/reference/json.md says nothing of {silent:?}");
}
