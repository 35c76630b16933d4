//! [`Location`]: a place as a person writes it; and the names that images get at a destination.
//!
//! **Invariants.** A location is parsed once, at the edge, without looking at the disk or the network. Only
//! [`Target::name`] invents destination names.
//!
//! *Not here:* opening a place (`store`, `workflow`).

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::name::{is_host, is_tag};
use super::{Digest, Reference, Rename, Repository};
use crate::error::{Error, Result};

/// A place that content lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `docker://host[:port][/repo][:tag|@digest]`
    Registry {
        /// Host and port.
        host: String,
        /// The repository in it, with tag or digest where written; `None` is all of the registry.
        name: Option<Reference>,
    },
    /// `PATH`, `file://PATH`, `PATH@GENERATION`
    Archive {
        /// The directory, or one file of it.
        path: PathBuf,
        /// The generation asked for.
        generation: Option<u32>,
    },
    /// `oci:PATH[:ref]`
    Layout {
        /// The directory.
        path: PathBuf,
        /// The image in it; `None` is all of them.
        reference: Option<String>,
    },
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(rest) = text.strip_prefix("docker://") {
            return registry(rest.trim_end_matches('/'));
        }
        if let Some(rest) = text.strip_prefix("oci://").or_else(|| text.strip_prefix("oci:")) {
            return layout(rest);
        }
        if let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| *scheme != "file") {
            return Err(Error::usage(format!("place {text:?}: {scheme}:// is not a kind of place that ocm knows"))
                .hint("write docker://host/repo, oci:PATH, file://PATH or PATH"));
        }
        archive(text.strip_prefix("file://").unwrap_or(text))
    }
}

fn registry(rest: &str) -> Result<Location> {
    if is_host(rest) && (rest.contains(['.', ':']) || rest == "localhost") {
        return Ok(Location::Registry { host: rest.to_owned(), name: None });
    }
    let name: Reference = rest.parse()?;
    Ok(Location::Registry { host: name.repository().registry().to_owned(), name: Some(name) })
}

fn layout(rest: &str) -> Result<Location> {
    let (path, reference) = match rest.split_once(':') {
        Some((path, reference)) => (path, Some(reference.to_owned()).filter(|reference| !reference.is_empty())),
        None => (rest, None),
    };
    if path.is_empty() {
        return Err(Error::usage("place oci: has no path").hint("write oci:PATH or oci:PATH:TAG"));
    }
    Ok(Location::Layout { path: path.into(), reference })
}

fn archive(text: &str) -> Result<Location> {
    if text.is_empty() {
        return Err(Error::usage("a place cannot be empty").hint("write docker://host/repo, oci:PATH or a directory"));
    }
    let numbered = text.rsplit_once('@').and_then(|(path, number)| Some((path, number.parse().ok()?)));
    Ok(match numbered {
        Some((path, generation)) if !path.is_empty() => Location::Archive { path: path.into(), generation: Some(generation) },
        _ => Location::Archive { path: text.into(), generation: None },
    })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry { name: Some(name), .. } => write!(f, "docker://{name}"),
            Self::Registry { host, name: None } => write!(f, "docker://{host}"),
            Self::Archive { path, generation: None } => write!(f, "{}", path.display()),
            Self::Archive { path, generation: Some(generation) } => write!(f, "{}@{generation}", path.display()),
            Self::Layout { path, reference: None } => write!(f, "oci:{}", path.display()),
            Self::Layout { path, reference: Some(reference) } => write!(f, "oci:{}:{reference}", path.display()),
        }
    }
}

/// Where images go in a registry, and by which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One image gets exactly this name.
    Exact(Reference),
    /// Images keep their path below a prefix.
    Below {
        /// Host and port.
        host: String,
        /// Path components before that of the image; may be empty.
        prefix: String,
        /// Whether the origin's host stays as a path component.
        keep_host: bool,
        /// How many components a path may have, prefix included: the last ones become one, joined by hyphens (as oc-mirror's
        /// `--max-nested-paths` has it).
        most_components: Option<NonZeroUsize>,
    },
}

