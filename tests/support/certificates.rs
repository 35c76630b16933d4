//! [`Authority`]: a certificate authority of one test, and what it signs.
//!
//! **Invariants.** Keys live as long as the test's directory.
//!
//! *Not here:* who trusts it; that is what tests are about.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

/// A certificate authority in a directory: `ca.crt`, and what it signed.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

/// The files of a certificate and its key, both PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority that keeps its files in `directory`.
    pub fn new(directory: &Path) -> Self {
        let mut params = named("ocm test authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("a certificate of good parameters");
        fs::write(directory.join("ca.crt"), issuer.pem()).expect("the directory can be written");
        Self { issuer, directory: directory.to_owned() }
    }

    /// The authority's own certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The file with the authority's own certificate.
    pub fn file(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    /// A certificate for a server on loopback.
    pub fn server(&self) -> Pair {
        self.signed("server", &["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client called `name`.
    pub fn client(&self, name: &str) -> Pair {
        self.signed(name, &[name], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn signed(&self, name: &str, hosts: &[&str], usage: ExtendedKeyUsagePurpose) -> Pair {
        let mut params = named(name, hosts);
        params.extended_key_usages = vec![usage];
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate of good parameters");
        let pair = Pair { certificate: self.directory.join(format!("{name}.crt")), key: self.directory.join(format!("{name}.key")) };
        fs::write(&pair.certificate, certificate.pem()).expect("the directory can be written");
        fs::write(&pair.key, key.serialize_pem()).expect("the directory can be written");
        pair
    }
}

fn named(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("host names of this file");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key of the default kind")
}
