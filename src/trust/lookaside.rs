//! [`Lookasides`]: where signatures of images lie that are no part of them, by containers-registries.d(5); and [`Lookaside`], how those on
//! a network are had.
//!
//! **Invariants.** A scope is there once in all files. The most specific scope that names a place counts, in the order of the library behind
//! podman and skopeo; without any, the place where these programs keep signatures themselves.
//!
//! *Not here:* whether a signature counts (`judge`). Places to write signatures to, and whether sigstore is used, are passed over: ocm does not
//! sign, and a policy says whether sigstore is asked for.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use url::Url;

use super::files;
use super::policy::scopes;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::image::{Digest, Reference};

/// How many signatures of one image are looked at.
pub(super) const MAX_SIGNATURES: usize = 128;
/// The longest signature that is read, in bytes.
pub(super) const MAX_SIGNATURE_BYTES: u64 = 1 << 20;

/// Gets what lies on a network.
#[async_trait]
pub trait Lookaside: Send + Sync {
    /// The document at `url`, if it is at most `limit_bytes`; `None` where there is none.
    async fn get(&self, url: &Url, limit_bytes: u64) -> Result<Option<Bytes>>;
}

/// All places for signatures.
#[derive(Debug, Default)]
pub(super) struct Lookasides {
    default: Option<String>,
    docker: BTreeMap<String, String>,
    /// Where they lie if nobody says.
    own: Option<PathBuf>,
}

/// Where the signatures of one manifest lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In this directory.
    Folder(PathBuf),
    /// Below this address.
    Web(Url),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    default_docker: Option<Section>,
    docker: Option<BTreeMap<String, Option<Section>>>,
}

#[derive(Deserialize)]
struct Section {
    lookaside: Option<String>,
    /// What it was called before.
    sigstore: Option<String>,
}

impl Section {
    fn place(self) -> Option<String> {
        [self.lookaside, self.sigstore].into_iter().flatten().find(|place| !place.is_empty())
    }
}

impl Lookasides {
    /// Reads `*.yaml` in the directory `named`; without one, in the directory that podman would read.
    pub(super) fn load(environment: &Environment, named: Option<&Path>) -> Result<Self> {
        let home = environment.path("HOME");
        let own = home.as_ref().map(|home| home.join(".config/containers/registries.d")).filter(|own| own.exists());
        let folder = named.map(Path::to_owned).or(own).unwrap_or_else(|| "/etc/containers/registries.d".into());
        let kept = match (rustix::process::geteuid().is_root(), home) {
            (true, _) => Some("/var/lib/containers/sigstore".into()),
            (false, home) => home.map(|home| home.join(".local/share/containers/sigstore")),
        };
        let mut read = Self { own: kept, ..Self::default() };
        let mut seen = BTreeMap::new();
        for file in documents(&folder, named.is_some())? {
            let Some(bytes) = files::read(&file)? else { continue };
            let name = file.display().to_string();
            read.take(&bytes, &name, &mut seen).map_err(|why| {
                Error::usage(format!("{name}: {why}")).hint("correct the file, or name another directory with --registries-d")
            })?;
        }
        Ok(read)
    }

    fn take(&mut self, bytes: &[u8], file: &str, seen: &mut BTreeMap<String, String>) -> Result<(), String> {
        // Into a value first: that alone sees keys that are there twice.
        let value: serde_yaml::Value = serde_yaml::from_slice(bytes).map_err(|error| error.to_string())?;
        if value.is_null() {
            return Ok(());
        }
        let document: Document = serde_yaml::from_slice(bytes).map_err(|error| error.to_string())?;
        let mut once = |scope: &str| match seen.insert(scope.to_owned(), file.to_owned()) {
            Some(first) => Err(format!("{scope} is there already, in {first}")),
            None => Ok(()),
        };
        if let Some(section) = document.default_docker {
            once("default-docker")?;
            self.default = section.place();
        }
        for (scope, section) in document.docker.unwrap_or_default() {
            once(&format!("docker: {scope}"))?;
            self.docker.extend(section.and_then(Section::place).map(|place| (scope, place)));
        }
        Ok(())
    }

