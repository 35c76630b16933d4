//! Signatures of sigstore, as cosign lays them below a tag, by keys and signatures of openssl.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ocm::image::manifest::OCI_MANIFEST;
use ocm::transfer::Class;
use serde_json::{Value, json};

use super::bench::Bench;
use crate::support::images::{Layout, push};
use crate::support::registry::Registry;
use crate::support::tools::{Tool, run};

const COSIGN: &str = "cosign container image signature";

/// Makes a key; `None` where there is no openssl.
fn make(folder: &Path, name: &str, options: &[&str]) -> Option<()> {
    let (key, public) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.pub")));
    run(Tool::find("openssl")?.arg("genpkey").args(options).arg("-out").arg(&key));
    run(Tool::find("openssl")?.args(["pkey", "-pubout", "-in"]).arg(&key).arg("-out").arg(&public));
    Some(())
}

fn sign(folder: &Path, name: &str, payload: &[u8]) -> String {
    std::fs::write(folder.join("payload"), payload).expect("a file");
    let mut openssl = Tool::find("openssl").expect("it was there a moment ago");
    openssl.args(["dgst", "-sha256", "-sign"]).arg(folder.join(format!("{name}.pem"))).arg("-out").arg(folder.join("out"));
    run(openssl.arg(folder.join("payload")));
    STANDARD.encode(std::fs::read(folder.join("out")).expect("a signature"))
}

fn payload(kind: &str, digest: &str, name: &str) -> Vec<u8> {
    let critical = json!({ "type": kind, "image": { "docker-manifest-digest": digest }, "identity": { "docker-reference": name } });
    json!({ "critical": critical, "optional": null }).to_string().into_bytes()
}

