//! [`Origin`]: the scheme, host and port that a registry answers at.
//!
//! **Invariants.** Only a registry on loopback, or one that the person said not to verify, is ever spoken to in plain
//! HTTP, and only after it showed that it does not speak TLS there. What was found out once is kept.
//!
//! *Not here:* the certificates (`trust`).

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use tokio::sync::OnceCell;

use super::failure::Failure;
use super::transport::{Probe, Transport};
use crate::error::{Error, Result};
use crate::image::name::is_host;

/// How long a registry may take to show whether it speaks TLS, where plain HTTP would do as well.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a registry answers.
pub(super) struct Origin {
    https: Url,
    may_be_plain: bool,
    found: OnceCell<Url>,
}

impl Origin {
    /// The origin of `host`, with the person's word on TLS, if there is one.
    pub(super) fn new(host: &str, tls_verify: Option<bool>) -> Result<Self> {
        let api = if matches!(host, "docker.io" | "index.docker.io") { "registry-1.docker.io" } else { host };
        let url = format!("https://{api}/").parse().ok().filter(|_| is_host(api));
        let https =
            url.ok_or_else(|| Error::usage(format!("registry {host:?}: this is no host")).hint("write it like registry.example.com:5000"))?;
        let may_be_plain = tls_verify.map_or_else(|| is_loopback(&https), |verify| !verify);
        Ok(Self { https, may_be_plain, found: OnceCell::new() })
    }

    /// The root of the registry; the first caller finds the scheme out for all.
    pub(super) async fn find(&self, transport: &Transport) -> Result<&Url, Failure> {
        self.found.get_or_try_init(|| self.probe(transport)).await
    }

    async fn probe(&self, transport: &Transport) -> Result<Url, Failure> {
        if !self.may_be_plain {
            return Ok(self.https.clone());
        }
        let probe = match transport.probe(ping(&self.https), PROBE_TIMEOUT).await {
            Ok(_) | Err(Probe { tls: true, .. }) => return Ok(self.https.clone()),
            Err(probe) => probe,
        };
        let plain = self.plain();
        if probe.not_tls {
            return Ok(plain);
        }
        match transport.probe(ping(&plain), PROBE_TIMEOUT).await {
            Ok(status) if is_of_a_registry(status) => Ok(plain),
            _ => Err(probe.failure),
        }
    }

    fn plain(&self) -> Url {
        let text = self.https.as_str().replacen("https", "http", 1);
        text.parse().expect("an https URL with a host is an http URL as well")
    }

    /// The URL of a path below the root, or of an absolute URL that the registry named.
    pub(super) fn url(root: &Url, path: &str) -> Result<Url> {
        let text = if path.starts_with('/') { format!("{}{path}", root.as_str().trim_end_matches('/')) } else { path.to_owned() };
        let mut url: Url = text.parse().map_err(|_| Error::failed(format!("{root}: {path:?} is no URL")))?;
        // A registry behind a proxy that ends TLS often names itself with http: it is the same place.
        if (root.scheme(), url.scheme()) == ("https", "http")
            && url.host() == root.host()
            && url.port().is_none_or(|port| Some(port) == root.port())
        {
            url.set_scheme("https").map_err(|()| Error::failed(format!("{root}: {path:?} is no URL")))?;
        }
        match (root.scheme(), url.scheme()) {
            (_, "https") | ("http", "http") => Ok(url),
            _ => Err(Error::failed(format!("{root}: it sends the request on to {}://, which is not encrypted", url.scheme()))),
        }
    }
}

/// A proxy that cannot reach the registry answers as well, and so does a TLS server that is asked in plain HTTP.
fn is_of_a_registry(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::BAD_REQUEST
}

fn ping(root: &Url) -> Url {
    root.join("v2/").expect("v2/ is a relative URL")
}

/// Whether a URL leads to this very machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_the_unverified_may_be_plain() {
        for (host, tls_verify, plain) in [
            ("localhost:5000", None, true),
            ("127.0.0.7:5000", None, true),
            ("[::1]:5000", None, true),
            ("localhost:5000", Some(true), false),
            ("localhost.example.com", None, false),
            ("10.0.0.1:5000", None, false),
            ("quay.io", None, false),
            ("quay.io", Some(false), true),
        ] {
            let origin = Origin::new(host, tls_verify).expect(host);
            assert_eq!(origin.may_be_plain, plain, "{host} {tls_verify:?}");
        }
    }

    #[test]
    fn the_hub_answers_at_another_host() {
        let origin = Origin::new("docker.io", None).expect("an origin");
        assert_eq!(origin.https.as_str(), "https://registry-1.docker.io/");
        for host in ["", "a/b", "user@host", "host:x", "a b"] {
            assert!(Origin::new(host, None).is_err(), "{host:?}");
        }
    }

    #[test]
    fn paths_and_locations_never_lose_their_encryption() {
        let https: Url = "https://reg.test:5000/".parse().expect("a URL");
        let http: Url = "http://localhost:5000/".parse().expect("a URL");
        for (root, path, url) in [
            (&https, "/v2/a?x=1", Some("https://reg.test:5000/v2/a?x=1")),
            (&https, "//evil.test/v2/", Some("https://reg.test:5000//evil.test/v2/")),
            (&https, "https://store.test/up", Some("https://store.test/up")),
            (&https, "http://reg.test:5000/up", Some("https://reg.test:5000/up")),
            (&https, "http://store.test/up", None),
            (&https, "file:///etc/passwd", None),
            (&https, "up/1", None),
            (&http, "http://localhost:5000/up", Some("http://localhost:5000/up")),
        ] {
            let found = Origin::url(root, path).ok();
            assert_eq!(found.as_ref().map(Url::as_str), url, "{path}");
        }
    }
}
