//! TLS: who is believed, and what is said of those who are not.

use std::time::Duration;

use super::certificate::{Pair, dated, home, params, rootless};
use super::server::{Server, answer, with};
use crate::environment::Environment;
use crate::error::Result;
use crate::store::registry::connection::{Access, Connection, Options, Request, StatusCode};

const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

fn options(environment: Environment) -> Options {
    Options { environment, retry_times: 0, retry_delay: Some(Duration::ZERO), ..Options::default() }
}

async fn ask(host: &str, options: &Options) -> Result<StatusCode> {
    let response = Connection::new(host, options)?.send(Request::get("/v2/x", Access::None)).await?;
    assert!(response.url().scheme() == "https");
    Ok(response.status())
}

/// Asks a server that shows `shown`, with `trusted` in `certs.d`.
async fn ask_showing(shown: &Pair, trusted: Option<&Pair>) -> Result<StatusCode> {
    let server = Server::tls(shown.server(None), |_| answer(200, "")).await;
    let files: Vec<_> = trusted.iter().map(|pair| ("ca.crt", pair.pem())).collect();
    let (_home, environment) = home(&server.host, &files);
    ask(&server.host, &options(environment)).await
}

#[tokio::test]
async fn an_authority_is_believed_from_each_of_its_places() {
    let authority = Pair::self_signed(params(&[], true));
    let leaf = authority.sign(params(&NAMES, false));
    assert_eq!(ask_showing(&leaf, Some(&authority)).await.expect("trust"), StatusCode::OK);
    let server = Server::tls(leaf.server(None), |_| answer(200, "")).await;
    let dir = tempfile::tempdir().expect("a directory");
    let (file, path) = (dir.path().join("any-name.pem"), dir.path().display().to_string());
    std::fs::write(&file, authority.pem()).expect("a file");
    for (name, value) in [("SSL_CERT_FILE", file.display().to_string()), ("SSL_CERT_DIR", format!("/nonexistent:{path}"))] {
        let environment = Environment::from_iter([(name, value)]);
        assert_eq!(ask(&server.host, &options(environment)).await.expect(name), StatusCode::OK);
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused_with_two_ways_out() {
    let stranger = Pair::self_signed(params(&[], true));
    let leaf = stranger.sign(params(&NAMES, false));
    let namesake = Pair::self_signed(params(&[], true));
    for (trusted, end) in [(None, "not trusted here"), (Some(&namesake), "although one of the same name is")] {
        let error = ask_showing(&leaf, trusted).await.expect_err("nobody knows it");
        assert!(error.to_string().contains("its certificate is signed by an authority that is not trusted here"), "{error}");
        assert!(error.to_string().ends_with(end), "{error}");
        let hint = error.way_out().expect("a hint");
        assert!(hint.contains("certs.d/127.0.0.1:") && hint.contains("--tls-verify=false"), "{hint}");
    }
}

#[tokio::test]
async fn a_trusted_certificate_is_good_by_itself_when_name_and_dates_are() {
    let authority = Pair::self_signed(params(&[], true));
    for (what, shown, good) in [
        ("says it is an authority", Pair::self_signed(params(&NAMES, true)), true),
        ("signs itself", Pair::self_signed(params(&NAMES, false)), true),
        ("is signed by a stranger", authority.sign(params(&NAMES, false)), true),
        ("has another name", Pair::self_signed(params(&["other.test"], true)), false),
        ("has ended", Pair::self_signed(dated(params(&NAMES, true), 2001, 2002)), false),
        ("has not begun", Pair::self_signed(dated(params(&NAMES, true), 2101, 2102)), false),
        ("is a stranger's and has ended", authority.sign(dated(params(&NAMES, false), 2001, 2002)), false),
    ] {
        let result = ask_showing(&shown, Some(&shown)).await;
        assert_eq!(result.is_ok(), good, "{what}: {result:?}");
        assert!(result.err().is_none_or(|error| error.to_string().contains("its certificate is refused")), "{what}");
    }
    let twin = params(&NAMES, true);
    let (shown, trusted) = (Pair::self_signed(twin.clone()), Pair::self_signed(twin));
    assert!(ask_showing(&shown, Some(&trusted)).await.is_err(), "the same words with another key are not the same certificate");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_certs_d_has_one() {
    let authority = Pair::self_signed(params(&[], true));
    let leaf = authority.sign(params(&NAMES, false));
    let client = authority.sign(params(&["client"], false));
    let server = Server::tls(leaf.server(Some(&authority)), |_| answer(200, "")).await;
    let ca = ("ca.crt", authority.pem());
    let (_home, known) = home(&server.host, &[ca.clone(), ("me.cert", client.pem()), ("me.key", client.key_pem())]);
    assert_eq!(ask(&server.host, &options(known)).await.expect("it knows us"), StatusCode::OK);
    let (_home, unknown) = home(&server.host, &[ca]);
    let error = ask(&server.host, &options(unknown)).await.expect_err("it does not know us");
    assert!(error.to_string().contains("it ended the TLS handshake: CertificateRequired"), "{error}");
    assert!(error.way_out().is_some_and(|hint| hint.contains("client.cert")), "{error:?}");
}

#[tokio::test]
async fn unverified_is_any_certificate_and_plain_http_as_well() {
    let server = Server::tls(Pair::self_signed(dated(params(&["x"], true), 2001, 2002)).server(None), |_| answer(200, "")).await;
    let home = tempfile::tempdir().expect("a directory");
    let unverified = Options { tls_verify: Some(false), ..options(rootless(home.path())) };
    assert_eq!(ask(&server.host, &unverified).await.expect("any will do"), StatusCode::OK);
    let plain = Server::plain(|_| answer(204, "")).await;
    let response = Connection::new(&plain.host, &unverified).expect("a connection").send(Request::get("/v2/", Access::None)).await;
    assert_eq!(response.expect("plain HTTP").status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_machine_without_roots_can_speak_plain_http() {
    let plain = Server::plain(|_| answer(200, "")).await;
    let home = tempfile::tempdir().expect("a directory");
    let connection = Connection::new(&plain.host, &options(rootless(home.path()))).expect("no roots are needed");
    assert_eq!(connection.send(Request::get("/v2/", Access::None)).await.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn a_redirect_out_of_encryption_is_refused() {
    let pair = Pair::self_signed(params(&NAMES, false));
    let plain = Server::plain(|_| answer(200, "")).await;
    let to = format!("http://{}/blob?secret=1", plain.host);
    let server = Server::tls(pair.server(None), move |_| with(answer(307, ""), "location", &to)).await;
    let (_home, environment) = home(&server.host, &[("ca.crt", pair.pem())]);
    let error = ask(&server.host, &options(environment)).await.expect_err("not encrypted").to_string();
    assert!(error.ends_with(&format!("redirected to GET http://{}/blob, which is not encrypted", plain.host)), "{error}");
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn what_certs_d_cannot_give_is_told_by_its_path() {
    let pair = Pair::self_signed(params(&NAMES, true));
    for (name, text, why) in [
        ("ca.crt", "nothing".to_owned(), "ca.crt: there is no PEM certificate in it"),
        ("ca.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), "ca.crt: "),
        ("me.cert", pair.pem(), "me.key of the client certificate"),
        ("me.key", pair.key_pem(), "me.key: the client certificate"),
    ] {
        let (_home, environment) = home("reg.test:5000", &[(name, text)]);
        let error = Connection::new("reg.test:5000", &options(environment)).err().expect(why).to_string();
        assert!(error.contains(why) && error.contains("certs.d/reg.test:5000/"), "{error}");
    }
}
