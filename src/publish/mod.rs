//! [`publish`]: from receipts to the files that tell a cluster, and the next hop, where images are now.
//!
//! **Invariants.** The same receipts make the same bytes, in whichever order they come. Each image is reached, by what it was
//! asked for, at the name that a receipt says it has; what no mirror can give is told. A file is whole or not there, and
//! one that says the same already is not touched.
//!
//! *Not here:* what the objects look like (`openshift::resources`), where receipts are kept (`workspace`).

mod file;
mod registries_conf;
mod rules;
#[cfg(test)]
mod tests;
mod wants;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::rules::Rules;
pub use self::wants::LeftOut;
use self::wants::{Category, Wants};
use crate::error::{Error, Result};
use crate::image::Receipt;
use crate::openshift::resources::{By, MirrorSet, is_name};

/// The file with the `ImageDigestMirrorSet` documents.
pub const IDMS_FILE: &str = "idms-oc-mirror.yaml";
/// The file with the `ImageTagMirrorSet` documents.
pub const ITMS_FILE: &str = "itms-oc-mirror.yaml";
/// The file with the same mirrors for podman, buildah, skopeo and CRI-O, and for the next hop.
pub const REGISTRIES_FILE: &str = "registries.conf";

/// How much one entry speaks of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MirrorScope {
    /// Everything in a namespace, so that entries stay the same from upgrade to upgrade; one repository where that would lead
    /// to another name than the real one.
    #[default]
    Namespace,
    /// One repository.
    Repository,
}

/// What a person can choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// How much one entry speaks of.
    pub mirror_scope: MirrorScope,
    /// What the names of objects end with, after a hyphen: objects of several destinations, or workspaces, can then be in one
    /// cluster.
    pub name_suffix: Option<String>,
    /// Whether the destination speaks plain HTTP, or shows a certificate that nobody knows. Only `registries.conf` says it; in
    /// a cluster that is the matter of `images.config.openshift.io`.
    pub insecure: bool,
    /// Where the files go, if not into a folder of the destination in the workspace.
    pub folder: Option<PathBuf>,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// File name and content of each that has something to say.
    pub files: Vec<(&'static str, String)>,
    /// What no mirror can give.
    pub left_out: Vec<LeftOut>,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// The files that have something to say.
    pub files: Vec<PublishedFile>,
    /// Files of earlier runs that are still there, while nothing of what they say is true any more.
    pub stale: Vec<PathBuf>,
    /// What no mirror can give.
    pub left_out: Vec<LeftOut>,
}

/// One file for the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is new or other than before; if not, it was not touched.
    pub changed: bool,
}

/// Writes to `folder` what a cluster needs to know of a destination. `receipts` are all that are known of it; an image that
/// is in none of them is not spoken of.
pub fn publish(receipts: &[Receipt], options: &Options, folder: &Path) -> Result<Published> {
    let Documents { files, left_out } = documents(receipts, options)?;
    let mut published = Published { left_out, ..Published::default() };
    for name in [IDMS_FILE, ITMS_FILE, REGISTRIES_FILE] {
        let path = folder.join(name);
        match files.iter().find(|(file, _)| *file == name) {
            Some((_, text)) => {
                let changed = file::place(&path, text.as_bytes())?;
                published.files.push(PublishedFile { path, changed });
            }
            None if path.exists() => published.stale.push(path),
            None => {}
        }
    }
    Ok(published)
}

/// The documents that [`publish`] writes.
pub fn documents(receipts: &[Receipt], options: &Options) -> Result<Documents> {
    let wants = Wants::of(receipts);
    let for_cluster = Rules::of(&wants.cluster, options.mirror_scope);
    let for_all = Rules::of(&wants.all, options.mirror_scope);
    let mut files = vec![
        (IDMS_FILE, mirror_sets(&for_cluster, By::Digest, options)?),
        (ITMS_FILE, mirror_sets(&for_cluster, By::Tag, options)?),
        (REGISTRIES_FILE, registries_conf::text(&for_all, options.insecure)),
    ];
    files.retain(|(_, text)| !text.is_empty());
    Ok(Documents { files, left_out: wants.left_out.into_iter().collect() })
}

/// The documents of one kind, under the names that oc-mirror gives them.
fn mirror_sets(rules: &Rules, by: By, options: &Options) -> Result<String> {
    let kind = match by {
        By::Digest => "idms",
        By::Tag => "itms",
    };
    let mut text = String::new();
    for (category, word) in [(Category::Release, "release"), (Category::Operator, "operator"), (Category::Generic, "generic")] {
        let mirrors = rules.entries(by, category);
        if !mirrors.is_empty() {
            let name = object_name(&format!("{kind}-{word}-0"), options)?;
            text += &MirrorSet { by, name, mirrors }.to_yaml()?;
        }
    }
    Ok(text)
}

/// `name` with the suffix that was asked for.
fn object_name(name: &str, options: &Options) -> Result<String> {
    let Some(suffix) = &options.name_suffix else { return Ok(name.to_owned()) };
    let whole = format!("{name}-{suffix}");
    match is_name(&whole) {
        true => Ok(whole),
        false => Err(Error::usage(format!("name suffix {suffix:?}: {whole:?} is no name for an object of a cluster"))
            .hint("write it in lower-case letters, digits and hyphens, such as site-b")),
    }
}
