//! Requests through a proxy, in plain HTTP and through a tunnel.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::certificate::{Pair, home, params};
use super::server::{Server, answer};
use crate::environment::Environment;
use crate::store::registry::connection::{Access, Connection, Options, Request, StatusCode};

fn options(environment: Environment) -> Options {
    Options { environment, retry_times: 0, retry_delay: Some(Duration::ZERO), ..Options::default() }
}

/// A proxy that leads every tunnel to `end`; and the heads of the requests that it was sent.
async fn tunnels_to(end: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = heads.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (end, log) = (end.clone(), log.clone());
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.expect("a line") > 0 {}
                log.lock().expect("a log").push(head);
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("an answer");
                let mut onward = TcpStream::connect(end).await.expect("the other end");
                let _ = copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    (host, heads)
}

#[tokio::test]
async fn https_goes_through_a_tunnel_with_the_proxys_password() {
    let pair = Pair::self_signed(params(&["reg.test"], false));
    let server = Server::tls(pair.server(None), |seen| answer(200, seen.header("proxy-authorization").unwrap_or("none").to_owned())).await;
    let (proxy, heads) = tunnels_to(server.host.clone()).await;
    let (home, _) = home("reg.test:5000", &[("ca.crt", pair.pem())]);
    let variables = [("HOME", home.path().display().to_string()), ("https_proxy", format!("http://me:s%40crt@{proxy}"))];
    let connection = Connection::new("reg.test:5000", &options(Environment::from_iter(variables))).expect("a connection");
    let response = connection.send(Request::get("/v2/x", Access::None)).await.expect("an answer through the tunnel");
    assert_eq!(response.bytes(100, "x").await.expect("content"), "none", "the registry does not get the proxy's password");
    let head = heads.lock().expect("a log")[0].to_lowercase();
    assert!(head.starts_with("connect reg.test:5000 http/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic bwu6c0bjcnq="), "{head}");
}

#[tokio::test]
async fn plain_http_is_asked_of_the_proxy_itself() {
    let proxy = Server::plain(|seen| answer(200, seen.target.clone())).await;
    let variables = [("HTTP_PROXY", format!("http://{}", proxy.host)), ("HTTPS_PROXY", "http://127.0.0.1:1".to_owned())];
    let unverified = Options { tls_verify: Some(false), ..options(Environment::from_iter(variables)) };
    let connection = Connection::new("reg.test:5000", &unverified).expect("a connection");
    let response = connection.send(Request::get("/v2/x", Access::None)).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.bytes(100, "x").await.expect("content"), "http://reg.test:5000/v2/x");
    assert_eq!(proxy.asked(), ["GET http://reg.test:5000/v2/", "GET http://reg.test:5000/v2/x"]);
}

#[tokio::test]
async fn a_registry_on_loopback_is_reached_without_the_proxy() {
    let registry = Server::plain(|_| answer(200, "")).await;
    let variables = ["HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name, "http://127.0.0.1:1"));
    let connection = Connection::new(&registry.host, &options(Environment::from_iter(variables))).expect("a connection");
    assert_eq!(connection.send(Request::get("/v2/", Access::None)).await.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_as_the_cause() {
    let variables = [("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:1")];
    let connection = Connection::new("reg.test", &options(Environment::from_iter(variables))).expect("a connection");
    let error = connection.send(Request::get("/v2/x", Access::None)).await.err().expect("no proxy").to_string();
    assert!(error.starts_with("GET https://reg.test/v2/x through the proxy 127.0.0.1:1: "), "{error}");
    assert!(error.ends_with("Connection refused (tried 1 time)") && !error.contains("hunter2"), "{error}");
}
