//! `ocm sync`: brings content from here to there.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::packing::PackingArguments;
use super::runner::Runner;
use super::settings::{Means, Moving, Redirecting, State, Trusting, Wire, for_clap};
use super::signing::{Signing, Vouching};
use super::{configuration, show, sizes};
use crate::config::ImageSet;
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::image::{Attachment, Attachments, Platform};
use crate::transfer::Class;
use crate::workflow::sync::{
    ArchiveOptions, Delta, Depth, MirrorScope, ParentData, ParityAmount, PublishOptions, Request, Wishes, again, sync,
};

/// Bring images from registries, archives and layouts to one of these
///
/// The last place is the destination, as with cp. Nothing is deleted there, and what is there is not moved again.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "ocm sync [OPTIONS] <FROM>... <TO>", after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Where from, and last where to.
    #[arg(
        help = "Where from, and last where to: docker://HOST[/REPO[:TAG|@DIGEST]], an archive directory, oci:PATH[:REF]",
        required_unless_present = "config",
        value_name = "FROM… TO"
    )]
    pub(super) places: Vec<Location>,
    /// Bring what this ImageSetConfiguration asks for; repeat for more
    ///
    /// From its origins, or, where other places are named, from these. A set lists exactly that.
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Vec<PathBuf>,
    /// Only say what would be done
    #[arg(long, env = "OCM_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(super) dry_run: bool,
    /// Take all tags of a repository that is named without one
    #[arg(long, env = "OCM_ALL_TAGS", value_parser = FalseyValueParser::new())]
    all_tags: bool,
    /// Take this platform of an index, os/arch[/variant]; repeat for more, default all
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',', env = "OCM_PLATFORM", value_parser = platform)]
    platforms: Vec<Platform>,
    /// Keep the source's host as a part of names at the destination
    #[arg(long, env = "OCM_KEEP_HOST", value_parser = FalseyValueParser::new())]
    keep_host: bool,
    /// Join the last components of longer paths at a registry by hyphens, so that none has more than N; 0 joins none
    #[arg(long, value_name = "N", default_value = "0", env = "OCM_MAX_NESTED_PATHS")]
    max_nested_paths: usize,
    /// Leave signatures, attestations and SBOMs behind, and ask nobody for them
    #[arg(long, env = "OCM_REMOVE_SIGNATURES", value_parser = FalseyValueParser::new())]
    remove_signatures: bool,
    /// Bring no image whose root has no sig, att or sbom attached; repeat for more
    ///
    /// What is attached is looked for, not verified: under the tags that cosign gives, and among referrers.
    #[arg(long, value_name = "KIND", value_delimiter = ',', env = "OCM_REQUIRE_ATTACHED", value_parser = attachment)]
    require_attached: Vec<Attachment>,
    /// In what is written for clusters, let a mirror stand for a namespace or for a repository
    #[arg(long, value_name = "SCOPE", default_value = "namespace", env = "OCM_MIRROR_SCOPE")]
    mirror_scope: Scope,
    /// End the names of mirror sets with this
    #[arg(long, value_name = "TEXT", env = "OCM_NAME_SUFFIX")]
    name_suffix: Option<String>,
    /// Take a set that is older than the newest one accepted at the destination
    #[arg(long, env = "OCM_ALLOW_OLDER", value_parser = FalseyValueParser::new())]
    allow_older: bool,
    /// Look here too for content that a delta builds on; repeat for more
    #[arg(long, value_name = "DIR", env = "OCM_BASE")]
    base: Vec<PathBuf>,
    /// Write this set, or one volume of it, once more byte for byte: DIR@N[:VOLUME]; then only OUT is named
    ///
    /// What it was made from is fetched by digest. It needs the same version of ocm, the catalogue of the set in DIR or in the
    /// workspace, and of what the set builds on whatever was at hand then.
    #[allow(rustdoc::broken_intra_doc_links, reason = "brackets are what a person types")]
    #[arg(long, value_name = "SET", env = "OCM_AGAIN", value_parser = set_again)]
    again: Option<SetAgain>,
    /// Read everything that a delta builds on, and check it, before anything is written
    #[arg(long, env = "OCM_CHECK_BASE", value_parser = FalseyValueParser::new())]
    check_base: bool,
    /// Read archives as far as they can be.
    #[arg(skip)]
    salvage: bool,
    #[command(flatten)]
    pub(super) archive: ArchiveArguments,
    #[command(flatten)]
    wire: Wire,
    #[command(flatten)]
    redirecting: Redirecting,
    #[command(flatten)]
    pub(super) trusting: Trusting,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    vouching: Vouching,
    #[command(flatten)]
    pub(super) state: State,
    #[command(flatten)]
    pub(super) moving: Moving,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Writing an archive")]
