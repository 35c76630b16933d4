//! [`Failure`]: why there was no answer, in one line, and whether trying again makes sense.
//!
//! **Invariants.** No URL's query, no header and no credential ever stands in the text.
//!
//! *Not here:* answers that are refusals (`response`), when to try again (`retry`).

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError};

use super::retry::tried;
use crate::error::Error;

/// Why there was no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may work next time.
    Transient(Error),
    /// It will not.
    Final(Error),
}

impl Failure {
    /// The failure that an error of the HTTP client means, for a request to `host` that `what` describes.
    pub(super) fn of(error: &reqwest::Error, what: &str, host: &str) -> Self {
        let told = Error::failed(format!("{what}: {}", explain(error)));
        match tls_error(error) {
            Some(tls) => of_tls(tls, told, host),
            None if error.is_builder() => Self::Final(told),
            None if is_unresolved(error) => Self::Transient(
                told.hint(format!("check the name {host}, and that this machine can resolve names (DNS, /etc/hosts, a proxy)")),
            ),
            None if is_closed(error) => Self::Transient(told.hint(format!("check host and port of {host}, and that the registry runs"))),
            None => Self::Transient(told),
        }
    }

    /// The error that a person is told after so many attempts.
    pub(super) fn after(self, tries: u32) -> Error {
        let error = self.into_error();
        let told = error.notes().iter().cloned().fold(Error::new(error.kind(), format!("{error} ({})", tried(tries))), Error::note);
        error.way_out().map_or(told.clone(), |hint| told.hint(hint))
    }

    /// The error that a person is told.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Transient(error) | Self::Final(error) => error,
        }
    }
}

fn of_tls(tls: &rustls::Error, told: Error, host: &str) -> Failure {
    use rustls::Error as T;
    let certs_d = format!("~/.config/containers/certs.d/{host}");
    match tls {
        T::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            Failure::Final(told.hint(format!("put the authority's certificate into {certs_d}/ca.crt, or say --tls-verify=false")))
        }
        T::InvalidCertificate(reason) if reason.to_string().contains("CaUsedAsEndEntity") => Failure::Final(
            told.note("the registry shows a certificate that says it is an authority; such a one is trusted where it is known itself")
                .hint(format!("put the registry's own certificate into {certs_d}/ca.crt, or mend it")),
        ),
        T::InvalidCertificate(_) => Failure::Final(told.hint("mend the registry's certificate, or say --tls-verify=false")),
        T::InvalidMessage(_) => Failure::Final(told.hint("say --tls-verify=false if the registry speaks plain HTTP")),
        T::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => Failure::Final(
            told.hint(format!("put the client certificate into {certs_d}/client.cert, and its key beside it into client.key")),
        ),
        T::AlertReceived(_) | T::PeerIncompatible(_) => Failure::Final(told),
        _ => Failure::Transient(told),
    }
}

/// Whether the name of the host has no address.
fn is_unresolved(error: &reqwest::Error) -> bool {
    chain(error).any(|cause| cause.to_string().starts_with("dns error"))
}

/// Whether nobody listens there.
fn is_closed(error: &reqwest::Error) -> bool {
    let refused = |cause: &io::Error| cause.kind() == io::ErrorKind::ConnectionRefused;
    chain(error).any(|cause| cause.downcast_ref::<io::Error>().is_some_and(refused))
}

/// Whether the other side showed that it does not speak TLS.
pub(super) fn is_not_tls(error: &reqwest::Error) -> bool {
    matches!(tls_error(error), Some(rustls::Error::InvalidMessage(_)))
}

/// Whether the other side showed that it speaks TLS, although it failed.
pub(super) fn is_tls(error: &reqwest::Error) -> bool {
    tls_error(error).is_some_and(|tls| !matches!(tls, rustls::Error::InvalidMessage(_)))
}

/// All errors that led to this one, the outermost first; what an [`io::Error`] wraps counts as its source.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| inner(*error))
}

fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    chain(error).find_map(|cause| cause.downcast_ref::<rustls::Error>())
}

/// The causes as one line: what a person can act on, without the layers of the client.
pub(super) fn explain(error: &reqwest::Error) -> String {
    const LAYERS: [&str; 9] = [
        "error sending request",
        "client error (Connect)",
        "client error (SendRequest)",
        "error trying to connect",
        "tcp connect error",
        "connection error",
        "request or response body error",
        "error decoding response body",
        "error reading a body from connection",
    ];
    if let Some(tls) = tls_error(error) {
        return explain_tls(tls);
    }
    if error.is_connect() && error.is_timeout() {
        return "no connection within the time limit".to_owned();
    }
    let mut told: Vec<String> = Vec::new();
    for cause in chain(error).skip(1) {
        let text = cause.to_string();
        let text = text.split(" (os error").next().unwrap_or_default().to_owned();
        let is_news = !LAYERS.contains(&text.as_str()) && !told.iter().any(|earlier| earlier.contains(&text));
        if is_news {
            told.push(text);
        }
    }
    if told.is_empty() { "the connection was cut".to_owned() } else { told.join(": ") }
}

fn explain_tls(tls: &rustls::Error) -> String {
    match tls {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is signed by an authority that is not trusted here".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            "its certificate is signed by an authority that is not trusted here, although one of the same name is".to_owned()
        }
        rustls::Error::InvalidCertificate(reason) => format!("its certificate is refused: {reason}"),
        rustls::Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        rustls::Error::AlertReceived(alert) => format!("it ended the TLS handshake: {alert:?}"),
        other => other.to_string(),
    }
}
