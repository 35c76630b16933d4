//! Tokens, passwords and where they go, against a registry and a token service of our own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::server::{Answer, Seen, Server, answer, with};
use crate::image::{Body, Repository};
use crate::store::registry::connection::{Access, Connection, Options, Request, RequestBody, StatusCode};

fn pull(path: &str) -> Access {
    Access::pull(&Repository::new("reg.test", path).expect("a repository"))
}

fn get(path: &str) -> Request {
    Request::get(format!("/v2/{path}/tags/list"), pull(path))
}

/// Options with an auth file of these contents.
fn options(auths: &str) -> (TempDir, Options) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("auth.json");
    std::fs::write(&path, auths).expect("a file");
    (dir, Options { authfile: Some(path), retry_delay: Some(Duration::ZERO), ..Options::default() })
}

fn anonymous() -> Options {
    Options { retry_delay: Some(Duration::ZERO), ..Options::default() }
}

/// A token service; the number of tokens so far is the token.
async fn service(expires_in: u32) -> Server {
    let given = AtomicU32::new(0);
    Server::plain(move |_| {
        let number = given.fetch_add(1, Ordering::SeqCst) + 1;
        answer(200, format!(r#"{{"token": "t{number}", "expires_in": {expires_in}, "issued_at": "x"}}"#))
    })
    .await
}

/// A registry that lets in whom `lets_in` knows by the `Authorization`, and sends all others to `realm`.
async fn registry(realm: String, refusal: u16, lets_in: impl Fn(&str) -> bool + Send + Sync + 'static) -> Server {
    Server::plain(move |seen| match seen.header("authorization") {
        Some(header) if lets_in(header) => answer(200, header.to_owned()),
        Some(_) => challenge(refusal, &realm),
        None => challenge(401, &realm),
    })
    .await
}

fn challenge(status: u16, realm: &str) -> Answer {
    with(answer(status, "{}"), "www-authenticate", &format!(r#"Bearer realm="http://{realm}/token",service="the registry""#))
}

async fn text(connection: &Connection, request: Request) -> String {
    let response = connection.send(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    String::from_utf8(response.bytes(1000, "text").await.expect("content").to_vec()).expect("text")
}

#[tokio::test]
async fn an_anonymous_token_is_fetched_once_for_each_access() {
    let service = service(300).await;
    let registry = registry(service.host.clone(), 401, |header| header.starts_with("Bearer t")).await;
    let connection = Connection::new(&registry.host, &anonymous()).expect("a connection");
    for (path, token) in [("a/b", "Bearer t1"), ("a/b", "Bearer t1"), ("c", "Bearer t2"), ("a/b", "Bearer t1")] {
        assert_eq!(text(&connection, get(path)).await, token);
    }
    let asked = ["a%2Fb", "c"].map(|path| format!("GET /token?service=the+registry&scope=repository%3A{path}%3Apull"));
    assert_eq!(service.asked(), asked);
    assert!(service.seen().iter().all(|seen| seen.header("authorization").is_none()));
    assert_eq!(registry.seen().len(), 5, "one refusal in all, then each request goes out with its token");
}

#[tokio::test]
async fn many_tasks_share_one_token() {
    let service = service(300).await;
    let registry = registry(service.host.clone(), 401, |header| header.starts_with("Bearer t")).await;
    let connection = Connection::new(&registry.host, &anonymous()).expect("a connection");
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move { text(&connection, get("a")).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic"), "Bearer t1");
    }
    assert_eq!(service.seen().len(), 1);
}

#[tokio::test]
async fn a_mount_asks_for_a_token_of_both_repositories() {
    let service = service(300).await;
    let registry = registry(service.host.clone(), 401, |_| true).await;
    let connection = Connection::new(&registry.host, &anonymous()).expect("a connection");
    let [from, to] = ["base", "team/app"].map(|path| Repository::new("reg.test", path).expect("a repository"));
    text(&connection, Request::post("/v2/team/app/blobs/uploads/?mount=x", Access::mount(&from, &to))).await;
    let scopes = "scope=repository%3Ateam%2Fapp%3Apull%2Cpush&scope=repository%3Abase%3Apull";
    assert_eq!(service.asked(), [format!("GET /token?service=the+registry&{scopes}")]);
}

#[tokio::test]
async fn a_token_that_ended_is_replaced_in_mid_run() {
    for refusal in [401, 403] {
        let service = service(300).await;
        let valid = Arc::new(AtomicU32::new(1));
        let now = valid.clone();
        let registry =
            registry(service.host.clone(), refusal, move |header| header == format!("Bearer t{}", now.load(Ordering::SeqCst))).await;
        let connection = Connection::new(&registry.host, &anonymous()).expect("a connection");
        assert_eq!(text(&connection, get("a")).await, "Bearer t1");
        valid.store(2, Ordering::SeqCst);
        assert_eq!(text(&connection, get("a")).await, "Bearer t2");
        assert_eq!(registry.seen().len(), 4);
        valid.store(9, Ordering::SeqCst);
        let response = connection.send(get("a")).await.expect("an answer");
        assert_eq!((response.status().as_u16(), service.seen().len()), (refusal, 3), "a new token is tried once");
    }
}

#[tokio::test]
async fn a_token_is_replaced_before_it_ends() {
    let service = service(1).await;
    let registry = registry(service.host.clone(), 401, |_| true).await;
    let connection = Connection::new(&registry.host, &anonymous()).expect("a connection");
    assert_eq!(text(&connection, get("a")).await, "Bearer t1");
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(text(&connection, get("a")).await, "Bearer t2");
    assert_eq!(registry.seen().len(), 3, "the registry never saw a token that had ended");
}

#[tokio::test]
async fn a_body_that_is_sent_once_is_not_sent_again_for_a_new_token() {
    let service = service(300).await;
    let valid = Arc::new(AtomicU32::new(1));
    let now = valid.clone();
    let registry = registry(service.host.clone(), 401, move |header| header == format!("Bearer t{}", now.load(Ordering::SeqCst))).await;
    let connection = Connection::new(&registry.host, &anonymous()).expect("a connection");
    text(&connection, get("a")).await;
    valid.store(2, Ordering::SeqCst);
    let upload = || {
        let body = RequestBody::Once { length: 3, body: Body::from_bytes(Bytes::from("abc")) };
        Request::patch("/v2/a/up", pull("a")).body(body)
    };
    assert_eq!(connection.send(upload()).await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    assert_eq!(connection.send(upload()).await.expect("an answer").status(), StatusCode::OK, "the next one has a new token");
}

#[tokio::test]
async fn passwords_go_to_the_token_service_and_tokens_to_the_registry() {
    let service = service(300).await;
    let registry = registry(service.host.clone(), 401, |header| header.starts_with("Bearer t")).await;
    let auths = format!(
        r#"{{"auths": {{"{0}": {{"username": "all", "password": "1"}}, "{0}/team": {{"username": "team", "password": "2"}}}}}}"#,
        registry.host
    );
    let (_dir, options) = options(&auths);
    let connection = Connection::new(&registry.host, &options).expect("a connection");
    text(&connection, get("team/app")).await;
    text(&connection, get("other")).await;
    let sent: Vec<_> = service.seen().iter().map(|seen| seen.header("authorization").map(str::to_owned)).collect();
    assert_eq!(sent, [Some("Basic dGVhbToy".to_owned()), Some("Basic YWxsOjE=".to_owned())]);
    assert!(service.asked()[0].ends_with("&account=team"));
    assert!(registry.seen().iter().all(|seen| seen.header("authorization").is_none_or(|header| header.starts_with("Bearer"))));
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_post() {
    let service = Server::plain(|seen| answer(200, format!(r#"{{"access_token": "of-{}"}}"#, seen.method))).await;
    let registry = registry(service.host.clone(), 401, |_| true).await;
    let (_dir, options) = options(&format!(r#"{{"auths": {{"{}": {{"auth": "MDA6", "identitytoken": "i&d"}}}}}}"#, registry.host));
    let connection = Connection::new(&registry.host, &options).expect("a connection");
    assert_eq!(text(&connection, get("a")).await, "Bearer of-POST");
    let expected = "grant_type=refresh_token&client_id=ocm&refresh_token=i%26d&service=the+registry&scope=repository%3Aa%3Apull";
    assert_eq!(String::from_utf8_lossy(&service.seen()[0].body), expected);
}

#[tokio::test]
async fn a_password_is_sent_to_a_registry_that_asks_for_it() {
    let registry = Server::plain(|seen| match seen.header("authorization") {
        Some("Basic dTpw") => answer(200, ""),
        _ => with(answer(401, ""), "www-authenticate", r#"Basic realm="r""#),
    })
    .await;
    let (_dir, known) = options(&format!(r#"{{"auths": {{"{}": {{"auth": "dTpw"}}}}}}"#, registry.host));
    let connection = Connection::new(&registry.host, &known).expect("a connection");
    text(&connection, get("a")).await;
    text(&connection, get("a")).await;
    assert_eq!(registry.seen().len(), 3);
    let stranger = Connection::new(&registry.host, &anonymous()).expect("a connection");
    let error = stranger.send(get("a")).await.expect("an answer").refusal("tags of a").await;
    assert!(error.way_out().is_some_and(|hint| hint.starts_with("log in")), "{error:?}");
    assert_eq!(registry.seen().len(), 4, "without a password there is nothing to try again");
}

#[tokio::test]
async fn a_failing_token_service_is_an_error_that_names_it() {
    let long = format!(r#"{{"token": "{}"}}"#, "x".repeat(2 << 20));
    for (status, content, why, asked) in [
        (401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}"#, "wrong password (401 UNAUTHORIZED from", 1),
        (404, "<html>", "not found (404 from", 1),
        (503, "", "service unavailable (503 from", 4),
        (200, "{}", "there is no token in its answer", 1),
        (200, "<html>", "its answer is not the JSON of a token", 1),
        (200, r#"{"token": "a\nb"}"#, "the token cannot stand in a header", 1),
        (200, long.as_str(), "it is longer than the 1048576 bytes", 1),
    ] {
        let content = content.to_owned();
        let service = Server::plain(move |_| answer(status, content.clone())).await;
        let registry = registry(service.host.clone(), 401, |_| true).await;
        let (_dir, options) = options(&format!(r#"{{"auths": {{"{}": {{"auth": "dTpodW50ZXIy"}}}}}}"#, registry.host));
        let error = Connection::new(&registry.host, &options).expect("a connection").send(get("a")).await.err().expect(why);
        let named = format!("token for {} from http://{}/token", registry.host, service.host);
        assert!(error.to_string().starts_with(&named) && error.to_string().contains(why), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert_eq!((service.seen().len(), registry.seen().len()), (asked, 1), "{status}");
    }
    let registry = registry("127.0.0.1:1".into(), 401, |_| true).await;
    let error = Connection::new(&registry.host, &anonymous()).expect("a connection").send(get("a")).await.err().expect("nobody there");
    assert!(error.to_string().contains("token for") && error.to_string().contains("127.0.0.1:1/token: Connection refused"), "{error}");
}

#[tokio::test]
async fn credentials_follow_no_redirect_to_another_host() {
    let store = Server::plain(|_| answer(200, "blob")).await;
    let elsewhere = Server::plain(|_| answer(200, r#"{"token": "stolen"}"#)).await;
    let (blob, stolen) = (format!("http://{}/blob", store.host), format!("http://{}/token", elsewhere.host));
    let service = Server::plain(move |_| with(answer(307, ""), "location", &stolen)).await;
    let realm = service.host.clone();
    let registry = Server::plain(move |seen| match seen.header("authorization") {
        Some(_) => with(answer(307, ""), "location", &blob),
        None => challenge(401, &realm),
    })
    .await;
    for (entry, reaches) in [(r#""auth": "dTpw""#, true), (r#""identitytoken": "id""#, false)] {
        let (_dir, options) = options(&format!(r#"{{"auths": {{"{}": {{{entry}}}}}}}"#, registry.host));
        let sent = Connection::new(&registry.host, &options).expect("a connection").send(get("a")).await;
        assert_eq!(sent.is_ok(), reaches, "{entry}");
    }
    let strangers = [store.seen(), elsewhere.seen()].concat();
    assert_eq!(strangers.len(), 2);
    assert!(strangers.iter().all(|seen| seen.header("authorization").is_none() && seen.method == "GET"));
}

#[tokio::test]
async fn a_stranger_cannot_ask_for_the_credentials_of_a_registry() {
    let thief = Server::plain(|_| with(answer(401, ""), "www-authenticate", "Basic realm=x")).await;
    let to = format!("http://{}/blob", thief.host);
    let moved = to.clone();
    let registry = Server::plain(move |_| with(answer(307, ""), "location", &moved)).await;
    let (_dir, options) = options(&format!(r#"{{"auths": {{"{}": {{"auth": "dTpw"}}}}}}"#, registry.host));
    let connection = Connection::new(&registry.host, &options).expect("a connection");
    for request in [get("a"), Request::put(to, pull("a"))] {
        assert_eq!(connection.send(request).await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(thief.seen().len(), 2);
    assert!(thief.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn a_scope_of_the_registrys_own_is_asked_for_as_well() {
    let service = service(300).await;
    let realm = service.host.clone();
    let registry = Server::plain(move |seen: &Seen| match seen.header("authorization") {
        Some(_) => answer(200, ""),
        None => {
            let header = format!(r#"Bearer realm="http://{realm}/token",scope="repository:a:pull repository:a/meta:pull""#);
            with(answer(401, ""), "www-authenticate", &header)
        }
    })
    .await;
    let connection = Connection::new(&registry.host, &anonymous()).expect("a connection");
    text(&connection, get("a")).await;
    let scopes = "scope=repository%3Aa%3Apull&scope=repository%3Aa%2Fmeta%3Apull";
    assert_eq!(service.asked(), [format!("GET /token?{scopes}")]);
}