    /// Where the signatures of the manifest `digest` of the image `name` lie; `None` where there is no such place.
    pub(super) fn place(&self, name: &Reference, digest: &Digest) -> Result<Option<Place>> {
        let below = format!("{}@{}={}", name.repository().path(), digest.algorithm(), digest.hex());
        let said = scopes(name).iter().find_map(|scope| self.docker.get(scope)).or(self.default.as_ref());
        let Some(said) = said else { return Ok(self.own.as_ref().map(|own| Place::Folder(own.join(below)))) };
        let wrong = || Error::failed(format!("lookaside {said:?} of {name}: it is no http://, https:// or file:// address"));
        let mut url: Url = said.parse().map_err(|_| wrong())?;
        match url.scheme() {
            "file" => Ok(Some(Place::Folder(url.to_file_path().map_err(|()| wrong())?.join(below)))),
            "http" | "https" => {
                url.set_path(&format!("{}/{below}", url.path().trim_end_matches('/')));
                Ok(Some(Place::Web(url)))
            }
            _ => Err(wrong()),
        }
    }
}

impl Place {
    /// The signature of this number, from 1; `None` where there is none.
    pub(super) async fn signature(&self, number: usize, far: &dyn Lookaside) -> Result<Option<Bytes>> {
        match self {
            Self::Folder(folder) => {
                Ok(files::read_bounded(&folder.join(format!("signature-{number}")), MAX_SIGNATURE_BYTES)?.map(Bytes::from))
            }
            Self::Web(url) => {
                let mut url = url.clone();
                url.set_path(&format!("{}/signature-{number}", url.path()));
                far.get(&url, MAX_SIGNATURE_BYTES).await
            }
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Web(url) => write!(f, "{url}"),
        }
    }
}

/// The files `*.yaml` in a directory, in order of their names.
fn documents(folder: &Path, named: bool) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| Error::io(folder.display(), &error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound && !named => return Ok(Vec::new()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(Error::usage(format!("{}: there is no such directory", folder.display())).hint("name another with --registries-d"));
        }
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        found.extend(Some(path).filter(|path| path.extension().is_some_and(|extension| extension == "yaml")));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[&str]) -> Result<Lookasides, String> {
        let (mut read, mut seen) = (Lookasides { own: Some("/own".into()), ..Lookasides::default() }, BTreeMap::new());
        files.iter().enumerate().try_for_each(|(nth, text)| read.take(text.as_bytes(), &format!("{nth}.yaml"), &mut seen))?;
        Ok(read)
    }

    #[test]
    fn the_most_specific_scope_with_a_place_counts() {
        let text = "default-docker: {lookaside: 'file:///all'}\ndocker:\n  q.io: {sigstore: 'https://s.test/x/'}\n  q.io/a:\n  \
                    q.io/a/b: {lookaside-staging: 'file:///w'}\n  '*.test': {lookaside: 'http://l.test:1'}\n  q.io/bad: {lookaside: /x}\n";
        let read = read(&[text]).expect("places");
        let digest = Digest::of(b"x");
        let end = format!("@sha256={}", digest.hex());
        for (name, place) in [
            ("q.io/a/b:1", format!("https://s.test/x/a/b{end}")),
            ("x.test/a:1", format!("http://l.test:1/a{end}")),
            ("nginx", format!("/all/library/nginx{end}")),
        ] {
            let found = read.place(&name.parse().expect("a name"), &digest).expect("a place").expect("one");
            assert_eq!(found.to_string(), place);
        }
        let error = read.place(&"q.io/bad".parse().expect("a name"), &digest).expect_err("no scheme");
        assert!(error.to_string().contains("lookaside \"/x\" of q.io/bad"), "{error}");
    }

    #[test]
    fn without_any_word_signatures_lie_where_podman_keeps_them() {
        let digest = Digest::of(b"x");
        let found = read(&["", "{}"]).expect("places").place(&"q.io/a".parse().expect("a name"), &digest).expect("a place");
        assert_eq!(found, Some(Place::Folder(format!("/own/a@sha256={}", digest.hex()).into())));
    }

    #[test]
    fn a_scope_is_there_once() {
        for files in [
            &["docker: {q.io: {lookaside: 'file:///a'}}", "docker: {q.io: {}}"][..],
            &["default-docker: {}", "default-docker: {}"],
            &["docker: {q.io: {}, q.io: {}}"],
            &["docker: ["],
            &["docker: {q.io: 1}"],
        ] {
            assert!(read(files).is_err(), "{files:?}");
        }
        let error = read(&["docker: {q.io: {}}", "docker: {q.io: {}}"]).expect_err("twice");
        assert_eq!(error, "docker: q.io is there already, in 0.yaml");
    }
}
