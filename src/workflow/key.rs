//! Keys: making one, looking at one, and approving a set with one.
//!
//! **Invariants.** A secret key is written once, for its owner alone, and never over a file. What is approved is SET.json as it stands in the
//! archive; the archive itself is not touched.
//!
//! *Not here:* passwords and randomness (`cli`), what keys are (`trust`).

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::signing::NamedSet;
use crate::durable::{folder_of, sync_folder, write_whole};
use crate::error::{Error, Result};
use crate::store::archive::Signed;
use crate::trust::authority::comment_of;
use crate::trust::minisign::{MAX_BYTES, PublicKey};
use crate::trust::secret::{NewKey, SecretKey};

/// Asks for a password, where one is needed.
pub type Password<'a> = dyn FnMut() -> Result<Vec<u8>> + 'a;

/// Randomness for a key: its id, its seed, and the salt of its password.
pub type Random = [u8; 72];

/// A key, as far as everybody may know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyFacts {
    /// Its id.
    pub id: String,
    /// Its public half in one line: what a trust file takes.
    pub public_key: String,
    /// The file with its secret half, where one was written or looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// The file with its public half, where one was written or looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_file: Option<PathBuf>,
    /// Whether a password protects its secret half; absent where that was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
}

/// An approval that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    /// The set that it is of.
    #[serde(flatten)]
    pub set: NamedSet,
    /// Its set id.
    pub id: String,
    /// The id of the key.
    pub key: String,
    /// The file.
    pub file: PathBuf,
}

/// Makes a key: `file` gets the secret half, and the same name with `.pub` the public one.
pub fn new(file: &Path, random: &Random, password: Option<&[u8]>) -> Result<KeyFacts> {
    let wrong = |why: String| Error::failed(format!("{}: {why}", file.display()));
    let (id, rest) = random.split_at(8);
    let (seed, salt) = rest.split_at(32);
    let (Ok(id), Ok(seed), Ok(salt)) = (id.try_into(), seed.try_into(), salt.try_into()) else {
        return Err(wrong("there is too little randomness".to_owned()));
    };
    let key = SecretKey::new(&NewKey { id, seed }).map_err(wrong)?;
    let secret = key.file(password.map(|password| (password, salt))).map_err(wrong)?;
    let public = named(file, "pub");
    for path in [file, &public] {
        if std::fs::symlink_metadata(path).is_ok() {
            return Err(
                Error::usage(format!("{}: it is there already, and keys are never written over", path.display())).hint("name another file")
            );
        }
    }
    create(file, 0o600, secret.as_bytes())?;
    create(&public, 0o644, key.public().file().as_bytes())?;
    let (id, public_key) = (key.public().id().to_string(), key.public().to_string());
    let (secret_file, public_file) = (Some(file.to_owned()), Some(public));
    Ok(KeyFacts { id, public_key, secret_file, public_file, protected: Some(password.is_some()) })
}

/// What everybody may know of the key in a file, which is secret or public.
pub fn show(file: &Path, password: &mut Password<'_>) -> Result<KeyFacts> {
    let bytes = read(file)?;
    let facts = |key: PublicKey| KeyFacts {
        id: key.id().to_string(),
        public_key: key.to_string(),
        secret_file: None,
        public_file: None,
        protected: None,
    };
    if let Ok(key) = PublicKey::read(&bytes) {
        return Ok(KeyFacts { public_file: Some(file.to_owned()), ..facts(key) });
    }
    let key = opened(file, &bytes, password)?;
    let protected = SecretKey::is_protected(&bytes).ok();
    Ok(KeyFacts { secret_file: Some(file.to_owned()), protected, ..facts(key.public()) })
}

/// Opens the secret key in a file; `password` is asked if it is protected.
pub fn open(file: &Path, password: &mut Password<'_>) -> Result<Arc<SecretKey>> {
    opened(file, &read(file)?, password).map(Arc::new)
}

/// Approves the set at `path` that `generation` means, or the newest. `file` gets the approval; by default it lies beside the set.
pub fn approve(path: &Path, generation: Option<u32>, key: &SecretKey, file: Option<&Path>) -> Result<Approved> {
    let set = Signed::find(path, generation)?;
    let id = key.public().id().to_string();
    let folder = if path.is_dir() { path } else { folder_of(path) };
    let usual = || folder.join(format!("{}.{id}.minisig", set.stem()));
    let file = file.map_or_else(usual, Path::to_owned);
    let signature = key.sign(&set.bytes, &comment_of(&set.id, set.generation, &set.root, &set.lineage));
    let written = write_whole(&file, signature.file().as_bytes());
    written.map_err(|error| error.hint("name a file that can be written with --to; --approval names it to those who ask for it"))?;
    let named = NamedSet { lineage: set.lineage, generation: set.generation, root: set.root };
    Ok(Approved { set: named, id: set.id, key: id, file })
}

fn opened(file: &Path, bytes: &[u8], password: &mut Password<'_>) -> Result<SecretKey> {
    let wrong =
        |why: String| Error::usage(format!("{}: {why}", file.display())).hint("name a secret key that `ocm key new` or `minisign -G` made");
    let protected = SecretKey::is_protected(bytes).map_err(wrong)?;
    let password = if protected { Some(zeroize::Zeroizing::new(password()?)) } else { None };
    SecretKey::read(bytes, password.as_ref().map(|password| password.as_slice())).map_err(wrong)
}

fn read(file: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let failed = |error: std::io::Error| Error::io(format!("key {}", file.display()), &error);
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(1024));
    let opened = std::fs::File::open(file).map_err(failed)?;
    opened.take(MAX_BYTES as u64).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The same name with one more ending.
fn named(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Writes a file that was not there, for those that `mode` says.
fn create(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(path.display(), &error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    sync_folder(folder_of(path))
}
