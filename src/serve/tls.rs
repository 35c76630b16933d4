//! [`Identity`]: the certificate that a server shows, and its key.
//!
//! **Invariants.** Files that were replaced count for the next connection; files that cannot be used change nothing, and are told of once.
//! Only HTTP/1.1 is spoken, which is the faster one for what is served here.
//!
//! *Not here:* which servers we believe (`store::registry`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::error::{Error, Result};
use crate::image::Digest;

/// The certificate that a server shows.
#[derive(Debug)]
pub struct Identity {
    shown: RwLock<Arc<CertifiedKey>>,
    files: Option<Files>,
}

/// The files that it is read from.
#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    seen: Mutex<Stamp>,
}

/// When the two files were written.
type Stamp = [Option<SystemTime>; 2];

impl Identity {
    /// The certificate chain and the key in these PEM files.
    pub fn of_files(certificate: &Path, key: &Path) -> Result<Self> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned(), seen: Mutex::new(stamp(certificate, key)) };
        Ok(Self { shown: RwLock::new(Arc::new(read(certificate, key)?)), files: Some(files) })
    }

    /// A new certificate for these names and addresses that nobody but itself has signed.
    pub fn self_signed(names: Vec<String>) -> Result<Self> {
        let failed = |error: rcgen::Error| Error::failed(format!("making a certificate for {names:?}: {error}"));
        let made = rcgen::generate_simple_self_signed(names.clone()).map_err(failed)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let pair = CertifiedKey::from_der(vec![made.cert.der().clone()], key, &provider());
        let pair = pair.map_err(|error| Error::failed(format!("using a certificate for {names:?}: {error}")))?;
        Ok(Self { shown: RwLock::new(Arc::new(pair)), files: None })
    }

    /// The SHA-256 of the certificate, as people compare it: `AB:CD:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let shown = self.shown();
        let digest = Digest::of(shown.cert.first().map_or(&[], |certificate| certificate));
        digest.bytes().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    /// Takes in files that were replaced; whether they were. A failure is told of once for each replacement. Blocks.
    pub(super) fn refresh(&self) -> Result<bool> {
        let Some(files) = &self.files else { return Ok(false) };
        let now = stamp(&files.certificate, &files.key);
        if std::mem::replace(&mut *files.seen.lock().unwrap_or_else(PoisonError::into_inner), now) == now {
            return Ok(false);
        }
        let pair = read(&files.certificate, &files.key)?;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
        Ok(true)
    }

    /// The TLS side of a server that shows it.
    pub(super) fn config(self: Arc<Self>) -> Result<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| Error::failed(format!("TLS: {error}")))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn shown(&self) -> Arc<CertifiedKey> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown())
    }
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey> {
    let failed = |path: &Path, why: String| Error::usage(format!("{}: {why}", path.display()));
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| failed(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(failed(certificate, "it has no certificate".to_owned()).hint("name a PEM file with the server's certificate first"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
    CertifiedKey::from_der(chain, secret, &provider())
        .map_err(|error| failed(key, format!("it is not the key of {}: {error}", certificate.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, pair: &rcgen::CertifiedKey<rcgen::KeyPair>) {
        fs::write(folder.join("c.pem"), pair.cert.pem()).expect("written");
        fs::write(folder.join("k.pem"), pair.signing_key.serialize_pem()).expect("written");
    }

    fn made() -> rcgen::CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate")
    }

    #[test]
    fn replaced_files_are_taken_in_and_bad_ones_change_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        write(folder.path(), &made());
        let identity = Identity::of_files(&certificate, &key).expect("an identity");
        let first = identity.fingerprint();
        assert!(!identity.refresh().expect("nothing new"));
        let later = |path: &Path, seconds| {
            let time = SystemTime::now() + std::time::Duration::from_secs(seconds);
            fs::File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("a time");
        };
        fs::write(&certificate, "nonsense").expect("written");
        later(&certificate, 10);
        assert!(identity.refresh().is_err());
        assert!(!identity.refresh().expect("told of once"));
        assert_eq!(identity.fingerprint(), first);
        write(folder.path(), &made());
        later(&certificate, 20);
        assert!(identity.refresh().expect("replaced"));
        assert_ne!(identity.fingerprint(), first);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        write(folder.path(), &made());
        fs::write(&key, made().signing_key.serialize_pem()).expect("written");
        let error = Identity::of_files(&certificate, &key).expect_err("a mismatch");
        assert!(error.to_string().contains("it is not the key of"), "{error}");
    }
}