pub(super) struct ArchiveArguments {
    #[command(flatten)]
    packing: PackingArguments,
    /// Build on this: an archive, a catalogue, a receipt of the destination, or the newest set before YYYY-MM-DD
    #[arg(long, value_name = "PLACE", env = "OCM_SINCE")]
    pub(super) since: Option<String>,
    /// Write a set that needs no other one
    #[arg(long, env = "OCM_FULL", value_parser = FalseyValueParser::new())]
    full: bool,
    /// Write for this destination: the name of the lineage, default the directory's
    #[arg(long = "for", value_name = "NAME", env = "OCM_FOR")]
    pub(super) lineage: Option<String>,
    /// List exactly what is named here, not what the set before lists too
    #[arg(long, env = "OCM_ONLY", value_parser = FalseyValueParser::new())]
    only: bool,
    /// Look all names up anew, also where the last set lacks something
    ///
    /// Without it, the same command again takes the digests that a set in part has, and asks only for what it lacks.
    #[arg(long, env = "OCM_REFRESH", value_parser = FalseyValueParser::new())]
    refresh: bool,
    /// How much of earlier sets a new one may build on
    ///
    /// blob: blobs that the parent has are left out; every new layer can be looked at alone. chunk: so are parts of layers that it
    /// has. patch: what is new is compressed after older versions of it, where the data of earlier sets are at hand, and after those in the
    /// same set. auto: as deep as can be.
    #[arg(long, value_name = "DEPTH", default_value = "auto", env = "OCM_DELTA")]
    delta: DeltaDepth,
    /// Where the data of earlier sets are, for patches: auto, registry, none, or an archive directory
    ///
    /// auto: beside the new set. registry: there too, and what is not there is read from the registries that the earlier images came from;
    /// their layers are kept uncompressed in the workspace while the run goes on. none: no data are read. A directory that is
    /// called so is written ./registry.
    #[arg(long, value_name = "WHERE", default_value = "auto", env = "OCM_PARENT_DATA", value_parser = parent_data)]
    parent_data: ParentData,
    /// What tables of chunks and files may take in memory; with less, fewer of them are recognised
    #[arg(long, value_name = "SIZE", default_value = "256MiB", env = "OCM_INDEX_MEM", value_parser = memory)]
    index_mem: u64,
    /// Write parity volumes too: so many, or a part of the data volumes, as 10%
    ///
    /// Of a set with N of them, any N files may be lost, or be damaged in the same place, and `ocm repair` makes them again. They are as long as the longest
    /// volume, and written last; not together with --on-volume.
    #[arg(long, value_name = "N|P%", env = "OCM_PARITY", value_parser = parity)]
    parity: Option<ParityAmount>,
    /// Run this for each finished volume; $OCM_VOLUME is its path
    ///
    /// It has the terminal, so it may ask for the next disc; what it says goes to stderr. $OCM_VOLUME_KIND is volume or catalogue; of volumes,
    /// $OCM_VOLUME_NUMBER, $OCM_VOLUME_BYTES and $OCM_VOLUME_SHA256 tell more. A command that fails stops the run at that
    /// volume, and the next run goes on there. Since it may take volumes away, nothing in the set is compressed after content of other volumes of it.
    #[arg(long, value_name = "CMD", env = "OCM_ON_VOLUME")]
    on_volume: Option<String>,
    /// Delete a volume's file once that command succeeded
    #[arg(long, env = "OCM_RELEASE", value_parser = FalseyValueParser::new())]
    release: bool,
}

