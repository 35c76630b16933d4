//! The two documents: `ImageSetConfiguration` and `DeleteImageSetConfiguration`.
//!
//! **Invariants.** A new kind of content is one new file beside this one and one line in each of [`Mirror`], [`Delete`] and
//! [`Kinds`].
//!
//! *Not here:* the rules of one kind of content, each in its file.

use super::additional::{ImageEntry, images};
use super::blocked::{BlockedEntry, blocked};
use super::finding::{Findings, quoted};
use super::helm::Helm;
use super::imageset::{DeleteSet, ImageSet, Pending, Wishes};
use super::operators::{self, Catalog};
use super::path::Path;
use super::platform::Release;
use super::rules::entries;
use super::scalar::Meaning;
use super::source::{Place, Source};
use super::unknown::nearest;
use super::wire::{At, Wire as _, wire};
use super::yaml::{Node, Pair, Value};

/// The version of the API that is read.
pub const API_VERSION: &str = "mirror.openshift.io/v2alpha1";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `ImageSetConfiguration`: what is to be mirrored.
    ImageSet,
    /// `DeleteImageSetConfiguration`: what is to be deleted.
    DeleteImageSet,
}

/// What a sound file says.
#[derive(Debug, Clone)]
pub enum Configuration {
    /// Mirror this.
    ImageSet(ImageSet),
    /// Delete this.
    DeleteImageSet(DeleteSet),
}

wire! {
    /// What is to be mirrored.
    pub(super) ImageSetConfiguration {
        /// Version of the API: mirror.openshift.io/v2alpha1.
        api_version: String = "apiVersion",
        /// ImageSetConfiguration.
        kind: String = "kind",
        /// How long a file of the archive may be, in GiB; 500 without it.
        archive_size: i64 = "archiveSize",
        /// The content.
        mirror: Mirror = "mirror",
    }
}

wire! {
    /// What is to be deleted at a destination.
    pub(super) DeleteImageSetConfiguration {
        /// Version of the API: mirror.openshift.io/v2alpha1.
        api_version: String = "apiVersion",
        /// DeleteImageSetConfiguration.
        kind: String = "kind",
        /// The content.
        delete: Delete = "delete",
    }
}

wire! {
    /// Content to mirror.
    pub(super) Mirror {
        /// Releases of OpenShift or OKD.
        platform: Release = "platform",
        /// Catalogs of operators.
        operators: Vec<At<Catalog>> = "operators",
        /// Images by name.
        additional_images: Vec<At<ImageEntry>> = "additionalImages",
        /// Charts.
        helm: Helm = "helm",
        /// Images that are left out, whatever names them.
        blocked_images: Vec<At<BlockedEntry>> = "blockedImages",
        /// Has no effect.
        samples: Vec<At<Sample>> = "samples",
    }
}

wire! {
    /// Content to delete.
    pub(super) Delete {
        /// Releases of OpenShift or OKD.
        platform: Release = "platform",
        /// Catalogs of operators.
        operators: Vec<At<Catalog>> = "operators",
        /// Images by name.
        additional_images: Vec<At<ImageEntry>> = "additionalImages",
        /// Charts.
        helm: Helm = "helm",
        /// Has no effect.
        samples: Vec<At<Sample>> = "samples",
    }
}

wire! {
    /// Has no effect.
    pub(super) Sample {
        /// Name of a sample.
        name: String = "name",
    }
}

impl Kind {
    /// The word that stands behind `kind:`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ImageSet => "ImageSetConfiguration",
            Self::DeleteImageSet => "DeleteImageSetConfiguration",
        }
    }

    /// The field that holds the content.
    #[must_use]
    pub fn stanza(self) -> &'static str {
        match self {
            Self::ImageSet => "mirror",
            Self::DeleteImageSet => "delete",
        }
    }
}

impl Configuration {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::ImageSet(_) => Kind::ImageSet,
            Self::DeleteImageSet(_) => Kind::DeleteImageSet,
        }
    }

    /// The content that it names.
    #[must_use]
    pub fn wishes(&self) -> &Wishes {
        match self {
            Self::ImageSet(set) => &set.wishes,
            Self::DeleteImageSet(set) => &set.wishes,
        }
    }
}

/// Reads a document. What comes out is of use only where no error was found.
pub(super) fn read(root: &Node, source: &Source, findings: &mut Findings) -> Option<Configuration> {
    let file = source.name();
    let Value::Map(pairs) = &root.value else {
        findings
            .error(root.place, format!("a configuration is a map, and this is {}", root.noun()))
            .help("begin with kind: ImageSetConfiguration");
        return None;
    };
    let kind = kind(pairs, root.place, findings);
    api_version(pairs, root.place, findings);
    if find(pairs, kind.stanza()).is_none() {
        findings.error(root.place, format!("configuration missing the `{}` stanza", kind.stanza()));
    }
    let path = Path::document(kind.word());
    match kind {
        Kind::ImageSet => {
            let read = ImageSetConfiguration::read(root, &path, findings)?;
            let archive_size_bytes = archive_size(read.archive_size.as_ref(), findings);
            let mirror = read.mirror.map(|mirror| mirror.value).unwrap_or_default();
            let blocked = blocked(mirror.blocked_images.as_ref(), findings);
            let wishes = Kinds::from(&mirror).wishes(file, &path.key("mirror"), findings);
            Some(Configuration::ImageSet(ImageSet { wishes, blocked, archive_size_bytes, text: source.text().to_owned() }))
        }
        Kind::DeleteImageSet => {
            let delete = DeleteImageSetConfiguration::read(root, &path, findings)?.delete;
            let delete = delete.map(|delete| delete.value).unwrap_or_default();
            let wishes = Kinds::from(&delete).wishes(file, &path.key("delete"), findings);
            Some(Configuration::DeleteImageSet(DeleteSet { wishes }))
        }
    }
}

