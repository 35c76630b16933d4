//! Clients that mean no good, over bare sockets: no panic, no hang, nothing that stays behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::lab::{Fault, Lab, Running, noise, options};
use super::{Limits, Options};
use crate::image::Digest;
use crate::image::inside::Made;

fn lab() -> (Arc<Lab>, Digest) {
    lab_of(4_000_000)
}

fn lab_of(size: usize) -> (Arc<Lab>, Digest) {
    let mut lab = Lab::default();
    let layer = lab.blob(noise(1, size), Made::Stored);
    let root = lab.image(&[layer], json!({}));
    lab.name("quay.io/a:1", &root, &[]);
    (Arc::new(lab), layer)
}

async fn server(limits: impl FnOnce(Limits) -> Limits) -> (Running, Digest) {
    let (lab, layer) = lab();
    let usual = options();
    (Running::start(lab, Options { limits: limits(usual.limits), ..usual }).await, layer)
}

/// What comes back when these bytes are sent, until the server closes.
async fn exchange(server: &Running, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    let mut answer = Vec::new();
    let talk = async {
        // The server may close before all is said.
        let _refused = stream.write_all(bytes).await;
        let _reset = stream.read_to_end(&mut answer).await;
    };
    tokio::time::timeout(Duration::from_secs(20), talk).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_slowly_ends_the_connection() {
    let (server, _) = server(|limits| Limits { head: Duration::from_millis(300), ..limits }).await;
    let begun = Instant::now();
    for start in ["", "GET /v2/ HTTP/1.1\r\nHost: x\r\n", "GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Y: "] {
        exchange(&server, start.as_bytes()).await;
    }
    let mut dripping = TcpStream::connect(server.address).await.expect("a connection");
    dripping.write_all(b"GET /v2/ HTTP/1.1\r\n").await.expect("sent");
    while dripping.write_all(b"X: y\r\n").await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(15), "a drip keeps the connection");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_given_up() {
    // More than what the two ends of a connection hold in their buffers.
    let (lab, layer) = lab_of(50_000_000);
    let limits = Limits { stall: Duration::from_millis(500), ..options().limits };
    let server = Running::start(lab, Options { limits, ..options() }).await;
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(format!("GET /v2/a/blobs/{layer} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.expect("sent");
    let given_up = async {
        while server.get("/metrics").await.text().await.expect("text").contains("ocm_cut_total 0\n") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), given_up).await.expect("it is given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn shapes_that_smuggle_requests_are_refused_and_end_the_connection() {
    let (server, _) = server(|limits| limits).await;
    let hidden = "GET /v2/_catalog HTTP/1.1\r\nHost: x\r\n\r\n";
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 4\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +3\r\n",
        "Content-Length : 3\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: xchunked\r\n",
        " Transfer-Encoding: chunked\r\n",
    ] {
        let answer = exchange(&server, format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{head}\r\n0\r\n\r\n{hidden}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{head:?}: {answer}");
        assert!(!answer.contains("repositories"), "{head:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_none_are_refused() {
    let (server, layer) = server(|limits| limits).await;
    let long = format!("GET /v2/{}/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", "a/".repeat(60_000));
    let large = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(1 << 20));
    let many = format!("GET /v2/ HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(5000));
    for (bytes, expected) in [
        ("GET /v2/a\0b/tags/list HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"),
        ("GET /v2/\x01 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"),
        ("GET\r\n\r\n", "HTTP/1.1 400"),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n", "HTTP/1.1 400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 "),
        (&long, "HTTP/1.1 4"),
        (&large, "HTTP/1.1 431"),
        (&many, "HTTP/1.1 431"),
        ("BREW /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405"),
        ("GET http://other/v2/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404"),
        ("GET /v2/a/../a/manifests/1 HTTP/1.0\r\n\r\n", "HTTP/1.0 400"),
    ] {
        let answer = exchange(&server, bytes.as_bytes()).await;
        assert!(answer.starts_with(expected) || answer.is_empty(), "{:.60?}: {answer}", bytes);
    }
    let head = exchange(&server, format!("HEAD /v2/a/blobs/{layer} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
    assert!(head.contains("content-length: 4000000\r\n") && head.ends_with("\r\n\r\n"), "a HEAD has no body: {head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_keep_nobody_out() {
    let (server, layer) = server(|limits| Limits { connections: 1024, head: Duration::from_secs(2), ..limits }).await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(TcpStream::connect(server.address).await.expect("a connection"));
    }
    let begun = Instant::now();
    assert_eq!(server.get(&format!("/v2/a/blobs/{layer}")).await.bytes().await.expect("a body").len(), 4_000_000);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let gone = async {
        loop {
            let text = server.get("/metrics").await.text().await.expect("text");
            let open = text.lines().find_map(|line| line.strip_prefix("ocm_connections ")).and_then(|n| n.parse::<u64>().ok());
            if open.is_some_and(|open| open < 10) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("idle connections end");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let (server, _) = server(|limits| Limits { connections: 2, head: Duration::from_millis(500), ..limits }).await;
    let _idle = (TcpStream::connect(server.address).await, TcpStream::connect(server.address).await);
    assert_eq!(server.get("/v2/").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_go_away_leave_nothing_behind() {
    let (lab, layer) = lab();
    lab.fault(layer, Some(Fault::Slow(Duration::from_millis(3))));
    let server = Running::start(lab.clone(), options()).await;
    for _ in 0..30 {
        drop(server.get(&format!("/v2/a/blobs/{layer}")).await);
    }
    let quiet = async {
        loop {
            let text = server.get("/metrics").await.text().await.expect("text");
            // The one in flight is the request for the figures.
            if text.contains("ocm_requests_in_flight 1\n") && text.contains("ocm_cut_total 30\n") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), quiet).await.expect("all answers end");
    assert!(lab.bytes_read(&layer) < 30 * 4_000_000);
}