/// How deep a delta may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DeltaDepth {
    /// As deep as can be
    Auto,
    /// Whole blobs
    Blob,
    /// Parts of layers
    Chunk,
    /// Differences to older versions
    Patch,
}

/// What one mirror stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scope {
    /// All of a namespace, where that leads to the real names
    Namespace,
    /// One repository
    Repository,
}

impl From<Scope> for MirrorScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Namespace => Self::Namespace,
            Scope::Repository => Self::Repository,
        }
    }
}

const EXAMPLES: &str = "Examples:
  ocm sync docker://quay.io/org/app:1 docker://nginx:1.27 --volume-size dvd /mnt/disk
  ocm sync /mnt/disk docker://registry.lab:5000/mirror
  ocm sync docker://quay.io/org/app:1 docker://registry.lab:5000
  ocm sync -c isc.yaml /mnt/disk
  ocm sync -c isc.yaml /mnt/disk docker://registry.lab:5000/mirror
  ocm sync docker://quay.io/org/app:2 /mnt/disk --since lab.json
  ocm sync --again /mnt/disk@2:1 /mnt/other";

pub(super) const AFTER: &str = "run the same command again: it goes on where it stopped";

impl Arguments {
    /// The same, as a dry run.
    pub(super) fn dry(self) -> Self {
        Self { dry_run: true, ..self }
    }

    /// The same, of archives of which something is lost.
    pub(super) fn salvaging(self) -> Self {
        Self { salvage: true, ..self }
    }

    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let (means, bars) = (self.means(), self.shows_bars());
        if let Some(set) = self.again.clone() {
            return self.write_again(set, means, runner);
        }
        let sets = configuration::load(&self.config, |warning| runner.console.say(&format!("warning: {warning}\n")))?;
        let request = self.request(&sets)?;
        let to = request.to.clone();
        let work = async |settings| {
            let outcome = sync(request, &settings).await?;
            Ok((outcome, settings))
        };
        let (outcome, settings) = runner.carry_out(means, bars, AFTER, work)?;
        let class = outcome.class();
        runner.show("ocm.sync.v1", class, &outcome, || show::sync::text(&outcome, &to, settings.now))
    }

    /// The surroundings of the run.
    pub(super) fn means(&self) -> Means {
        let (workspace, jobs) = (self.state.workspace.clone(), Some(self.moving.jobs));
        let (redirecting, trusting) = (Some(self.redirecting.clone()), Some(self.trusting.clone()));
        let (signing, vouching) = (self.signing.clone(), self.vouching.clone());
        Means { workspace, jobs, threads: None, wire: self.wire.clone(), redirecting, trusting, signing, vouching }
    }

    /// Whether bars may be on the terminal: a command that has it must not find them there.
    pub(super) fn shows_bars(&self) -> bool {
        self.archive.on_volume.is_none()
    }

    fn write_again(self, set: SetAgain, means: Means, runner: &Runner) -> Result<Class> {
        let [to @ Location::Archive { path, generation: None }] = self.places.as_slice() else {
            return Err(
                Error::usage("--again takes one place: the directory that gets the volumes").hint("write `ocm sync --again DIR@N OUT`")
            );
        };
        let SetAgain { folder, generation, volume } = set;
        let request = again::Request { folder, generation, volume, to: path.clone(), data: self.archive.delta().data };
        let work = async |settings| {
            let outcome = again::again(request, &settings).await?;
            Ok((outcome, settings))
        };
        let (outcome, settings) = runner.carry_out(means, true, AFTER, work)?;
        let class = outcome.class();
        runner.show("ocm.sync.v1", class, &outcome, || show::sync::text(&outcome, to, settings.now))
    }

    /// What is to be brought where; `sets` are the configurations that are named.
    pub(super) fn request(self, sets: &[ImageSet]) -> Result<Request> {
        let (archive, mut from) = (self.archive, self.places);
        let (packing, delta) = (archive.packing.packing(), archive.delta());
        let to = from.pop().filter(|_| !from.is_empty() || !sets.is_empty());
        archive.check()?;
        let attachments = attachments(self.remove_signatures, self.require_attached)?;
        let one_place = || Error::usage("one place alone is no sync").hint("name where from, and last where to; or what to bring, with -c");
        Ok(Request {
            from,
            wishes: if sets.is_empty() { None } else { Some(Wishes::of(sets)?) },
            to: to.ok_or_else(one_place)?,
            all_tags: self.all_tags,
            platforms: self.platforms,
            keep_host: self.keep_host,
            attachments,
            max_nested_paths: NonZeroUsize::new(self.max_nested_paths),
            salvage: self.salvage,
            allow_older: self.allow_older,
            base: self.base,
            check_base: self.check_base,
            archive: ArchiveOptions {
                volume_bytes: archive.packing.volume_bytes(configuration::archive_bytes(sets)),
                since: archive.since,
                full: archive.full,
                lineage: archive.lineage,
                only: archive.only,
                refresh: archive.refresh,
                packing,
                delta,
                parity: archive.parity,
                on_volume: archive.on_volume,
                release: archive.release,
            },
            publish: PublishOptions { mirror_scope: self.mirror_scope.into(), name_suffix: self.name_suffix, ..PublishOptions::default() },
            dry_run: self.dry_run,
        })
    }
}

