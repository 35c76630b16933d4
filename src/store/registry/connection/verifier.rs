//! The judges of server certificates: [`Trusting`] the roots it was given, and [`Unverified`] for who said so.
//!
//! **Invariants.** The name and the dates of a certificate are always checked by [`Trusting`]. [`Unverified`] still
//! checks that the server holds the key of the certificate that it shows. The roots of the system are read when the
//! first certificate is judged: reading them takes longer than a run that finds nothing new over plain HTTP.
//!
//! *Not here:* where roots come from (`trust`).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Trusts what leads to a root, and a certificate that is itself, byte for byte, a trusted one.
///
/// The second is how Go programs see it, and how registries with one self-signed certificate work. The chain rules
/// alone would refuse such a certificate when it says that it is an authority.
pub(super) struct Trusting {
    provider: Arc<CryptoProvider>,
    given: Vec<CertificateDer<'static>>,
    more: Box<dyn Fn() -> Vec<CertificateDer<'static>> + Send + Sync>,
    roots: OnceLock<Result<Roots, Error>>,
}

/// What [`Trusting`] trusts.
struct Roots {
    /// None where there is no root at all.
    chains: Option<Arc<WebPkiServerVerifier>>,
    trusted: BTreeSet<Vec<u8>>,
}

impl Trusting {
    /// A judge with these certificates as roots, and those that `more` reads. With none at all it refuses every server.
    pub(super) fn new(
        provider: Arc<CryptoProvider>,
        given: Vec<CertificateDer<'static>>,
        more: impl Fn() -> Vec<CertificateDer<'static>> + Send + Sync + 'static,
    ) -> Self {
        Self { provider, given, more: Box::new(more), roots: OnceLock::new() }
    }

    fn roots(&self) -> Result<&Roots, Error> {
        let read = || Roots::new(&self.provider, self.given.iter().cloned().chain((self.more)()).collect());
        self.roots.get_or_init(read).as_ref().map_err(Clone::clone)
    }
}

impl Roots {
    fn new(provider: &Arc<CryptoProvider>, certificates: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let chains = match roots.is_empty() {
            true => None,
            false => {
                let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
                Some(chains.map_err(|error| Error::General(error.to_string()))?)
            }
        };
        let trusted = certificates.iter().map(|certificate| certificate.to_vec()).collect();
        Ok(Self { chains, trusted })
    }
}

impl fmt::Debug for Trusting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trusting").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let roots = self.roots()?;
        let chains = roots.chains.as_ref().ok_or(unknown)?;
        let judged = chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match judged {
            Err(error) if roots.trusted.contains(end_entity.as_ref()) && !is_about_dates(&error) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a certificate is refused for its dates (or cannot be read). The chain rules look at the dates first, so any
/// other refusal means that they are good; a test holds this.
fn is_about_dates(error: &Error) -> bool {
    use CertificateError as C;
    matches!(
        error,
        Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. } | C::BadEncoding)
    )
}

/// Takes any certificate.
#[derive(Debug)]
pub(super) struct Unverified(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
