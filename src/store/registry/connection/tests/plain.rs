//! Sending, answers, retries, redirects and limits, in plain HTTP.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::server::{Answer, Seen, Server, answer, with};
use crate::error::{Error, Kind};
use crate::image::Body;
use crate::monitor::{Event, Monitor};
use crate::store::registry::connection::{Access, Connection, Options, Request, RequestBody, StatusCode};

/// Options without waits.
fn options() -> Options {
    Options { retry_delay: Some(Duration::ZERO), ..Options::default() }
}

fn get(path: &str) -> Request {
    Request::get(path, Access::None)
}

/// Answers `GET /v2/` of the probe with 200 and everything else as told.
async fn server(answers: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> (Server, Connection) {
    let server = Server::plain(answers).await;
    let connection = Connection::new(&server.host, &options()).expect("a connection");
    (server, connection)
}

#[tokio::test]
async fn a_registry_on_loopback_is_spoken_to_in_plain_http() {
    let (server, connection) = server(|seen| with(answer(200, "hello"), "x-method", &seen.method)).await;
    let response = connection.send(get("/v2/a/tags/list?n=1")).await.expect("an answer");
    assert_eq!((response.status(), response.header("X-Method")), (StatusCode::OK, Some("GET")));
    assert_eq!(response.url().as_str(), format!("http://{}/v2/a/tags/list?n=1", server.host));
    assert_eq!(response.bytes(5, "tags").await.expect("five bytes"), "hello");
    assert_eq!(server.asked(), ["GET /v2/a/tags/list?n=1"]);
}

#[tokio::test]
async fn loopback_is_plain_only_when_nobody_asked_for_tls() {
    let server = Server::plain(|_| answer(200, "")).await;
    let strict = Options { tls_verify: Some(true), ..options() };
    let error = Connection::new(&server.host, &strict).expect("a connection").send(get("/v2/")).await.err().expect("no TLS there");
    assert!(error.to_string().contains("it does not speak TLS"), "{error}");
    assert!(error.way_out().is_some_and(|hint| hint.contains("--tls-verify=false")), "{error:?}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn bodies_carry_their_length() {
    let (server, connection) = server(|_| answer(201, "")).await;
    let made = || async { Ok(Body::new(6, "x", stream::iter([Ok(Bytes::from("abc")), Ok(Bytes::from("def"))]))) }.boxed();
    for body in [
        RequestBody::Empty,
        RequestBody::Bytes(Bytes::from("abcdef")),
        RequestBody::Stream { length: 6, make: Arc::new(made) },
        RequestBody::Once { length: 6, body: Body::from_bytes(Bytes::from("abcdef")) },
    ] {
        let response = connection.send(Request::put("/v2/up", Access::None).body(body)).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::CREATED);
    }
    let seen = server.seen();
    let lengths: Vec<_> = seen.iter().map(|seen| (seen.header("content-length"), &seen.body[..])).collect();
    assert_eq!(lengths, [(Some("0"), &b""[..]), (Some("6"), b"abcdef"), (Some("6"), b"abcdef"), (Some("6"), b"abcdef")]);
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Monitor for Log {
    fn event(&self, event: Event<'_>) {
        if let Event::Retry { what, why, attempt } = event {
            self.0.lock().expect("a log").push(format!("{attempt} {what}: {why}"));
        }
    }
}

/// Answers with `status` for the first `times` requests, then with 200.
fn failing(status: u16, times: u32) -> impl Fn(&Seen) -> Answer + Send + Sync + 'static {
    let asked = AtomicU32::new(0);
    move |_| if asked.fetch_add(1, Ordering::SeqCst) < times { answer(status, "") } else { answer(200, "") }
}

#[tokio::test]
async fn answers_that_may_pass_are_asked_for_again() {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = Server::plain(failing(status, 2)).await;
        let log = Arc::new(Log::default());
        let connection = Connection::new(&server.host, &Options { monitor: log.clone(), ..options() }).expect("a connection");
        let body = RequestBody::Bytes(Bytes::from("x"));
        let response = connection.send(Request::put("/v2/x?secret=1", Access::None).body(body)).await.expect("an answer");
        assert_eq!((response.status(), server.seen().len()), (StatusCode::OK, 3), "{status}");
        let told = log.0.lock().expect("a log").clone();
        assert!(told[0].starts_with(&format!("2 PUT {}/v2/x: {status}", server.host)) && told[1].starts_with("3 "), "{told:?}");
    }
}

