//! Only what a policy accepts is brought: real registries, signatures by gpg and openssl, and skopeo as the judge.
//!
//! **Invariants.** No test depends on the files of the machine: each writes its own policy, registries.d and keys.
//!
//! *Not here:* which scope and name fits (unit tests beside that code).

mod bench;
mod command;
mod keys;
mod real;
mod sigstore;

use ocm::transfer::{Class, Ending};
use serde_json::json;

use self::bench::{Bench, payload};
use self::keys::Gpg;
use crate::redirects::redirect;
use crate::support::images::{Image, fetch_manifest};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

/// A requirement that is met by a key of this file.
fn signed_by(file: &str) -> serde_json::Value {
    json!([{ "type": "signedBy", "keyType": "GPGKeys", "keyPath": file }])
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_accepts_and_refuses_the_same_signatures() {
    let (Some(gpg), Some(mut bench)) = (Gpg::new(), Bench::new().await) else { return };
    gpg.make("trusted", "rsa2048", "2y", &[]);
    gpg.make("other", "rsa2048", "2y", &[]);
    bench.demand(&signed_by(&gpg.export(&["trusted"])));
    let (digest, name) = (bench.digest(), bench.name());
    let good = gpg.sign("trusted", &payload(&digest, &name), &[]);
    let plain = gpg.sign("trusted", &payload(&digest, &name), &["-z", "0"]);
    let sign = |digest: &str, name: &str| gpg.sign("trusted", &payload(digest, name), &[]);
    let flipped = |at: usize| good.iter().enumerate().map(|(nth, byte)| if nth == at { byte ^ 0x10 } else { *byte }).collect::<Vec<u8>>();
    let flips = [good.len() / 3, good.len() / 2, good.len() * 2 / 3].map(|at| (vec![flipped(at)], Err("")));
    let other_digest = format!("sha256:{}", "0".repeat(64));
    let cases = [
        (vec![], Err("no signature was found")),
        (vec![good.clone()], Ok(())),
        (vec![plain.clone()], Ok(())),
        (vec![gpg.sign("trusted", &payload(&digest, &name), &["--compress-algo", "zlib"])], Ok(())),
        (vec![gpg.sign("trusted", &payload(&digest, &name), &["--digest-algo", "SHA512"])], Ok(())),
        (vec![sign(&other_digest, &name)], Err("it is for the digest")),
        (vec![sign(&digest, &name.replace(":1", ":2"))], Err("which does not match by matchRepoDigestOrExact")),
        (vec![sign(&digest, name.trim_end_matches(":1"))], Err("which does not match")),
        (vec![gpg.sign("trusted", b"{}", &[])], Err("it has no field \"critical\"")),
        (vec![gpg.sign("other", &payload(&digest, &name), &[])], Err("are trusted")),
        (vec![good[..good.len() / 2].to_vec()], Err("signature-1")),
        (vec![[&plain[..], &plain[..]].concat()], Err("not one signed message")),
        (vec![vec![0xcb, 0xff, 0xff, 0xff, 0xff, 0xff, 1]], Err("a length in it is wrong")),
        (vec![b"no signature".to_vec()], Err("it is no OpenPGP packet")),
        (vec![sign(&other_digest, &name), good.clone()], Ok(())),
    ];
    for (number, (signatures, expected)) in cases.into_iter().chain(flips).enumerate() {
        bench.lay(&digest, &signatures);
        match (bench.verdict().await, expected) {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(words)) => {
                assert!(why.contains(words) && why.contains(&name) && why.contains("(signedBy)"), "case {number}: {why}");
                assert!(why.contains(&bench.lab.path("policy.json")), "case {number}: {why}");
            }
            (is, _) => panic!("case {number}: {is:?}, and it should be {expected:?}"),
        }
        if let Some(accepts) = bench.skopeo() {
            assert_eq!(accepts, expected.is_ok(), "case {number}: skopeo says {accepts}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_skopeo_counts() {
    let (Some(gpg), Some(mut bench)) = (Gpg::new(), Bench::new().await) else { return };
    gpg.make("trusted", "rsa3072", "0", &[]);
    bench.demand(&signed_by(&gpg.export(&["trusted"])));
    let Some(signature) = bench.signed_by_skopeo(&gpg, "trusted") else { return };
    bench.lay(&bench.digest(), &[signature]);
    assert_eq!(bench.verdict().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_count_no_more_or_are_not_supported_are_told() {
    let (Some(gpg), Some(mut bench)) = (Gpg::new(), Bench::new().await) else { return };
    let (digest, name) = (bench.digest(), bench.name());
    gpg.make("old", "rsa2048", "1y", &["--faked-system-time", "20200101T000000"]);
    let old = gpg.sign("old", &payload(&digest, &name), &["--faked-system-time", "20200601T000000"]);
    gpg.make("weak", "rsa1024", "0", &[]);
    gpg.make("curved", "ed25519", "0", &[]);
    gpg.make("good", "rsa2048", "0", &[]);
    let short =
        gpg.sign("good", &payload(&digest, &name), &["--default-sig-expire", "seconds=1", "--faked-system-time", "20270101T000000"]);
    bench.lab.settings.now = 4_000_000_000;
    bench.demand(&signed_by(&gpg.export(&["good", "old"])));
    for (signature, why) in [(&old, "the key has expired"), (&short, "the signature has expired")] {
        bench.lay(&digest, std::slice::from_ref(signature));
        let said = bench.verdict().await.expect_err(why);
        assert!(said.contains(why), "{said}");
    }
    let weak_hash = gpg.sign("good", &payload(&digest, &name), &["--digest-algo", "SHA1", "--weak-digest", "MD5"]);
    bench.lay(&digest, &[weak_hash]);
    let said = bench.verdict().await.expect_err("SHA-1");
    assert!(said.contains("SHA-1"), "{said}");
    let subkey = gpg.sign_with_subkey("good", &payload(&digest, &name));
    bench.demand(&signed_by(&gpg.export(&["good"])));
    bench.lay(&digest, &[subkey]);
    let said = bench.verdict().await.expect_err("a subkey");
    assert!(said.contains("subkeys are not supported"), "{said}");
    for (key, why) in
        [("curved", "it is a key for EdDSA (ed25519), and RSA is supported"), ("weak", "it has 1024 bits, and 2048 are the least")]
    {
        let error = bench.load(&signed_by(&gpg.export(&[key]))).expect_err(why).to_string();
        assert!(error.contains("none of its keys can be used") && error.contains(why), "{error}");
    }
    gpg.revoke("good");
    let error = bench.load(&signed_by(&gpg.export(&["good"]))).expect_err("revoked").to_string();
    assert!(error.contains("it is revoked"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_accepted_by_itself_or_by_all_that_is_carried_of_it() {
    let (Some(gpg), Some(mut bench)) = (Gpg::new(), Bench::with_index().await) else { return };
    gpg.make("trusted", "rsa2048", "0", &[]);
    bench.demand(&signed_by(&gpg.export(&["trusted"])));
    let (name, root, children) = (bench.name(), bench.digest(), bench.children.clone());
    let sign = |digest: &str| vec![gpg.sign("trusted", &payload(digest, &name), &[])];
    bench.lay(&root, &sign(&root));
    assert_eq!(bench.verdict().await, Ok(()), "the index");
    bench.lay(&root, &[]);
    bench.lay(&children[0], &sign(&children[0]));
    let why = bench.verdict().await.expect_err("one of two is not signed");
    assert!(why.contains(&root) && why.contains(&format!("nor is its manifest {}", children[1])), "{why}");
    bench.lab_platform = Some("linux/amd64");
    assert_eq!(bench.verdict().await, Ok(()), "only that one is carried");
    bench.lab_platform = None;
    bench.lay(&children[1], &sign(&children[1]));
    assert_eq!(bench.verdict().await, Ok(()), "both are signed");
    bench.lay(&children[1], &sign(&children[0]));
    assert!(bench.verdict().await.is_err(), "a signature of another child is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_fails_alone_and_nothing_of_it_is_brought() {
    let (Some(near), Some(far)) = (Registry::start(), Registry::start()) else { return };
    let mut lab = Lab::new();
    let good = lab.fill(&near, "team/good", "1", &Image::generated(1, 20_000)).await;
    let bad = lab.fill(&near, "team/bad", "1", &Image::generated(2, 20_000)).await;
    let scopes = json!({ format!("{}/team/good", near.host()): [{ "type": "insecureAcceptAnything" }] });
    bench::policy(&mut lab, &json!({ "default": [{ "type": "reject" }], "transports": { "docker": scopes } })).expect("a policy");
    let to = format!("docker://{}/m", far.host());
    let dry = lab.sync_with(&[&good, &bad], &to, |request| request.dry_run = true).await.expect("a plan");
    assert_eq!((dry.class(), dry.plan.images), (Class::Partial, 1), "a plan shows it too");
    let made = lab.sync(&[&good, &bad], &to).await.expect("a report");
    assert_eq!(made.class(), Class::Partial, "{:?}", made.report);
    let Ending::Failed(error) = &made.report.items[1].ending else { panic!("{:?}", made.report) };
    let (file, name) = (lab.path("policy.json"), bad.trim_start_matches("docker://"));
    assert_eq!(error.to_string(), format!("image {name}: it is refused by {file}, default[0] (reject): everything is rejected there"));
    assert!(fetch_manifest(&format!("{}/m/team/good", far.host()), "1").await.is_some());
    assert!(fetch_manifest(&format!("{}/m/team/bad", far.host()), "1").await.is_none());
    let disk = lab.sync(&[&good, &bad], &lab.path("disk")).await.expect("a set");
    assert_eq!((disk.class(), disk.set.map(|set| set.items_complete)), (Class::Partial, Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_judged_by_the_names_of_its_origins_and_asks_no_network() {
    let (Some(gpg), Some(mut bench)) = (Gpg::new(), Bench::new().await) else { return };
    gpg.make("trusted", "rsa2048", "0", &[]);
    let disk = bench.lab.path("disk");
    bench.lab.sync(&[bench.place()], &disk).await.expect("a set");
    bench.demand(&signed_by(&gpg.export(&["trusted"])));
    let (digest, name) = (bench.digest(), bench.name());
    bench.from = Some(disk);
    let why = bench.verdict().await.expect_err("there is no signature");
    assert!(why.contains("no signature was found"), "{why}");
    bench.lay(&digest, &[gpg.sign("trusted", &payload(&digest, &name), &[])]);
    assert_eq!(bench.verdict().await, Ok(()));
    let web = bench::Web::over(&bench.lab.folder("lookaside")).await;
    bench.lookaside = web.address.clone();
    bench.demand(&signed_by(&gpg.export(&["trusted"])));
    let why = bench.verdict().await.expect_err("the signatures are on a network");
    assert!(why.contains(&web.address) && why.contains("is read without one"), "{why}");
    assert_eq!(web.asked(), 0, "it is not asked");
    bench.from = None;
    assert_eq!(bench.verdict().await, Ok(()), "from the registry, the network is asked");
    assert!(web.asked() > 0);
    bench.lay(&digest, &[]);
    let why = bench.verdict().await.expect_err("404");
    assert!(why.contains("no signature was found: http://"), "{why}");
    web.fail();
    let why = bench.verdict().await.expect_err("500 is not absence");
    assert!(why.contains("500"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_a_mirror_gives_is_judged_by_the_name_of_its_origin() {
    let (Some(gpg), Some(mut bench)) = (Gpg::new(), Bench::new().await) else { return };
    gpg.make("trusted", "rsa2048", "0", &[]);
    let at_the_mirror = bench.name();
    bench.origin = "origin.invalid/team/app:1".to_owned();
    redirect(&mut bench.lab, "", &[(at_the_mirror.trim_end_matches("/team/app:1"), "")]);
    bench.demand(&signed_by(&gpg.export(&["trusted"])));
    let digest = bench.digest();
    let sign = |name: &str| gpg.sign("trusted", &payload(&digest, name), &[]);
    bench.lay(&digest, &[sign(&at_the_mirror)]);
    let why = bench.verdict().await.expect_err("a signature for the name at the mirror");
    assert!(why.contains(&at_the_mirror) && why.contains("which does not match"), "{why}");
    bench.lay(&digest, &[sign("origin.invalid/team/app:1")]);
    assert_eq!(bench.verdict().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_judged_by_the_transport_of_layouts() {
    let Some(bench) = Bench::new().await else { return };
    let mut lab = bench.lab;
    let layout = format!("oci:{}", lab.path("layout"));
    lab.sync(&[format!("docker://{}", bench.origin)], &layout).await.expect("a layout");
    let scope = lab.folder("layout").canonicalize().expect("a path").display().to_string();
    let accept = json!([{ "type": "insecureAcceptAnything" }]);
    for (transports, class) in [
        (json!({ "docker": { "": accept } }), Class::Failed),
        (json!({ "oci": { "": accept } }), Class::Done),
        (json!({ "oci": { scope: accept } }), Class::Done),
        (json!({ "oci": { "/elsewhere": accept } }), Class::Failed),
    ] {
        bench::policy(&mut lab, &json!({ "default": [{ "type": "reject" }], "transports": transports })).expect("a policy");
        let outcome = lab.sync_with(&[&layout], &lab.path("out"), |request| request.dry_run = true).await.expect("a plan");
        assert_eq!(outcome.class(), class, "{transports}: {:?}", outcome.report);
    }
}
