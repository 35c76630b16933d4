//! Where a server listens, what it shows of itself, who is let in, and how it ends.

use std::io::Read as _;
use std::time::{Duration, Instant};

use super::{Home, Served, client};
use crate::support::certificates::Authority;
use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;
use crate::support::registry::{PASSWORD, USER};
use crate::support::tools::{Tool, run};

/// An archive of one small image.
fn small() -> Home {
    let (home, layout) = (Home::new(), Layout::new());
    let root = layout.image(&Image::of([Layer::tree(1, 20_000)]));
    layout.list_in_index(&root, &[("io.containerd.image.name", "quay.io/org/app:1")]);
    home.sync(&layout, &[]);
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ready_line_says_what_is_served_where() {
    let home = small();
    let served = home.serve(&[&home.path("disk")]);
    assert_eq!(served.said, format!("serving 1 image of set 1 at {} (read-only)\n", served.url));
    for name in ["quay.io/org/app", "org/app"] {
        assert_eq!(served.get(&format!("/v2/{name}/manifests/1")).await.status(), 200);
    }
    assert_eq!(served.end(), Some(0));
    let mut served = home.serve(&["-o", "json", &home.path("disk")]);
    let mut document = std::mem::take(&mut served.said);
    while !document.ends_with("}\n") || serde_json::from_str::<serde_json::Value>(&document).is_err() {
        document += &served.line();
    }
    let document: serde_json::Value = serde_json::from_str(&document).expect("json");
    assert_eq!((&document["schema"], &document["images"]), (&"ocm.serve.v1".into(), &1.into()));
    assert_eq!(document["sets"][0]["generation"], 1);
}

#[test]
fn other_machines_are_let_in_with_tls_or_when_plain_http_is_said() {
    let home = small();
    let disk = home.path("disk");
    let (code, out, err) = home.run(&["serve", "--listen", "0.0.0.0:0", &disk]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("hint:    say --tls-self-signed"), "{err}");
    for (listen, reason) in [("nonsense", "write it like 127.0.0.1:5000"), ("127.0.0.1:99999", "write it like 127.0.0.1:5000")] {
        let (code, _, err) = home.run(&["serve", "--listen", listen, &disk]);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(reason), "{err}");
    }
    let taken = home.serve(&[&disk]);
    let (code, _, err) = home.run(&["serve", "--listen", taken.host(), &disk]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("Address already in use") && err.contains("hint:    name another address"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_shown_and_replaced_without_a_restart() {
    let home = small();
    let folders = ["first", "second"].map(|name| home.folder.path().join(name));
    folders.iter().for_each(|folder| std::fs::create_dir(folder).expect("a folder"));
    let [first, second] = folders.each_ref().map(|folder| Authority::new(folder));
    let (pair, next) = (first.server(), second.server());
    let files = [&pair.certificate, &pair.key].map(|path| path.display().to_string());
    let served = home.serve(&["--tls-cert", &files[0], "--tls-key", &files[1], &home.path("disk")]);
    assert!(served.url.starts_with("https://"), "{}", served.said);
    client();
    let trusting = |authority: &Authority| {
        let root = reqwest::Certificate::from_pem(authority.pem().as_bytes()).expect("a certificate");
        reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().expect("a client")
    };
    let is_known = async |authority: &Authority| trusting(authority).get(served.url("/v2/")).send().await.is_ok();
    assert!(is_known(&first).await && !is_known(&second).await);
    std::fs::copy(&next.key, &pair.key).expect("copied");
    std::fs::copy(&next.certificate, &pair.certificate).expect("copied");
    let begun = Instant::now();
    while !is_known(&second).await {
        assert!(begun.elapsed() < Duration::from_secs(20), "it was not taken in");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!is_known(&first).await);
}

#[test]
fn a_certificate_of_its_own_is_told_by_its_fingerprint() {
    let home = small();
    let mut served = home.serve(&["--tls-self-signed", &home.path("disk")]);
    let line = served.line();
    let fingerprint = line.trim().strip_prefix("certificate  SHA-256 ").unwrap_or_else(|| panic!("{line}")).to_owned();
    let Some(mut openssl) = Tool::find("openssl") else { return };
    let shown = run(openssl.args(["s_client", "-connect", served.host()]));
    let certificate = home.path("shown.pem");
    std::fs::write(&certificate, shown).expect("written");
    let mut openssl = Tool::find("openssl").expect("there a moment ago");
    let said = run(openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in", &certificate]));
    assert!(said.trim().ends_with(&fingerprint), "{said} {fingerprint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_file_are_let_in() {
    let home = small();
    let users = home.path("users");
    std::fs::write(&users, "tester:$apr1$x$y\n").expect("written");
    let (code, _, err) = home.run(&["serve", "--htpasswd", &users, &home.path("disk")]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("users:1: the hash of \"tester\" is not bcrypt") && err.contains("htpasswd -B"), "{err}");
    std::fs::write(&users, "tester:$2y$05$D8jIOossE21Z80pMU/VZdeBCp.wFy.rcJJJPYnSwbC8tHV/3qv3A6\n").expect("written");
    let log = home.path("log");
    let served = home.serve(&["--htpasswd", &users, "--access-log", &log, &home.path("disk")]);
    assert_eq!(served.get("/v2/").await.status(), 401);
    let known = client().get(served.url("/v2/")).basic_auth(USER, Some(PASSWORD)).send().await.expect("an answer");
    assert_eq!(known.status(), 200);
    let Some(mut skopeo) = Tool::find("skopeo") else { return };
    let credentials = format!("{USER}:{PASSWORD}");
    skopeo.args(["inspect", "--raw", "--tls-verify=false", "--creds", &credentials]);
    assert!(run(skopeo.arg(format!("docker://{}/org/app:1", served.host()))).contains("schemaVersion"));
    assert_eq!(served.end(), Some(0));
    let lines = std::fs::read_to_string(&log).expect("a log");
    assert!(lines.contains(" - \"GET /v2/\" 401 ") && lines.contains(" tester \"GET /v2/\" 200 "), "{lines}");
}

#[test]
fn the_configuration_of_a_mirror_is_printed_and_that_is_all() {
    let home = small();
    let disk = home.path("disk");
    for (dialect, expected) in [
        ("containers", "location = \"127.0.0.1:5000/quay.io\"\ninsecure = true\n"),
        ("containerd", "[host.\"http://127.0.0.1:5000/v2/quay.io\"]"),
        ("idms", "  - source: quay.io\n    mirrors:\n    - 127.0.0.1:5000/quay.io\n"),
    ] {
        let (code, out, err) = home.run(&["serve", "--print-mirror-config", dialect, &disk]);
        assert_eq!(code, Some(0), "{err}");
        assert!(out.contains(expected), "{out}");
    }
    let (code, _, err) = home.run(&["serve", "--print-mirror-config", "idms", "--listen", "127.0.0.1:0", &disk]);
    assert_eq!(code, Some(2), "{err}");
}

#[test]
fn skopeo_pulls_by_the_name_of_the_source_through_the_printed_configuration() {
    let home = small();
    let served: Served = home.serve(&[&home.path("disk")]);
    let Some(mut skopeo) = Tool::find("skopeo") else { return };
    let (code, out, err) = home.run(&["serve", "--print-mirror-config", "containers", "--listen", served.host(), &home.path("disk")]);
    assert_eq!(code, Some(0), "{err}");
    let conf = home.path("registries.conf");
    std::fs::write(&conf, out.replace("location = \"quay.io\"", "location = \"127.0.0.1:1\"")).expect("written");
    skopeo.args(["--registries-conf", &conf, "inspect", "--raw", "docker://quay.io/org/app:1"]);
    assert!(run(&mut skopeo).contains("schemaVersion"));
}

#[test]
fn an_archive_that_is_none_ends_before_anything_listens() {
    let home = Home::new();
    std::fs::create_dir(home.path("empty")).expect("a folder");
    let (code, out, err) = home.run(&["serve", "--listen", "127.0.0.1:0", &home.path("empty")]);
    assert_ne!(code, Some(0), "{err}");
    assert_eq!(out, "");
    let (code, _, err) = home.run(&["serve", "docker://quay.io/a"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("is no archive directory"), "{err}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    use rustix::process::{Pid, Signal, kill_process};
    let home = small();
    let mut served = home.serve(&[&home.path("disk")]);
    // A request that never ends keeps it from ending in order.
    let mut open = std::net::TcpStream::connect(served.host()).expect("a connection");
    std::io::Write::write_all(&mut open, b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\nGET /v2/ HT").expect("sent");
    open.read_exact(&mut [0; 10]).expect("the first answer");
    let pid = Pid::from_child(&served.child);
    let begun = Instant::now();
    while served.child.try_wait().expect("a child").is_none() {
        // It may end between the look and the signal.
        let _gone = kill_process(pid, Signal::INT);
        std::thread::sleep(Duration::from_millis(200));
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not end");
    }
}