fn find<'a>(pairs: &'a [Pair], key: &str) -> Option<&'a Pair> {
    pairs.iter().find(|pair| pair.key.eq_ignore_ascii_case(key))
}

/// What the file is; where it does not say, what its content looks like.
fn kind(pairs: &[Pair], start: Place, findings: &mut Findings) -> Kind {
    let kinds = [Kind::ImageSet, Kind::DeleteImageSet];
    let likely = if find(pairs, "delete").is_some() { Kind::DeleteImageSet } else { Kind::ImageSet };
    let Some(pair) = find(pairs, "kind").filter(|pair| !pair.value.is_null()) else {
        findings.error(start, "configuration missing `kind`").help(format!("write kind: {}", likely.word()));
        return likely;
    };
    // Anything but text is reported where the field is read.
    let Value::Scalar(word, Meaning::Text) = &pair.value.value else { return likely };
    if let Some(kind) = kinds.into_iter().find(|kind| kind.word() == word) {
        return kind;
    }
    let near = nearest(word, kinds.iter().map(|kind| kind.word())).unwrap_or(likely.word());
    findings.error(pair.value.place, format!("cannot parse {} as {}", quoted(word), quoted(likely.word()))).help(format!("write {near}"));
    likely
}

/// What oc-mirror never looks at: another version, or none.
fn api_version(pairs: &[Pair], start: Place, findings: &mut Findings) {
    let help = format!("write apiVersion: {API_VERSION}");
    match find(pairs, "apiVersion").filter(|pair| !pair.value.is_null()) {
        None => findings.warning(start, format!("no apiVersion: read as {API_VERSION}")).help(help),
        Some(pair) => match &pair.value.value {
            Value::Scalar(word, Meaning::Text) if word != API_VERSION => {
                findings
                    .warning(pair.value.place, format!("apiVersion {} is read as {API_VERSION}", quoted(word)))
                    .help(format!("write {API_VERSION}"));
            }
            _ => {}
        },
    }
}

/// The size of a volume in bytes; 0 is as if it were not there (semantics G.1).
fn archive_size(field: Option<&At<i64>>, findings: &mut Findings) -> Option<u64> {
    let At { value, place, .. } = field.filter(|size| size.value != 0)?;
    let bytes = u64::try_from(*value).ok().and_then(|size| size.checked_mul(1 << 30));
    if bytes.is_none() {
        findings.error(*place, format!("archiveSize: {value} GiB is no size of a file")).help("write how many GiB a file may be long");
    }
    bytes
}

/// The kinds of content that both documents have.
struct Kinds<'a> {
    platform: Option<&'a At<Release>>,
    operators: Option<&'a At<Vec<At<Catalog>>>>,
    additional_images: Option<&'a At<Vec<At<ImageEntry>>>>,
    helm: Option<&'a At<Helm>>,
    samples: Option<&'a At<Vec<At<Sample>>>>,
}

impl<'a> From<&'a Mirror> for Kinds<'a> {
    fn from(Mirror { platform, operators, additional_images, helm, samples, .. }: &'a Mirror) -> Self {
        Self {
            platform: platform.as_ref(),
            operators: operators.as_ref(),
            additional_images: additional_images.as_ref(),
            helm: helm.as_ref(),
            samples: samples.as_ref(),
        }
    }
}

impl<'a> From<&'a Delete> for Kinds<'a> {
    fn from(Delete { platform, operators, additional_images, helm, samples }: &'a Delete) -> Self {
        Self {
            platform: platform.as_ref(),
            operators: operators.as_ref(),
            additional_images: additional_images.as_ref(),
            helm: helm.as_ref(),
            samples: samples.as_ref(),
        }
    }
}

impl Kinds<'_> {
    /// Checks every kind and says what is wanted.
    fn wishes(&self, file: &str, path: &Path<'_>, findings: &mut Findings) -> Wishes {
        if let Some(platform) = self.platform {
            platform.value.check(&path.key("platform"), findings);
        }
        operators::check(entries(self.operators), &path.key("operators"), findings);
        if let Some(samples) = self.samples.filter(|samples| !samples.value.is_empty()) {
            findings.warning(samples.key, format!("{} has no effect", path.key("samples"))).help("leave it out");
        }
        Wishes {
            file: file.to_owned(),
            additional_images: images(self.additional_images, &path.key("additionalImages"), findings),
            platform: self.platform.map(|at| at.value.clone()),
            operators: entries(self.operators).to_vec(),
            helm: self.helm.map(|at| at.value.clone()),
            pending: self.pending(path),
        }
    }

    fn pending(&self, path: &Path<'_>) -> Vec<Pending> {
        let kinds = [
            ("platform", self.platform.filter(|at| at.value.is_wanted()).map(|at| at.key)),
            ("operators", self.operators.filter(|at| !at.value.is_empty()).map(|at| at.key)),
            ("helm", self.helm.filter(|at| at.value.is_wanted()).map(|at| at.key)),
        ];
        let mut pending: Vec<Pending> =
            kinds.into_iter().filter_map(|(key, place)| Some(Pending { field: path.key(key).to_string(), place: place? })).collect();
        pending.sort_by_key(|pending| pending.place);
        pending
    }
}
