//! The tools of `tests/support` do what they say; a test that stands on them may believe them.

use std::time::{Duration, Instant};

use ocm::image::Digest;
use reqwest::Client;

use crate::support::fault::{self, Fault};
use crate::support::images::{Image, Layout, digest_by_skopeo, fetch_manifest, push, push_with_skopeo, zoo};
use crate::support::layers::{Layer, Random};
use crate::support::proxy::{Class, Proxy};
use crate::support::registry::{PASSWORD, Registry, USER};
use crate::support::tools::{Tool, run};

fn client() -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().no_proxy().build().expect("a client")
}

async fn status(url: &str) -> u16 {
    client().get(url).send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_registry_answers_and_ends_with_its_value() {
    let Some(registry) = Registry::start() else { return };
    assert_eq!(status(&registry.url("/v2/")).await, 200);
    let host = registry.host().to_owned();
    drop(registry);
    assert!(std::net::TcpStream::connect(host).is_err());
}

#[tokio::test]
async fn a_registry_with_a_password_asks_for_it() {
    let Some(registry) = Registry::options().with_password().start() else { return };
    assert_eq!(status(&registry.url("/v2/")).await, 401);
    let answer = client().get(registry.url("/v2/")).basic_auth(USER, Some(PASSWORD)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_registry_with_tls_is_trusted_by_its_authority_and_may_ask_for_a_certificate() {
    let Some(registry) = Registry::options().with_client_certificate().start() else { return };
    let authority = registry.authority().expect("TLS");
    let pair = registry.client().expect("TLS");
    let identity = [&pair.certificate, &pair.key].map(|file| std::fs::read(file).expect("a file")).concat();
    let root = reqwest::Certificate::from_pem(authority.pem().as_bytes()).expect("PEM");
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let trusting = || Client::builder().no_proxy().tls_certs_only([root.clone()]);
    let known = trusting().identity(reqwest::Identity::from_pem(&identity).expect("PEM")).build().expect("a client");
    assert_eq!(known.get(registry.url("/v2/")).send().await.expect("an answer").status(), 200);
    assert!(trusting().build().expect("a client").get(registry.url("/v2/")).send().await.is_err());
}

#[tokio::test]
async fn every_kind_of_image_is_pushed_and_read_back_as_it_is() {
    let Some(registry) = Registry::start() else { return };
    let (layout, kinds) = zoo();
    let name = format!("{}/zoo", registry.host());
    for (kind, root) in &kinds {
        push(&layout, root, &name, Some(kind)).await;
        let bytes = fetch_manifest(&name, kind).await.expect("a manifest");
        assert_eq!(Digest::of(&bytes), root.digest, "{kind}");
    }
    let registry = registry.again(Registry::options().read_only());
    let name = format!("{}/zoo", registry.host());
    assert!(fetch_manifest(&name, "index").await.is_some());
    assert_eq!(client().post(registry.url("/v2/zoo/blobs/uploads/")).send().await.expect("an answer").status(), 405);
}

#[test]
fn fixtures_are_the_same_every_time() {
    let digests = || zoo().1.into_iter().map(|(kind, root)| format!("{kind} {}\n", root.digest)).collect::<String>();
    assert_eq!(digests(), digests());
    let tree = Layer::tree(1, 300 << 10);
    let (plain, stored) = (tree.plain().len(), tree.stored().len());
    assert!(stored < plain * 9 / 10 && stored > plain / 10, "{stored} of {plain} bytes: neither all text nor all noise");
}

#[test]
fn skopeo_brings_an_image_of_a_layout_and_sees_its_digest() {
    let Some(registry) = Registry::start() else { return };
    let (layout, kinds) = zoo();
    let name = format!("{}/app:1", registry.host());
    let Some(()) = push_with_skopeo(&layout, "index", &name) else { return };
    assert_eq!(digest_by_skopeo(&name), Some(kinds["index"].digest));
}

#[test]
fn umoci_unpacks_a_generated_image() {
    let Some(mut umoci) = Tool::find("umoci") else { return };
    let layout = Layout::new();
    layout.tag("app", &layout.image(&Image::of([Layer::files(&[("etc/motd".to_owned(), b"hello".to_vec())])])));
    let bundle = tempfile::TempDir::new().expect("a directory");
    let image = format!("{}:app", layout.path().display());
    run(umoci.args(["unpack", "--rootless", "--image", &image]).arg(bundle.path().join("out")));
    assert_eq!(std::fs::read(bundle.path().join("out/rootfs/etc/motd")).expect("a file"), b"hello");
}

#[tokio::test]
async fn a_proxy_counts_and_fails_as_it_is_told() {
    let Some(registry) = Registry::start() else { return };
    let layout = Layout::new();
    let blob = layout.blob("application/octet-stream", &Random::new(9).noise(300_000));
    let root = layout.artifact("application/x", &layout.read(&blob.digest), None);
    push(&layout, &root, &format!("{}/app", registry.host()), Some("1")).await;
    let proxy = Proxy::before(registry.host());
    let url = format!("http://{}/v2/app/blobs/{}", proxy.host(), blob.digest);
    let fetch = || async { client().get(&url).send().await.expect("a head") };

    assert_eq!(Digest::of(&fetch().await.bytes().await.expect("a body")), blob.digest);
    let count = proxy.count("GET", Class::Blob);
    assert_eq!((count.requests, count.down_bytes), (1, 300_000));

    proxy.forget();
    proxy.set(fault::nth("GET", Class::Blob, 0, Fault::none().cut_response_at(100_000)));
    let mut cut = fetch().await;
    let mut got = 0;
    while let Ok(Some(part)) = cut.chunk().await {
        got += part.len();
    }
    assert_eq!(got, 100_000);
    assert_eq!(fetch().await.bytes().await.expect("only the first was cut").len(), 300_000);

    proxy.set(|_| Fault::none().flip_at(150_000));
    let flipped = fetch().await.bytes().await.expect("a body");
    let differs = flipped.iter().zip(layout.read(&blob.digest)).filter(|(is, was)| *is != was).count();
    assert_eq!(differs, 1);

    proxy.set(fault::every("GET", Class::Blob, Fault::answer(429).retry_after(7)));
    let refused = fetch().await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "7");

    proxy.set(|_| Fault::none().header("Docker-Content-Digest", "sha256:lie").delay(Duration::from_millis(50)));
    let begun = Instant::now();
    assert_eq!(fetch().await.headers()["docker-content-digest"], "sha256:lie");
    assert!(begun.elapsed() >= Duration::from_millis(50));

    proxy.set(|_| Fault::none().rate(1_000_000));
    let begun = Instant::now();
    assert_eq!(fetch().await.bytes().await.expect("a body").len(), 300_000);
    assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());

    proxy.set(|_| Fault::refused());
    assert!(client().get(&url).send().await.is_err());
}

#[tokio::test]
async fn a_proxy_cuts_an_upload_where_it_is_told() {
    let Some(registry) = Registry::start() else { return };
    let proxy = Proxy::with(registry.host(), fault::nth("PATCH", Class::Upload, 0, Fault::none().cut_upload_at(65_536)));
    let begin = || async {
        let begun = client().post(format!("http://{}/v2/app/blobs/uploads/", proxy.host())).send().await.expect("an answer");
        begun.headers()["location"].to_str().expect("a URL").to_owned()
    };
    let place = begin().await;
    assert!(place.contains(&proxy.host()), "the upload goes on through the proxy: {place}");
    assert!(client().patch(&place).body(vec![7u8; 400_000]).send().await.is_err());
    assert_eq!(proxy.count("PATCH", Class::Upload).up_bytes, 65_536);
    let whole = client().patch(begin().await).body(vec![7u8; 400_000]).send().await.expect("only the first was cut");
    assert_eq!(whole.headers()["range"], "0-399999");
}

#[test]
fn a_rule_by_chance_strikes_about_as_often_as_it_says() {
    let Some(registry) = Registry::start() else { return };
    let proxy = Proxy::with(registry.host(), fault::sometimes(1, 30, Fault::answer(503)));
    let struck = tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let mut struck = 0;
        for _ in 0..60 {
            struck += usize::from(status(&format!("http://{}/v2/", proxy.host())).await == 503);
        }
        struck
    });
    assert!((8..=30).contains(&struck), "{struck} of 60");
    assert_eq!(proxy.count("GET", Class::Ping).requests, 60);
}