impl Target {
    /// The target that a registry location means: exact with a tag or digest, otherwise a prefix.
    #[must_use]
    pub fn of(host: &str, name: Option<&Reference>, keep_host: bool) -> Self {
        match name {
            Some(name) if name.tag().is_some() || name.digest().is_some() => Self::Exact(name.clone()),
            _ => {
                let prefix = name.map(|name| name.repository().path().to_owned()).unwrap_or_default();
                Self::Below { host: host.to_owned(), prefix, keep_host, most_components: None }
            }
        }
    }

    /// The same, with paths of at most so many components below a prefix.
    #[must_use]
    pub fn nested(mut self, most: Option<NonZeroUsize>) -> Self {
        if let Self::Below { most_components, .. } = &mut self {
            *most_components = most;
        }
        self
    }

    /// The name that an image gets. One wanted by digest alone gets the tag `sha256-<hex>`.
    pub fn name(&self, origin: &Reference, rename: &Rename, root: &Digest) -> Result<Reference> {
        let (host, prefix, keep_host, most) = match self {
            Self::Exact(name) if name.digest().is_some_and(|digest| digest != *root) => {
                return Err(
                    Error::usage(format!("{origin} cannot become {name}: its digest is {root}")).hint("name a tag at the destination")
                );
            }
            Self::Exact(name) => return Ok(name.clone()),
            Self::Below { host, prefix, keep_host, most_components } => (host, prefix, *keep_host, *most_components),
        };
        let source = origin.repository();
        let keep_host = keep_host && rename.repository.is_none();
        let host_part = if keep_host { source.registry().replace([':', '[', ']'], "-") } else { String::new() };
        let parts = [prefix.as_str(), &host_part, rename.repository.as_deref().unwrap_or_else(|| source.path())];
        let path = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let tag = rename.tag.clone().unwrap_or_else(|| tag_of(origin, root));
        Repository::new(host, &flattened(&path, most))?.tagged(&tag)
    }
}

/// A path of at most so many components: what would be too many are joined to the last one.
fn flattened(path: &str, most: Option<NonZeroUsize>) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    match most.map(NonZeroUsize::get) {
        Some(most) if parts.len() > most => [&parts[..most - 1], &[&*parts[most - 1..].join("-")]].concat().join("/"),
        _ => path.to_owned(),
    }
}

/// The tag that an image goes by: its own, or for one named by digest alone `sha256-<hex>`.
#[must_use]
pub fn tag_of(origin: &Reference, root: &Digest) -> String {
    match (origin.tag(), origin.digest()) {
        (Some(tag), _) => tag.to_owned(),
        (None, Some(_)) => digest_tag(root),
        (None, None) => "latest".to_owned(),
    }
}

/// `sha256-<hex>`: the tag of an image without one, and the fallback tag of its referrers (OCI distribution-spec,
/// "Referrers Tag Schema"; a hash longer than 64 hex digits is cut there).
#[must_use]
pub fn digest_tag(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}-{}", digest.algorithm(), hex.get(..64).unwrap_or(&hex))
}

/// Whether a tag is the fallback list of the referrers of another image. The same tag on the image itself is the name of one
/// that was wanted by digest alone.
#[must_use]
pub fn lists_referrers(tag: &str, root: &Digest) -> bool {
    let subject = tag.strip_prefix("sha256-").and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
    subject.is_some_and(|subject| subject != *root)
}

/// The name of an image in an OCI layout, from its annotations. `folder` names the layout where a reference is only
/// a tag.
pub fn layout_name(full: Option<&str>, ref_name: Option<&str>, folder: &str, root: &Digest) -> Result<Reference> {
    let repository = || layout_repository(Path::new(folder));
    match (full, ref_name) {
        (Some(full), _) => full.parse(),
        (None, Some(name)) if is_tag(name) => repository()?.tagged(name),
        (None, Some(name)) => name.parse(),
        (None, None) => Ok(repository()?.at(*root)),
    }
}

/// The repository that images of the layout at `folder` belong to which have no full name.
pub fn layout_repository(folder: &Path) -> Result<Repository> {
    Repository::new("localhost", &path_component(&folder.file_name().unwrap_or_default().to_string_lossy()))
}