/// Lays these payloads and signatures below the tag of `digest`.
async fn attach(bench: &Bench, digest: &str, signatures: &[(Vec<u8>, String)]) {
    let layout = Layout::new();
    let layer = |(payload, signature): &(Vec<u8>, String)| {
        let mut layer = json!(layout.blob("application/vnd.dev.cosign.simplesigning.v1+json", payload));
        layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signature });
        layer
    };
    let layers: Vec<Value> = signatures.iter().map(layer).collect();
    let config = layout.blob("application/vnd.oci.image.config.v1+json", b"{}");
    let root = layout.manifest(OCI_MANIFEST, &json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers }));
    let repository = bench.origin.rsplit_once(':').expect("a tag").0;
    push(&layout, &root, repository, Some(&format!("{}.sig", digest.replace(':', "-")))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_travelled_in_an_archive_counts_there() {
    let (Some(mut bench), Some(far)) = (Bench::new().await, Registry::start()) else { return };
    let folder = bench.lab.folder("keys");
    std::fs::create_dir_all(&folder).expect("a directory");
    if make(&folder, "good", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]).is_none() {
        return;
    }
    let (digest, name) = (bench.digest(), bench.name());
    let payload = payload(COSIGN, &digest, name.trim_end_matches(":1"));
    let signature = sign(&folder, "good", &payload);
    attach(&bench, &digest, &[(payload, signature)]).await;
    bench.demand(
        &json!([{ "type": "sigstoreSigned", "keyPath": folder.join("good.pub"), "signedIdentity": { "type": "matchRepository" } }]),
    );
    let (signed, bare, place) = (bench.lab.path("signed"), bench.lab.path("bare"), [bench.place()]);
    let made = bench.lab.sync(&place, &signed).await.expect("a set");
    let removed = bench.lab.sync_with(&place, &bare, |request| request.attachments.removed = true).await.expect("a set");
    assert_eq!((made.class(), removed.class()), (Class::Done, Class::Done), "the registry shows the signature to both");
    let to = format!("docker://{}", far.host());
    let pushed = bench.lab.sync(&[signed], &to).await.expect("a run");
    assert_eq!(pushed.class(), Class::Done, "{:?}", pushed.report);
    let refused = bench.lab.sync(&[bare], &format!("{to}/bare")).await.expect("a run");
    assert_eq!(refused.class(), Class::Failed, "the set has no signature to show: {:?}", refused.report);
    let all = bench.lab.sync_with(&[place[0].trim_end_matches(":1")], &format!("{to}/all"), |request| request.all_tags = true).await;
    let all = all.expect("a run");
    assert_eq!((all.class(), all.report.items.len()), (Class::Done, 1), "the tag of the signature is no image: {:?}", all.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_accepts_and_refuses_the_same_signatures_of_sigstore() {
    let Some(mut bench) = Bench::new().await else { return };
    let folder = bench.lab.folder("keys");
    std::fs::create_dir_all(&folder).expect("a directory");
    let curve = |name: &'static str| ["-algorithm", "EC", "-pkeyopt", name];
    for (name, options) in [
        ("good", &curve("ec_paramgen_curve:P-256")),
        ("other", &curve("ec_paramgen_curve:P-256")),
        ("p384", &curve("ec_paramgen_curve:P-384")),
        ("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ] {
        if make(&folder, name, options).is_none() {
            return;
        }
    }
    let key = |name: &str| folder.join(format!("{name}.pub")).display().to_string();
    let demand =
        |name: &str, identity: &str| json!([{ "type": "sigstoreSigned", "keyPath": key(name), "signedIdentity": { "type": identity } }]);
    let (digest, name) = (bench.digest(), bench.name());
    let repository = name.trim_end_matches(":1");
    let signed = |key: &str, payload: Vec<u8>| {
        let signature = sign(&folder, key, &payload);
        (payload, signature)
    };
    let good = || signed("good", payload(COSIGN, &digest, repository));
    let other_digest = format!("sha256:{}", "0".repeat(64));
    let mut tampered = good();
    tampered.0 = payload(COSIGN, &digest, &format!("{repository}x"));
    for (number, (key, identity, signatures, expected)) in [
        ("good", "matchRepository", vec![good()], Ok(())),
        ("good", "matchRepoDigestOrExact", vec![good()], Err("which does not match by matchRepoDigestOrExact")),
        ("good", "matchRepoDigestOrExact", vec![signed("good", payload(COSIGN, &digest, &name))], Ok(())),
        ("other", "matchRepository", vec![good()], Err("it is not signed by a key of the policy")),
        ("p384", "matchRepository", vec![signed("p384", payload(COSIGN, &digest, repository))], Ok(())),
        ("rsa", "matchRepository", vec![signed("rsa", payload(COSIGN, &digest, repository))], Ok(())),
        ("good", "matchRepository", vec![signed("good", payload(COSIGN, &other_digest, repository))], Err("it is for the digest")),
        ("good", "matchRepository", vec![signed("good", payload("atomic container signature", &digest, repository))], Err("it signs")),
        ("good", "matchRepository", vec![tampered.clone()], Err("it is not signed by a key")),
        ("good", "matchRepository", vec![(good().0, "!".into())], Err("no base64")),
        ("good", "matchRepository", vec![(good().0, String::new())], Err("it is not signed by a key")),
        ("good", "matchRepository", vec![tampered, good()], Ok(())),
        ("good", "matchRepository", vec![], Err("no signature was found")),
    ]
    .into_iter()
    .enumerate()
    {
        attach(&bench, &digest, &signatures).await;
        bench.demand(&demand(key, identity));
        let folder = bench.lab.folder("registries.d").join("x.yaml");
        std::fs::write(folder, "default-docker:\n  use-sigstore-attachments: true\n").expect("a file");
        match (bench.verdict().await, expected) {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(words)) => assert!(why.contains(words) && why.contains("(sigstoreSigned)"), "case {number}: {why}"),
            (is, _) => panic!("case {number}: {is:?}, and it should be {expected:?}"),
        }
        if let Some(accepts) = bench.skopeo() {
            assert_eq!(accepts, expected.is_ok(), "case {number}: skopeo says {accepts}");
        }
    }
    let two = json!([{ "type": "sigstoreSigned", "keyDatas": [STANDARD.encode(std::fs::read(key("other")).expect("a key")), STANDARD.encode(std::fs::read(key("good")).expect("a key"))], "signedIdentity": { "type": "matchRepository" } }]);
    bench.demand(&two);
    attach(&bench, &digest, &[good()]).await;
    assert_eq!(bench.verdict().await, Ok(()), "any of the keys will do");
    make(&folder, "ed", &["-algorithm", "ed25519"]);
    let error = bench.load(&demand("ed", "matchRepository")).expect_err("not supported").to_string();
    assert!(error.contains("its kind is not supported: ECDSA"), "{error}");
}
