//! [`Proxies`]: which proxy a request goes through, as Go programs read it from the environment
//! (`golang.org/x/net/http/httpproxy`).
//!
//! **Invariants.** What is on loopback is never proxied. The name in capitals wins over the other, as it does there.
//!
//! *Not here:* speaking to the proxy (the HTTP client does).

use std::net::IpAddr;

use ipnet::IpNet;
use reqwest::Url;

use super::origin::is_loopback;
use crate::environment::Environment;
use crate::error::{Error, Result};

/// The proxies for all requests.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    except: Vec<Exception>,
}

/// An entry of `NO_PROXY`.
#[derive(Clone)]
enum Exception {
    All,
    Network(IpNet),
    Address {
        address: IpAddr,
        port: Option<u16>,
    },
    /// `.example.com`; `example.com` itself only where `itself` is set.
    Domain {
        suffix: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    /// The proxies that the environment names.
    pub(super) fn new(environment: &Environment) -> Result<Self> {
        let get = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, environment.get(name)?)));
        let proxy = |names| get(names).map(|(name, value)| proxy(name, value)).transpose();
        let except = get(["NO_PROXY", "no_proxy"]).map_or("", |(_, value)| value);
        Ok(Self {
            http: proxy(["HTTP_PROXY", "http_proxy"])?,
            https: proxy(["HTTPS_PROXY", "https_proxy"])?,
            except: except.split(',').filter_map(Exception::read).collect(),
        })
    }

    /// The proxy for a request to `url`, if it goes through one.
    pub(super) fn of(&self, url: &Url) -> Option<Url> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        proxy.clone().filter(|_| !is_loopback(url) && !self.except.iter().any(|exception| exception.fits(url)))
    }
}

/// A proxy as it is written: a URL, or `host:port`. It may hold a password, so no error quotes it.
fn proxy(name: &str, value: &str) -> Result<Url> {
    let text = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url: Option<Url> = text.parse().ok().filter(Url::has_host);
    let url =
        url.ok_or_else(|| Error::usage(format!("{name}: this is no URL of a proxy")).hint("write it like http://proxy.example.com:3128"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(Error::usage(format!("{name}: a {other} proxy cannot be used")).hint("name an http or https proxy")),
    }
}

impl Exception {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if text == "*" {
            return Some(Self::All);
        }
        if let Ok(network) = text.parse() {
            return Some(Self::Network(network));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (text.as_str(), None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse() {
            return Some(Self::Address { address, port });
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let itself = !host.starts_with('.');
        let suffix = if itself { format!(".{host}") } else { host.to_owned() };
        (suffix.len() > 1).then_some(Self::Domain { suffix, itself, port })
    }

    fn fits(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let fits_port = |port: &Option<u16>| port.is_none() || *port == url.port_or_known_default();
        match self {
            Self::All => true,
            Self::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Self::Address { address: one, port } => address == Some(*one) && fits_port(port),
            Self::Domain { suffix, itself, port } => (host.ends_with(suffix) || *itself && host == &suffix[1..]) && fits_port(port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies> {
        Proxies::new(&Environment::from_iter(variables.iter().copied()))
    }

    fn of(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let proxy = proxies(variables).expect("proxies").of(&url.parse().expect("a URL"));
        proxy.map(|proxy| proxy.to_string())
    }

    #[test]
    fn a_proxy_is_chosen_by_the_scheme_of_the_request() {
        for (variables, url, proxy) in [
            (&[("HTTPS_PROXY", "http://p:3128")][..], "https://quay.io/", Some("http://p:3128/")),
            (&[("HTTPS_PROXY", "http://p:3128")], "http://quay.io/", None),
            (&[("https_proxy", "p:3128")], "https://quay.io/", Some("http://p:3128/")),
            (&[("http_proxy", "http://u:p%40@p:3128")], "http://quay.io/", Some("http://u:p%40@p:3128/")),
            (&[("HTTPS_PROXY", "http://upper"), ("https_proxy", "http://lower")], "https://quay.io/", Some("http://upper/")),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "http://lower")], "https://quay.io/", Some("http://lower/")),
            (&[], "https://quay.io/", None),
        ] {
            assert_eq!(of(variables, url).as_deref(), proxy, "{variables:?} {url}");
        }
    }

    #[test]
    fn loopback_is_never_proxied() {
        for host in ["localhost:5000", "127.0.0.1", "127.9.9.9:5000", "[::1]:5000"] {
            let all = [("HTTPS_PROXY", "http://p"), ("HTTP_PROXY", "http://p")];
            assert_eq!(of(&all, &format!("https://{host}/")), None, "{host}");
            assert_eq!(of(&all, &format!("http://{host}/")), None, "{host}");
        }
    }

    #[test]
    fn exceptions_are_read_as_go_reads_them() {
        for (except, url, direct) in [
            ("example.com", "https://example.com/", true),
            ("example.com", "https://sub.example.com/", true),
            ("example.com", "https://notexample.com/", false),
            (".example.com", "https://example.com/", false),
            (".example.com", "https://sub.example.com/", true),
            ("*.example.com", "https://sub.example.com/", true),
            ("*.example.com", "https://example.com/", false),
            ("EXAMPLE.com , other", "https://Example.COM/", true),
            ("example.com:5000", "https://example.com:5000/", true),
            ("example.com:5000", "https://example.com/", false),
            ("example.com:443", "https://example.com/", true),
            ("example.com:x", "https://example.com/", false),
            ("10.0.0.0/8", "https://10.1.2.3:5000/", true),
            ("10.0.0.0/8", "https://11.1.2.3/", false),
            ("10.0.0.1", "https://10.0.0.1:5000/", true),
            ("10.0.0.1:443", "https://10.0.0.1:5000/", false),
            ("fd00::/8", "https://[fd00::1]:5000/", true),
            ("fd00::1", "https://[fd00::1]/", true),
            ("[fd00::1]:443", "https://[fd00::1]/", true),
            ("a,*", "https://quay.io/", true),
            (",.,*., :80,", "https://quay.io/", false),
        ] {
            let found = of(&[("HTTPS_PROXY", "http://p"), ("NO_PROXY", except)], url);
            assert_eq!(found.is_none(), direct, "{except} {url}");
        }
        assert_eq!(of(&[("HTTPS_PROXY", "http://p"), ("no_proxy", "quay.io")], "https://quay.io/"), None);
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for value in ["socks5://u:hunter2@p:1080", "http://u:hunter2@", "http://u:hunter2@[x"] {
            let error = proxies(&[("HTTPS_PROXY", value)]).err().expect(value).to_string();
            assert!(error.starts_with("HTTPS_PROXY: ") && !error.contains("hunter2"), "{error}");
        }
    }
}