#[tokio::test]
async fn the_last_answer_is_given_when_no_attempt_is_left() {
    let (server, connection) = server(failing(503, 99)).await;
    let response = connection.send(get("/v2/x")).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let error = response.refusal("the thing").await;
    assert_eq!(error.to_string(), format!("the thing: service unavailable (503 from {}, tried 4 times)", server.host));
}

#[tokio::test]
async fn a_final_answer_and_a_body_that_is_gone_are_sent_once() {
    let (denied, connection) = server(failing(404, 1)).await;
    assert_eq!(connection.send(get("/v2/x")).await.expect("an answer").status(), StatusCode::NOT_FOUND);
    assert_eq!(denied.seen().len(), 1);
    let (broken, connection) = server(failing(500, 1)).await;
    let body = RequestBody::Once { length: 1, body: Body::from_bytes(Bytes::from("x")) };
    let response = connection.send(Request::patch("/v2/x", Access::None).body(body)).await.expect("an answer");
    assert_eq!((response.status(), broken.seen().len()), (StatusCode::INTERNAL_SERVER_ERROR, 1));
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let asked = AtomicU32::new(0);
    let (_server, connection) = server(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => with(answer(429, ""), "retry-after", "1"),
        _ => answer(200, ""),
    })
    .await;
    let begun = Instant::now();
    assert_eq!(connection.send(get("/v2/x")).await.expect("an answer").status(), StatusCode::OK);
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn no_answer_at_all_names_the_place_the_cause_and_the_tries() {
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
    let connection = Connection::new(&format!("127.0.0.1:{port}"), &options()).expect("a connection");
    let error = connection.send(get("/v2/x")).await.err().expect("nobody is there").to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}/v2/: Connection refused (tried 4 times)")), "{error}");
    let unknown = Connection::new("no-such-host.invalid", &Options { retry_times: 0, ..options() }).expect("a connection");
    let error = unknown.send(get("/v2/x")).await.err().expect("no such host").to_string();
    assert!(error.starts_with("GET https://no-such-host.invalid/v2/x: dns error"), "{error}");
}

#[tokio::test]
async fn the_failure_of_a_bodys_source_is_told_as_it_is() {
    let (server, connection) = server(|_| answer(201, "")).await;
    let parts = || stream::iter([Ok(Bytes::from("abc")), Err(Error::damaged("volume 3 has a flipped bit"))]);
    let body = RequestBody::Stream { length: 6, make: Arc::new(move || async move { Ok(Body::new(6, "x", parts())) }.boxed()) };
    let error = connection.send(Request::put("/v2/up", Access::None).body(body)).await.err().expect("no body");
    assert_eq!((error.kind(), error.to_string()), (Kind::Damaged, "volume 3 has a flipped bit".to_owned()));
    assert!(server.seen().len() <= 1);
}

