//! Flags: what each of them does, or that it does nothing; what is refused, and how.

use super::Scene;
use crate::support::registry::{PASSWORD, Registry, USER};

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_code_1_before_any_work() {
    let Some(scene) = Scene::new().await else { return };
    let empty = "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\nmirror: {}\n";
    std::fs::write(scene.path("empty.yaml"), empty).expect("a configuration");
    for (arguments, why) in [
        ("file://disk --v2", "use the --config flag it is mandatory"),
        ("--v2", "use the --config flag it is mandatory"),
        ("-c isc.yaml --v2", "no destination specified"),
        ("-c isc.yaml file://disk --from file://other", "the --from argument is not needed"),
        ("-c isc.yaml docker://FAR", "either --from (assumes diskToMirror workflow) or --workspace (assumes mirrorToMirror workflow)"),
        ("-c isc.yaml file://disk --dry-run --dry-run-manifest-lists", "contradict each other"),
        ("-c isc.yaml file://disk --parallel-images 11", "11 is not in 1..=10"),
        ("-c isc.yaml file://disk --parallel-layers 0", "0 is not in 1..=10"),
        ("-c isc.yaml file://disk --log-level loud", "loud"),
        ("-c isc.yaml file://disk --v1", "--v1 is another program"),
        ("-c isc.yaml file://disk --no-such-flag", "--no-such-flag"),
        ("-c isc.yaml file://disk --src-username me", "--src-username and --src-password go together"),
        ("-c gone.yaml file://disk", "gone.yaml"),
        ("-c empty.yaml file://disk", "no images to copy"),
        ("list operators --catalogs --version 4.18", "list: not supported yet"),
        ("delete --generate -c isc.yaml docker://FAR", "delete: not supported yet"),
    ] {
        let said = scene.run(arguments);
        let text = said.out.clone() + &said.err;
        assert!(said.code == Some(1) && text.contains(why), "{arguments}: {said:?}");
        assert!(!scene.names("disk").iter().any(|name| name.ends_with(".tar")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_of_oc_mirror_in_a_path_is_no_reason_to_refuse_it() {
    let Some(scene) = Scene::new().await else { return };
    for folder in ["helmut-logs", "delete/signatures"] {
        scene.done(&format!("-c isc.yaml file://{folder} --v2=true"));
        scene.done(&format!("-c isc.yaml --from file://{folder} docker://FAR"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_does_nothing_says_so_once() {
    let Some(scene) = Scene::new().await else { return };
    let flags = "--strict-archive --cache-dir c --rootless-storage-path r --force --dest-compress --dest-decompress --dest-compress-format gzip \
                 --dest-compress-level 3 --dest-oci-accept-uncompressed-layers --dest-precompute-digests --src-daemon-host a --dest-daemon-host b \
                 --src-shared-blob-dir s --dest-shared-blob-dir d --cpu-prof --mem-prof --port 1234 --ignore-release-signature";
    let said = scene.done(&format!("-c isc.yaml file://disk --v2 {flags}"));
    for flag in flags.split_whitespace().filter(|word| word.starts_with("--")) {
        let line = format!("{flag} does nothing here: ");
        assert_eq!(said.out.matches(&line).count(), 1, "{flag}: {said:?}");
    }
    assert!(!scene.path("c").exists() && !scene.path("cpu.prof").exists());
    assert!(!scene.done("-c isc.yaml file://disk --v2").out.contains("does nothing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_help_are_results() {
    let Some(scene) = Scene::new().await else { return };
    for (arguments, out) in [
        ("-v", "oc-mirror v2.0.0 (ocm "),
        ("--version", "oc-mirror v2.0.0"),
        ("version", "oc-mirror v2.0.0"),
        ("version --v2", "oc-mirror v2.0.0"),
        ("version --short", "v2.0.0"),
        ("version --output json", "\"gitVersion\": \"v2.0.0"),
        ("--v2 version --output yaml", "gitVersion: v2.0.0"),
        ("--help", "--from <file://DIR>"),
        ("completion bash", "_oc__mirror()"),
    ] {
        let said = scene.done(arguments);
        assert!(said.out.contains(out) && said.err.is_empty(), "{arguments}: {said:?}");
    }
    assert!(!scene.done("--help").out.contains("[env: OCM_"), "no variable is read under this name");
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_of_ocm_are_not_read_and_its_options_work() {
    let Some(scene) = Scene::new().await else { return };
    let said = scene.command("-c isc.yaml file://disk --v2").env("OCM_DRY_RUN", "1").env("OCM_VOLUME_SIZE", "1").output().expect("it runs");
    assert!(said.status.success() && scene.path("disk/mirror_000001.tar").is_file(), "{said:?}");
    let json = scene.done("-c isc.yaml file://other --v2 -o json --for lab --gzip keep");
    let document: serde_json::Value = serde_json::from_str(&json.out).expect("one document");
    assert_eq!(document["set"]["lineage"], "lab");
    assert!(json.err.contains("=== Results ==="), "{json:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_is_said_goes_by_the_level() {
    let Some(scene) = Scene::new().await else { return };
    let quiet = scene.done("-c isc.yaml file://disk --v2 --log-level error");
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""), "{quiet:?}");
    let logs = scene.names("disk/working-dir/logs");
    let log = logs.iter().find(|name| name.starts_with("oc-mirror-")).expect("a log");
    assert!(scene.text(&format!("disk/working-dir/logs/{log}")).contains("[INFO]   : === Results ==="));
    let said = scene.done("-c isc.yaml file://other --v2 -q");
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_those_of_each_side() {
    let (Some(mut scene), Some(far)) = (Scene::new().await, Registry::options().with_password().start()) else { return };
    scene.far = far;
    scene.done("-c isc.yaml file://disk --v2");
    let from = "-c isc.yaml --from file://disk docker://FAR --v2 --retry-times 0";
    for (flags, code) in [
        (String::new(), 8),
        (format!("--dest-creds {USER}:wrong"), 8),
        (format!("--src-creds {USER}:{PASSWORD}"), 8),
        (format!("--dest-creds {USER}:{PASSWORD} --src-no-creds"), 0),
        (format!("--dest-username {USER} --dest-password {PASSWORD}"), 0),
        (format!("--dcreds {USER}:{PASSWORD}"), 0),
    ] {
        let said = scene.run(&format!("{from} {flags}"));
        assert_eq!(said.code, Some(code), "{flags}: {said:?}");
        assert!(!said.out.contains(PASSWORD) && !said.err.contains(PASSWORD), "no secret is said");
    }
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    std::fs::write(scene.path("auth.json"), format!(r#"{{"auths":{{"{}":{{"auth":"{pair}"}}}}}}"#, scene.far.host())).expect("a file");
    for (flags, code) in [
        ("--authfile auth.json", 0),
        ("--dest-authfile auth.json", 0),
        ("--src-authfile auth.json", 8),
        ("--authfile auth.json --dest-no-creds", 8),
    ] {
        assert_eq!(scene.run(&format!("{from} {flags}")).code, Some(code), "{flags}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_those_of_each_side() {
    let (Some(mut scene), Some(far)) = (Scene::new().await, Registry::options().with_tls().start()) else { return };
    scene.far = far;
    std::fs::create_dir(scene.path("certs")).expect("a folder");
    std::fs::write(scene.path("certs/ca.crt"), scene.far.authority().expect("an authority").pem()).expect("a certificate");
    scene.done("-c isc.yaml file://disk --v2");
    let from = "-c isc.yaml --from file://disk docker://FAR --v2 --retry-times 0";
    for (flags, code) in [
        ("", 8),
        ("--src-cert-dir certs", 8),
        ("--src-tls-verify=false", 8),
        ("--dest-cert-dir certs", 0),
        ("--dest-tls-verify=false", 0),
        ("--tls-verify=false", 0),
    ] {
        let said = scene.run(&format!("{from} {flags}"));
        assert_eq!(said.code, Some(code), "{flags}: {said:?}");
    }
    let absent = scene.run(&format!("{from} --dest-cert-dir nowhere"));
    assert!(absent.code != Some(0) && absent.out.contains("certificates nowhere: there is no such directory"), "{absent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_counts_where_it_is_asked_for() {
    let Some(scene) = Scene::new().await else { return };
    std::fs::write(scene.path("reject.json"), r#"{"default":[{"type":"reject"}]}"#).expect("a policy");
    std::fs::create_dir(scene.path("registries")).expect("a folder");
    scene.done("-c isc.yaml file://ignored --v2 --policy reject.json --registries.d registries");
    let refused = scene.run("-c isc.yaml file://disk --v2 --secure-policy --policy reject.json");
    assert!(refused.code == Some(8) && refused.out.contains("reject.json"), "{refused:?}");
    scene.done("-c isc.yaml file://kept --v2 --remove-signatures");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_joined_and_signatures_stay_away_where_asked() {
    let Some(scene) = Scene::new().await else { return };
    scene.done("-c isc.yaml --workspace file://ws docker://FAR/deep --v2 --max-nested-paths 2 --parallel-images 2 --parallel-layers 1 --image-timeout 1m0s --retry-delay 1s");
    assert!(scene.pushed("deep/team-one:1").is_some());
    scene.done("-c isc.yaml --workspace file://other docker://FAR/deep --v2 --max-nested-paths 0");
    assert!(scene.pushed("deep/team/one:1").is_some());
}
