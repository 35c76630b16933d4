//! Fetches one token from the service that a registry named (docker's token protocol, and its OAuth2 form).
//!
//! **Invariants.** A service that fails is an error that names it. Credentials go to the realm over TLS, unless the
//! registry itself is spoken to in plain HTTP; they follow no redirect to another host. No secret is ever in an error.
//!
//! *Not here:* when a token is needed, and for how long it is kept (`auth`).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use tokio::time::Instant;

use super::authfile::Login;
use super::credentials::Found;
use super::failure::Failure;
use super::origin::is_loopback;
use super::request::{RequestBody, Supply};
use super::response::{Context, Response};
use super::retry::Retries;
use super::transport::{Order, Transport, describe};
use crate::error::{Error, Result};

/// The longest answer of a token service that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// How long a token is good where its service does not say.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

/// The longest lifetime that is believed; a registry that thinks otherwise answers 401.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How long before its end a token is replaced, so that it does not end on its way.
const MARGIN: Duration = Duration::from_secs(10);

/// What is asked of a token service.
pub(super) struct Wanted<'a> {
    /// The registry, as a person calls it.
    pub(super) host: &'a str,
    /// The root of the registry.
    pub(super) root: &'a Url,
    /// The URL of the service.
    pub(super) realm: &'a str,
    /// What the registry is called there.
    pub(super) service: Option<&'a str>,
    /// What the token must allow.
    pub(super) scopes: &'a [String],
    /// Who asks; `None` is anonymous.
    pub(super) found: Option<&'a Found>,
}

/// A token, as a header, and when to replace it.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    pub(super) until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<serde_json::Number>,
}

impl Wanted<'_> {
    /// Fetches the token; a service that is busy is asked again.
    pub(super) async fn fetch(&self, transport: &Transport, retries: &Retries) -> Result<Token> {
        let realm = self.realm()?;
        let what = format!("token for {} from {}", self.host, describe(&Method::GET, &realm).trim_start_matches("GET "));
        let mut attempts = retries.begin(&what);
        loop {
            let begun = Instant::now();
            let (error, asked) = match self.ask(&realm, transport, attempts.made()).await {
                Ok(answer) if answer.status() == StatusCode::OK => return token(answer, begun, &what).await,
                Ok(answer) if answer.is_transient() => {
                    let asked = answer.wait_asked();
                    (answer.refusal(&what).await, asked)
                }
                Ok(answer) => return Err(answer.refusal(&what).await),
                Err(Failure::Final(error)) => return Err(error.context(&what)),
                Err(Failure::Transient(error)) => (error.context(&what), None),
            };
            if !attempts.again(&error.to_string(), asked, false).await {
                return Err(error);
            }
        }
    }

    /// The URL of the service, if it is one that secrets may go to.
    fn realm(&self) -> Result<Url> {
        let refused =
            |why: &str| Error::failed(format!("token for {}: the registry names {:?} as its token service, {why}", self.host, self.realm));
        let mut url: Url = self.realm.parse().map_err(|_| refused("which is no URL"))?;
        let may_be_plain = self.root.scheme() == "http" || is_loopback(self.root);
        match url.scheme() {
            "https" => {}
            "http" if may_be_plain => {}
            "http" => return Err(refused("which is not encrypted")),
            _ => return Err(refused("which is no web address")),
        }
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        Ok(url)
    }

    async fn ask(&self, realm: &Url, transport: &Transport, tries: u32) -> Result<Response, Failure> {
        let (order, body) = match self.found.map(|found| &found.login) {
            Some(Login::IdentityToken(secret) | Login::RegistryToken(secret)) => self.by_identity(realm, secret),
            Some(Login::Password { user, password }) => (self.by_password(realm, user, password), RequestBody::Empty),
            None => (self.anonymous(realm), RequestBody::Empty),
        };
        let answer = transport.send(&order, &mut Supply::new(body)).await?;
        let credentials = self.found.map(|found| found.place.clone());
        let context =
            Context { host: self.host.to_owned(), method: order.method, idle_timeout: transport.idle_timeout(), tries, credentials };
        Ok(Response::new(answer, context))
    }

    fn anonymous(&self, realm: &Url) -> Order {
        let mut url = realm.clone();
        let pairs = self.service.map(|service| ("service", service)).into_iter();
        let pairs = pairs.chain(self.scopes.iter().map(|scope| ("scope", scope.as_str())));
        url.query_pairs_mut().extend_pairs(pairs);
        Order { method: Method::GET, url, headers: HeaderMap::new(), authorization: None, moves: true }
    }

    fn by_password(&self, realm: &Url, user: &str, password: &str) -> Order {
        let mut order = self.anonymous(realm);
        order.url.query_pairs_mut().append_pair("account", user);
        order.authorization = Some(basic(user, password));
        order
    }

    /// The identity token stands in the content, so this request goes to the realm itself and nowhere else.
    fn by_identity(&self, realm: &Url, secret: &str) -> (Order, RequestBody) {
        let scope = self.scopes.join(" ");
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "refresh_token"), ("client_id", "ocm"), ("refresh_token", secret)])
            .extend_pairs(self.service.map(|service| ("service", service)))
            .extend_pairs(Some(("scope", scope.as_str())).filter(|_| !scope.is_empty()))
            .finish();
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))]);
        let order = Order { method: Method::POST, url: realm.clone(), headers, authorization: None, moves: false };
        (order, RequestBody::Bytes(form.into()))
    }
}