/// A folder's name as a repository name: lower case, with other characters as single hyphens.
fn path_component(folder: &str) -> String {
    let words = folder.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    if name.is_empty() { "layout".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in
            ["docker://quay.io", "docker://localhost:5000", "docker://quay.io/a/b:1", "oci:x/y", "oci:x:1.2", "/mnt/usb", "/mnt/usb@3"]
        {
            assert_eq!(text.parse::<Location>().expect(text).to_string(), text);
        }
        assert_eq!("file:///mnt/usb".parse::<Location>().expect("a place"), "/mnt/usb".parse().expect("a place"));
        assert_eq!("docker://nginx".parse::<Location>().expect("a place").to_string(), "docker://docker.io/library/nginx");
        assert_eq!("docker://reg:5000/mirror/".parse::<Location>().expect("a place").to_string(), "docker://reg:5000/mirror");
        for text in ["", "s3://bucket", "oci:", "docker://"] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_below_a_prefix_drop_the_host_unless_told() {
        let origin: Reference = "quay.io/org/app:1".parse().expect("a name");
        let root = Digest::of(b"");
        let name = |text: &str, keep_host| match text.parse().expect("a place") {
            Location::Registry { host, name } => {
                Target::of(&host, name.as_ref(), keep_host).name(&origin, &Rename::default(), &root).map(|name| name.to_string())
            }
            other => panic!("{other}"),
        };
        assert_eq!(name("docker://reg:5000", false).expect("a name"), "reg:5000/org/app:1");
        assert_eq!(name("docker://reg:5000/mirror", false).expect("a name"), "reg:5000/mirror/org/app:1");
        assert_eq!(name("docker://reg:5000/mirror", true).expect("a name"), "reg:5000/mirror/quay.io/org/app:1");
        assert_eq!(name("docker://reg:5000/mirror:x", false).expect("a name"), "reg:5000/mirror:x");
        assert!(name(&format!("docker://reg:5000/mirror@{}", Digest::of(b"x")), false).is_err());
    }

    #[test]
    fn a_rename_changes_path_and_tag_and_deep_paths_are_joined() {
        let (root, origin) = (Digest::of(b""), "quay.io/org/team/app:1".parse::<Reference>().expect("a name"));
        let prefix: Reference = "reg:5000/m".parse().expect("a name");
        for (repository, tag, most, expected) in [
            (None, None, None, "reg:5000/m/quay.io/org/team/app:1"),
            (Some("other/x"), None, None, "reg:5000/m/other/x:1"),
            (Some("other/x"), Some("2"), None, "reg:5000/m/other/x:2"),
            (None, None, Some(2), "reg:5000/m/quay.io-org-team-app:1"),
            (None, Some("y"), Some(4), "reg:5000/m/quay.io/org/team-app:y"),
            (Some("other/x"), None, Some(1), "reg:5000/m-other-x:1"),
        ] {
            let target = Target::of("reg:5000", Some(&prefix), true).nested(most.and_then(NonZeroUsize::new));
            let rename = Rename { repository: repository.map(str::to_owned), tag: tag.map(str::to_owned) };
            assert_eq!(target.name(&origin, &rename, &root).expect("a name").to_string(), expected);
        }
    }

    #[test]
    fn an_image_by_digest_alone_gets_its_digest_as_tag() {
        let root = Digest::of(b"");
        let origin: Reference = format!("quay.io/app@{root}").parse().expect("a name");
        let target = Target::of("reg", None, false);
        assert_eq!(target.name(&origin, &Rename::default(), &root).expect("a name").tag(), Some(digest_tag(&root).as_str()));
    }

    #[test]
    fn images_of_a_layout_are_named_by_their_annotations() {
        let root = Digest::of(b"");
        let name = |full, short| layout_name(full, short, "My Images", &root).map(|name| name.to_string()).expect("a name");
        assert_eq!(name(Some("docker.io/library/nginx:1"), Some("1")), "docker.io/library/nginx:1");
        assert_eq!(name(None, Some("1.2")), "localhost/my-images:1.2");
        assert_eq!(name(None, Some("quay.io/a/b:1")), "quay.io/a/b:1");
        assert_eq!(name(None, None), format!("localhost/my-images@{root}"));
    }
}