#[tokio::test]
async fn redirects_are_followed_and_keep_the_authorization_at_home() {
    let store = Server::plain(|seen| answer(200, format!("{} {:?}", seen.target, seen.header("range")))).await;
    let to = format!("http://{}/bucket/blob?signature=s", store.host);
    let (_registry, connection) = server(move |_| with(answer(307, ""), "location", &to)).await;
    let range = Request::get("/v2/a/blobs/x", Access::None).header("range".parse().expect("a name"), "bytes=1-".parse().expect("a value"));
    let response = connection.send(range).await.expect("an answer");
    assert_eq!(response.url().host_str(), Some("127.0.0.1"));
    assert_eq!(response.bytes(100, "blob").await.expect("content"), r#"/bucket/blob?signature=s Some("bytes=1-")"#);
}

#[tokio::test]
async fn redirects_without_end_or_to_nowhere_are_refused() {
    for (location, why) in [("/v2/again", "more than 10 times"), ("file:///etc/passwd", "file: URL"), ("http://[", "no URL")] {
        let (_server, connection) = server(move |_| with(answer(302, ""), "location", location)).await;
        let error = connection.send(get("/v2/x")).await.err().expect("no end").to_string();
        assert!(error.contains(why) && !error.contains("tried"), "{error}");
    }
}

#[tokio::test]
async fn a_write_is_not_made_another_thing_by_a_redirect() {
    let (server, connection) = server(|_| with(answer(302, ""), "location", "/v2/elsewhere")).await;
    let response = connection.send(Request::post("/v2/x", Access::None)).await.expect("an answer");
    assert_eq!((response.status(), server.asked()), (StatusCode::FOUND, vec!["POST /v2/x".to_owned()]));
}

#[tokio::test]
async fn no_content_is_read_beyond_its_limit() {
    let endless = || axum::body::Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 4096]))));
    let (_server, connection) =
        server(move |seen| if seen.target == "/v2/endless" { answer(200, endless()) } else { answer(200, "12345") }).await;
    for (path, limit, fits) in [("/v2/endless", 100_000, false), ("/v2/known", 4, false), ("/v2/known", 5, true)] {
        let result = connection.send(get(path)).await.expect("an answer").bytes(limit, "manifest").await;
        assert_eq!(result.is_ok(), fits, "{path} {limit}");
        assert!(result.err().is_none_or(|error| error.to_string().contains(&format!("longer than the {limit} bytes"))));
    }
    let error = connection.send(get("/v2/endless")).await.expect("an answer").refusal("manifest").await;
    assert!(error.to_string().contains("(200 from"), "{error}");
}

/// Answers every connection with `start`, and then with nothing more for ever.
async fn silent_after(start: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let is_http = request[..read].starts_with(b"GET /");
            let _ = stream.write_all(if is_http { start.as_bytes() } else { b"HTTP/1.1 400 Bad Request\r\n\r\n" }).await;
            held.extend(is_http.then_some(stream));
        }
    });
    host
}

#[tokio::test]
async fn standing_still_is_an_error_before_and_in_the_answer() {
    let hasty = Options { idle_timeout: Duration::from_millis(200), retry_times: 1, ..options() };
    let host = silent_after("").await;
    let error = Connection::new(&host, &hasty).expect("a connection").send(get("/v2/x")).await.err().expect("silence").to_string();
    assert_eq!(error, format!("GET http://{host}/v2/x: nothing moved for 0.2 s (tried 2 times)"));
    let host = silent_after("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await;
    let response = Connection::new(&host, &hasty).expect("a connection").send(get("/v2/x")).await.expect("an answer");
    let error = response.bytes(9, "blob").await.expect_err("silence").to_string();
    assert_eq!(error, format!("blob: GET http://{host}/v2/x: nothing came for 0.2 s"));
}

#[tokio::test]
async fn a_slow_upload_that_moves_does_not_time_out() {
    let server = Server::plain(|_| answer(201, "")).await;
    let hasty = Options { idle_timeout: Duration::from_millis(300), ..options() };
    let connection = Connection::new(&server.host, &hasty).expect("a connection");
    let parts = stream::unfold(0, |n| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (n < 6).then(|| (Ok(Bytes::from("x")), n + 1))
    });
    let body = RequestBody::Once { length: 6, body: Body::new(6, "x", parts) };
    let response = connection.send(Request::put("/v2/up", Access::None).body(body)).await.expect("an answer");
    assert_eq!((response.status(), &server.seen()[0].body[..]), (StatusCode::CREATED, &b"xxxxxx"[..]));
}