/// The `Authorization` of a user and a password; it never shows in debug output.
pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    secret(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).expect("base64 is visible ASCII")
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The token in an answer to a request that began at `begun`.
async fn token(answer: Response, begun: Instant, what: &str) -> Result<Token> {
    let content = answer.bytes(MAX_BYTES, what).await?;
    let none = |why: &str| Error::failed(format!("{what}: {why}"));
    let answer: Answer = serde_json::from_slice(&content).map_err(|_| none("its answer is not the JSON of a token"))?;
    let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
    let token = token.ok_or_else(|| none("there is no token in its answer"))?;
    let header = secret(&format!("Bearer {token}")).ok_or_else(|| none("the token cannot stand in a header"))?;
    let seconds = answer.expires_in.and_then(|seconds| seconds.as_u64());
    Ok(Token { header, until: begun + useful(seconds.map_or(DEFAULT_LIFETIME, Duration::from_secs)) })
}

/// How long a token of this lifetime is used.
fn useful(lifetime: Duration) -> Duration {
    let lifetime = lifetime.min(MAX_LIFETIME);
    lifetime - MARGIN.min(lifetime / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_must_be_encrypted_unless_its_registry_is_not() {
        for (root, realm, fits) in [
            ("https://reg.test/", "https://auth.test/token?x=1", Some("https://auth.test/token?x=1")),
            ("https://reg.test/", "http://auth.test/token", None),
            ("http://reg.test/", "http://auth.test/token", Some("http://auth.test/token")),
            ("https://localhost:5000/", "http://auth.test/token", Some("http://auth.test/token")),
            ("https://reg.test/", "https://me:secret@auth.test/token", Some("https://auth.test/token")),
            ("http://reg.test/", "file:///etc/passwd", None),
            ("https://reg.test/", "/token", None),
            ("https://reg.test/", "", None),
        ] {
            let root = root.parse().expect("a URL");
            let wanted = Wanted { host: "reg.test", root: &root, realm, service: None, scopes: &[], found: None };
            assert_eq!(wanted.realm().ok().as_ref().map(Url::as_str), fits, "{realm}");
        }
    }

    #[test]
    fn a_token_is_replaced_before_its_end() {
        for (lifetime, use_for) in [(0, 0), (4, 3), (60, 50), (300, 290), (u64::MAX, 24 * 3600 - 10)] {
            assert_eq!(useful(Duration::from_secs(lifetime)), Duration::from_secs(use_for), "{lifetime}");
        }
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", basic("user", "hunter2")), "Sensitive");
    }
}