impl ArchiveArguments {
    fn delta(&self) -> Delta {
        let depth = match self.delta {
            DeltaDepth::Auto | DeltaDepth::Patch => Depth::Patch,
            DeltaDepth::Blob => Depth::Blob,
            DeltaDepth::Chunk => Depth::Chunk,
        };
        Delta { depth, data: self.parent_data.clone(), own: true, index_bytes: self.index_mem }
    }

    /// What clap cannot tell: an option that a variable sets to no is not set.
    fn check(&self) -> Result<()> {
        if self.release && self.on_volume.is_none() {
            return Err(Error::usage("--release lets go of volumes that no command took").hint("add --on-volume CMD"));
        }
        if self.full && self.since.is_some() {
            return Err(Error::usage("--full builds on nothing, and --since names what to build on").hint("leave one of them out"));
        }
        Ok(())
    }
}

/// A set, or a volume of it, to be written once more.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SetAgain {
    folder: PathBuf,
    generation: u32,
    volume: Option<u32>,
}

fn set_again(text: &str) -> Result<SetAgain, String> {
    let refused = || format!("{text:?} is no set; write DIR@N or DIR@N:VOLUME");
    let (folder, set) = text.rsplit_once('@').filter(|(folder, _)| !folder.is_empty()).ok_or_else(refused)?;
    let (generation, volume) = match set.split_once(':') {
        Some((generation, volume)) => (generation, Some(volume.parse().map_err(|_| refused())?)),
        None => (set, None),
    };
    let folder = folder.strip_prefix("file://").unwrap_or(folder).into();
    Ok(SetAgain { folder, generation: generation.parse().map_err(|_| refused())?, volume })
}

fn attachments(removed: bool, required: Vec<Attachment>) -> Result<Attachments> {
    if removed && !required.is_empty() {
        return Err(Error::usage("--require-attached asks for what --remove-signatures leaves behind").hint("leave one of them out"));
    }
    Ok(Attachments { removed, required: required.into_iter().collect() })
}

fn attachment(text: &str) -> Result<Attachment, String> {
    for_clap(text.parse())
}

fn platform(text: &str) -> Result<Platform, String> {
    for_clap(text.parse())
}

fn parent_data(text: &str) -> Result<ParentData, String> {
    match text {
        "" => Err("it is empty: say auto, registry, none, or name an archive directory".to_owned()),
        "auto" => Ok(ParentData::Beside),
        "registry" => Ok(ParentData::Registry),
        "none" => Ok(ParentData::Nowhere),
        folder => Ok(ParentData::In(folder.into())),
    }
}

fn parity(text: &str) -> Result<ParityAmount, String> {
    for_clap(text.parse())
}

fn memory(text: &str) -> Result<u64, String> {
    for_clap(sizes::parse(text))
}
