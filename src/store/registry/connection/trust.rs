//! Which servers are believed: the system's roots, `SSL_CERT_FILE` and `SSL_CERT_DIR`, and `certs.d`.
//!
//! **Invariants.** A machine without any roots can still build a client: for plain HTTP, and for what `certs.d` names. A
//! file in `certs.d` that cannot be used is an error that names it; one in the system's store is passed over, as
//! every TLS client does.
//!
//! *Not here:* the judgement itself (`verifier`), when plain HTTP may be spoken (`origin`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::verifier::{Trusting, Unverified};
use crate::environment::Environment;
use crate::error::{Error, Result};

/// Where Go programs look for single roots, whatever `SSL_CERT_FILE` says.
const SYSTEM_DIRS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// The TLS side of a connection to `host`; `certs` is a directory with more of what `certs.d` has.
pub(super) fn tls(host: &str, environment: &Environment, certs: Option<&Path>, verify: bool) -> Result<ClientConfig> {
    let failed = |why: String| Error::failed(format!("TLS for {host}: {why}"));
    let local = CertsDir::read(host, environment, certs)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .dangerous();
    let builder = if verify {
        let environment = environment.clone();
        let judge = Trusting::new(provider, local.authorities, move || system_roots(&environment));
        builder.with_custom_certificate_verifier(Arc::new(judge))
    } else {
        builder.with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    };
    let mut config = match local.client {
        None => builder.with_no_client_auth(),
        Some(Identity { chain, key, path }) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| Error::usage(format!("client certificate {}: {error}", path.display())))?,
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The roots that are trusted for every host.
fn system_roots(environment: &Environment) -> Vec<CertificateDer<'static>> {
    let (file, dirs) = (environment.path("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR"));
    if file.is_none() && dirs.is_none() {
        return rustls_native_certs::load_native_certs().certs;
    }
    let mut found = Vec::new();
    match &file {
        Some(file) => found.extend(rustls_native_certs::load_certs_from_paths(Some(file), None).certs),
        None => found.extend(rustls_native_certs::load_native_certs().certs),
    }
    let dirs: Vec<&str> = dirs.map_or_else(|| SYSTEM_DIRS.to_vec(), |dirs| dirs.split(':').filter(|dir| !dir.is_empty()).collect());
    for dir in dirs {
        found.extend(rustls_native_certs::load_certs_from_paths(None, Some(Path::new(dir))).certs);
    }
    found
}

/// What `certs.d` has for one host.
#[derive(Default)]
struct CertsDir {
    authorities: Vec<CertificateDer<'static>>,
    client: Option<Identity>,
}

/// A client certificate and its key.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    path: PathBuf,
}

impl CertsDir {
    /// Reads the directory that a person named, then `certs.d/HOST[:PORT]` of the person and of the system: all authorities, and
    /// the first client certificate.
    fn read(host: &str, environment: &Environment, named: Option<&Path>) -> Result<Self> {
        let mut all = Self::default();
        if let Some(named) = named.filter(|named| !named.is_dir()) {
            return Err(Error::usage(format!("certificates {}: there is no such directory", named.display())));
        }
        let usual = certs_dirs(environment).into_iter().map(|dir| dir.join(host));
        for dir in named.map(Path::to_owned).into_iter().chain(usual) {
            for name in names_in(&dir)? {
                all.take(&dir.join(name))?;
            }
        }
        Ok(all)
    }

    fn take(&mut self, path: &Path) -> Result<()> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => self.authorities.extend(authorities(path)?),
            Some("cert") if self.client.is_none() => self.client = Some(identity(path)?),
            Some("key") if !path.with_extension("cert").exists() => {
                let beside = path.with_extension("cert");
                return Err(Error::usage(format!("{}: the client certificate {} is missing", path.display(), beside.display())));
            }
            _ => {}
        }
        Ok(())
    }
}

fn certs_dirs(environment: &Environment) -> Vec<PathBuf> {
    let config = environment.path("XDG_CONFIG_HOME").or_else(|| Some(environment.path("HOME")?.join(".config")));
    let own = config.map(|config| config.join("containers/certs.d"));
    own.into_iter().chain(["/etc/containers/certs.d".into(), "/etc/docker/certs.d".into()]).collect()
}

/// The names in a directory, sorted; none where it is not there, or is another user's.
fn names_in(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(Error::io(dir.display(), &error)),
    };
    let names: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let mut names = names.map_err(|error| Error::io(dir.display(), &error))?;
    names.sort();
    Ok(names)
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found = certificates(path)?;
    for certificate in &found {
        let usable = RootCertStore::empty().add(certificate.clone());
        usable.map_err(|error| Error::usage(format!("certificate {}: {error}", path.display())))?;
    }
    Ok(found)
}

fn identity(path: &Path) -> Result<Identity> {
    let key_path = path.with_extension("key");
    let key = PrivateKeyDer::from_pem_file(&key_path).map_err(|error| {
        Error::usage(format!("key {} of the client certificate {}: {error}", key_path.display(), path.display()))
            .hint("name an authority's certificate *.crt, a client's *.cert with its *.key")
    })?;
    Ok(Identity { chain: certificates(path)?, key, path: path.to_owned() })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let told = |why: String| Error::usage(format!("certificate {}: {why}", path.display()));
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found = found.map_err(|error| told(error.to_string()))?;
    if found.is_empty() { Err(told("there is no PEM certificate in it".into())) } else { Ok(found) }
}
