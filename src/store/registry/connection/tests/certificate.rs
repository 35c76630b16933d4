//! Certificates and TLS servers that tests make for themselves.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::environment::Environment;

/// A certificate and its key.
pub(super) struct Pair {
    pub(super) certificate: Certificate,
    key: KeyPair,
    params: CertificateParams,
}

/// What a certificate says.
pub(super) fn params(names: &[&str], is_ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
    params.distinguished_name.push(DnType::CommonName, if is_ca { "authority" } else { "server" });
    params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
    params
}

/// The same, good for these years only.
pub(super) fn dated(mut params: CertificateParams, from: i32, to: i32) -> CertificateParams {
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params
}

impl Pair {
    pub(super) fn self_signed(params: CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, key, params }
    }

    /// A certificate that this one signs.
    pub(super) fn sign(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        Self { certificate, key, params }
    }

    pub(super) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// A server that shows this certificate, and asks clients for one of `clients` where it is given.
    pub(super) fn server(&self, clients: Option<&Pair>) -> ServerConfig {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.der().clone()).expect("a root");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier");
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        builder.with_single_cert(vec![self.certificate.der().clone()], key).expect("a server")
    }
}

/// A home with these files in its `certs.d`, on a machine without any roots.
pub(super) fn home(host: &str, files: &[(&str, String)]) -> (tempfile::TempDir, Environment) {
    let home = tempfile::tempdir().expect("a directory");
    let dir = home.path().join(".config/containers/certs.d").join(host);
    std::fs::create_dir_all(&dir).expect("a directory");
    for (name, text) in files {
        std::fs::write(dir.join(name), text).expect("a file");
    }
    let environment = rootless(home.path());
    (home, environment)
}

/// A machine without any roots.
pub(super) fn rootless(home: &Path) -> Environment {
    let home = home.display().to_string();
    Environment::from_iter([("HOME", home.as_str()), ("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")])
}
