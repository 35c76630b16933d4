//! [`Fleet`]: many small images that share a base, and a configuration that asks for them.
//!
//! *Not here:* what goes wrong on the way (`storms`, `part`).

use futures_util::stream::{self, StreamExt as _};
use ocm::config::{Source, check};
use ocm::image::Digest;
use ocm::workflow::sync::{Outcome, Wishes};

use crate::support::images::{Image, Layout, digest_by_skopeo, push};
use crate::support::layers::Layer;
use crate::support::registry::{PASSWORD, Registry, USER};
use crate::workflows::lab::Lab;

/// So many images are in one repository.
const TAGS: usize = 10;

/// Images in a registry.
pub(super) struct Fleet {
    pub(super) near: Registry,
    pub(super) lab: Lab,
    /// `team/app1:2` and the digest that it stands for.
    pub(super) images: Vec<(String, Digest)>,
    /// The layer that all have.
    pub(super) base: Layer,
}

impl Fleet {
    pub(super) async fn of(count: usize) -> Option<Self> {
        let (near, lab) = (Registry::start()?, Lab::new());
        let base = Layer::tree(1, 40_000).gzip();
        let layout = Layout::new();
        let image = |n: usize| {
            let root = layout.image(&Image::of([base.clone(), Layer::tree(100 + n as u64, 2_000).gzip()]));
            (format!("team/app{}:{}", n / TAGS, n % TAGS), root)
        };
        let made: Vec<_> = (0..count).map(image).collect();
        // One of each repository goes first, so that the base is brought there once.
        let (first, others): (Vec<_>, Vec<_>) = made.iter().partition(|(name, _)| name.ends_with(":0"));
        for some in [first, others] {
            let one = async |(name, root): &(String, _)| {
                let (repository, tag) = name.split_once(':').expect("a tag");
                push(&layout, root, &format!("{}/{repository}", near.host()), Some(tag)).await;
            };
            stream::iter(some).for_each_concurrent(8, one).await;
        }
        let images = made.iter().map(|(name, root)| (name.clone(), root.digest)).collect();
        Some(Self { near, lab, images, base })
    }

    /// The wishes of a configuration for these names at this host.
    pub(super) fn wishes<'a>(host: &str, names: impl IntoIterator<Item = &'a str>) -> Wishes {
        let names: String = names.into_iter().map(|name| format!("  - {{name: \"{host}/{name}\"}}\n")).collect();
        let text = format!("kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\nmirror:\n  additionalImages:\n{names}");
        match check(Source::new("isc.yaml", text.into_bytes()).expect("text"), true).into_result() {
            Ok(ocm::config::Configuration::ImageSet(set)) => Wishes::of(&[set]).expect("wishes"),
            other => panic!("{other:?}"),
        }
    }

    /// The wishes for all images at this host.
    pub(super) fn all(&self, host: &str) -> Wishes {
        Self::wishes(host, self.images.iter().map(|(name, _)| name.as_str()))
    }

    /// A run by a configuration.
    pub(super) async fn run(&self, wishes: Wishes, from: &[String], to: &str) -> Outcome {
        self.lab.sync_with(from, to, |request| request.wishes = Some(wishes)).await.expect("a run")
    }

    /// Gives the runs credentials for these hosts.
    pub(super) fn log_in(&mut self, hosts: &[String]) {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let auths: Vec<String> = hosts.iter().map(|host| format!(r#""{host}":{{"auth":"{pair}"}}"#)).collect();
        let file = self.lab.folder("auth.json");
        std::fs::write(&file, format!(r#"{{"auths":{{{}}}}}"#, auths.join(","))).expect("written");
        (self.lab.settings.src.authfile, self.lab.settings.dest.authfile) = (Some(file.clone()), Some(file));
    }

    /// Every image is in this registry below `prefix` (`PATH/`), as it was; one of them by the word of skopeo.
    pub(super) fn assert_there(&self, registry: &Registry, prefix: &str) {
        for (name, digest) in &self.images {
            let (repository, tag) = name.split_once(':').expect("a tag");
            let repository = registry.storage().join(format!("docker/registry/v2/repositories/{prefix}{repository}"));
            let link = std::fs::read_to_string(repository.join(format!("_manifests/tags/{tag}/current/link")));
            assert_eq!(link.ok().as_deref(), Some(digest.to_string().as_str()), "{name}");
        }
        let (name, digest) = self.images.last().expect("an image");
        assert_eq!(digest_by_skopeo(&format!("{}/{prefix}{name}", registry.host())).unwrap_or(*digest), *digest);
    }
}
