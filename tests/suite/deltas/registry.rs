//! Deltas whose parents were carried away: their data are read from the registry that the images came from.
//!
//! *Not here:* old blobs that the far side reads back (`far_side`).

use std::path::{Path, PathBuf};

use ocm::image::Digest;
use ocm::store::archive::{Delta, Depth, ParentData};
use ocm::transfer::Class;
use ocm::workflow::sync::{Outcome, Request};
use ocm_format::layout::MAX_DEPTH;

use super::{append, layer, piped_gzip};
use crate::replay::{image, same_blobs};
use crate::support::images::{Layout, push};
use crate::support::layers::Random;
use crate::support::registry::Registry;
use crate::support::tools::Tool;
use crate::workflows::lab::{Heard, Lab};

/// A registry with generations of two images that share a layer, and an archive whose sets are carried away.
struct Near {
    lab: Lab,
    registry: Registry,
    layouts: Vec<Layout>,
    bases: Vec<Digest>,
}

impl Near {
    /// The first of `generations` is in the archive `disk`.
    async fn new(generations: u64) -> Option<Self> {
        Tool::path("python3")?;
        let registry = Registry::start()?;
        let (mut layouts, mut bases) = (Vec::new(), Vec::new());
        for generation in 1..=generations {
            let (layout, base) = (Layout::new(), layer("base", generation));
            bases.push(Digest::of(&base));
            for name in ["app", "tools"] {
                let root = image(&layout, &[base.clone(), layer(name, generation)]);
                push(&layout, &root, &format!("{}/team/{name}", registry.host()), Some(&generation.to_string())).await;
                layout.tag(name, &root);
            }
            layouts.push(layout);
        }
        let near = Self { lab: Lab::new(), registry, layouts, bases };
        let made = near.sync(1, "disk", |_| {}).await;
        assert_eq!(made.set.expect("a set").depth, None);
        Some(near)
    }

    fn from(&self, generation: u64) -> [String; 2] {
        ["app", "tools"].map(|name| format!("docker://{}/team/{name}:{generation}", self.registry.host()))
    }

    /// Pushes an image of this layer; says where it is.
    async fn put(&self, name: &str, generation: u64, layer: Vec<u8>) -> String {
        let (layout, repository) = (Layout::new(), format!("{}/team/{name}", self.registry.host()));
        let root = image(&layout, &[layer]);
        push(&layout, &root, &repository, Some(&generation.to_string())).await;
        format!("docker://{repository}:{generation}")
    }

    async fn sync(&self, generation: u64, to: &str, options: impl FnOnce(&mut Request)) -> Outcome {
        let only = |request: &mut Request| {
            request.archive.only = true;
            request.archive.lineage = Some("lab".into());
            options(request);
        };
        let made = self.lab.sync_with(&self.from(generation), &self.lab.path(to), only).await.expect("a run");
        assert_eq!(made.class(), Class::Done, "{:?}", made.report);
        made
    }

    /// Writes generation 2 into `to`, after set 1.
    async fn second(&self, to: &str, data: ParentData, dry_run: bool) -> Outcome {
        let since = format!("{}@1", self.lab.path("workspace/catalogues"));
        self.sync(2, to, |request| {
            request.archive.since = Some(since);
            request.archive.delta.data = data;
            request.dry_run = dry_run;
        })
        .await
    }

    /// Moves volumes of `from` to the far side.
    fn carry(&self, from: &str) {
        std::fs::create_dir_all(self.lab.folder("far")).expect("a folder");
        let volumes = self.lab.snapshot(from).into_keys().filter(|path| path.extension().is_some_and(|kind| kind == "tar"));
        for path in volumes {
            std::fs::rename(&path, self.lab.folder("far").join(path.file_name().expect("a name"))).expect("carried");
        }
    }

    /// All blobs of a generation come out of `from`, with what was carried as its base.
    async fn comes_back(&self, from: &str, generation: u64) {
        let (to, far) = (format!("{from}-back"), self.lab.folder("far"));
        let place = format!("oci:{}", self.lab.path(&to));
        let back = self.lab.sync_with(&[self.lab.path(from)], &place, |request| request.base = vec![far]).await.expect("a run");
        assert_eq!(back.class(), Class::Done, "{:?}", back.report);
        assert_eq!(same_blobs(self.layouts[generation as usize - 1].path(), &self.lab.folder(&to)), 6);
    }

    fn old_base(&self) -> PathBuf {
        self.registry.blob_file(&self.bases[0].to_string())
    }

    fn index(&self) -> PathBuf {
        let is_index = |path: &PathBuf| path.to_string_lossy().contains(".g0001-") && path.extension().is_some_and(|kind| kind == "chunks");
        self.lab.snapshot("workspace").into_keys().find(is_index).expect("an index")
    }
}

/// A layer that has nothing in common with those of another seed.
fn alone(seed: u64, generation: u64) -> Vec<u8> {
    let (mut tar, mut content) = (tar::Builder::new(Vec::new()), Random::new(seed).noise(40_000));
    content[20_000] = generation as u8;
    append(&mut tar, &format!("opt/{seed}"), &content, generation);
    piped_gzip(&tar.into_inner().expect("a vector takes all"))
}

fn bytes(outcome: &Outcome) -> u64 {
    outcome.set.as_ref().expect("a set").stored_bytes
}

fn depth(outcome: &Outcome) -> Option<Depth> {
    outcome.set.as_ref().expect("a set").depth
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).expect("there").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_blobs_of_the_registry_serve_as_well_as_volumes() {
    let Some(near) = Near::new(2).await else { return };
    let volumes = near.second("volumes", ParentData::In(near.lab.folder("disk")), false).await;
    assert_eq!((depth(&volumes), volumes.parent_data), (Some(Depth::Patch), None));
    near.carry("disk");
    let chunks = near.second("chunks", ParentData::Beside, false).await;
    assert_eq!(depth(&chunks), Some(Depth::Chunk));
    // The plan tells what would be read, and writes nothing.
    let before = near.lab.snapshot("workspace");
    let planned = near.second("registry", ParentData::Registry, true).await;
    let back = planned.parent_data.expect("old blobs");
    let old: Vec<PathBuf> = {
        let layers = ["base", "app", "tools"].map(|name| Digest::of(&layer(name, 1)));
        layers.iter().map(|digest| near.registry.blob_file(&digest.to_string())).collect()
    };
    assert_eq!((back.blobs, back.bytes, planned.depth), (3, old.iter().map(|path| size(path)).sum(), Some(Depth::Patch)));
    assert!(back.spool_bytes > back.bytes, "{back:?}");
    assert!(near.lab.snapshot("workspace") == before && !near.lab.folder("registry").exists());
    let made = near.second("registry", ParentData::Registry, false).await;
    assert_eq!((depth(&made), made.depth, made.parent_data), (Some(Depth::Patch), Some(Depth::Patch), Some(back)));
    let (by_volumes, by_registry, by_chunks) = (bytes(&volumes), bytes(&made), bytes(&chunks));
    assert!(
        by_registry.abs_diff(by_volumes) * 100 < by_volumes && by_registry * 3 < by_chunks * 2,
        "{by_volumes} {by_registry} {by_chunks}"
    );
    near.comes_back("registry", 2).await;
    let left = near.lab.snapshot("workspace").into_keys().find(|path| path.to_string_lossy().contains("spool"));
    assert_eq!(left, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_index_is_made_again_from_the_registry() {
    let Some(near) = Near::new(2).await else { return };
    near.carry("disk");
    let (path, whole) = (near.index(), size(&near.index()));
    for (to, most, expected) in [("deep", Depth::Patch, Depth::Patch), ("flat", Depth::Chunk, Depth::Chunk)] {
        std::fs::remove_file(&path).expect("lost");
        let since = format!("{}@1", near.lab.path("workspace/catalogues"));
        let made = near.sync(2, to, |request| {
            request.archive.since = Some(since);
            request.archive.delta = Delta { depth: most, data: ParentData::Registry, ..Delta::default() };
        });
        assert_eq!(depth(&made.await), Some(expected));
        assert_eq!(size(&path), whole);
        near.comes_back(to, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_blob_that_is_gone_or_lies_is_named_and_costs_its_patches_alone() {
    let Some(mut near) = Near::new(2).await else { return };
    near.carry("disk");
    let heard = Heard::of(&mut near.lab);
    let whole = near.second("whole", ParentData::Registry, false).await;
    assert!(heard.lines().is_empty(), "{:?}", heard.lines());
    let old = std::fs::read(near.old_base()).expect("the old layer");
    let mut lie = old.clone();
    *lie.last_mut().expect("bytes") ^= 1;
    // What a bomb inflates to is not kept: it is known how much there must be.
    let one = piped_gzip(&vec![0; old.len() * 100]);
    let bomb: Vec<u8> = one.iter().copied().cycle().take(old.len()).collect();
    let host = near.registry.host().to_owned();
    let cases = [
        ("gone", None, format!("it is not in {host}/team/app, {host}/team/tools any more")),
        ("short", Some(old[..old.len() - 1].to_vec()), format!("has {} bytes, and it has {}", old.len() - 1, old.len())),
        ("lie", Some(lie), "the content does not match its digest".to_owned()),
        ("bomb", Some(bomb), "the content does not match its digest".to_owned()),
    ];
    for (case, content, words) in cases {
        std::fs::remove_file(near.old_base()).expect("gone");
        if let Some(content) = content {
            std::fs::write(near.old_base(), content).expect("written");
        }
        let made = near.second(case, ParentData::Registry, false).await;
        assert!(heard.has(&["old blob", &near.bases[0].to_string(), &words]), "{case}: {:?}", heard.lines());
        assert_eq!(depth(&made), Some(Depth::Patch), "{case}");
        assert!(bytes(&made) > bytes(&whole), "{case}");
        near.comes_back(case, 2).await;
        std::fs::write(near.old_base(), &old).expect("back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_lacks_lost_blobs_is_used_and_not_kept() {
    let Some(mut near) = Near::new(2).await else { return };
    near.carry("disk");
    let (heard, index) = (Heard::of(&mut near.lab), near.index());
    std::fs::remove_file(&index).and_then(|()| std::fs::remove_file(near.old_base())).expect("lost");
    let made = near.second("two", ParentData::Registry, false).await;
    assert_eq!(depth(&made), Some(Depth::Patch));
    assert!(heard.has(&["old blob", "any more"]) && !index.exists(), "{:?}", heard.lines());
    near.comes_back("two", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_not_there_costs_patches_alone() {
    let Some(mut near) = Near::new(2).await else { return };
    near.carry("disk");
    let heard = Heard::of(&mut near.lab);
    // The same images are in a layout.
    let from = [format!("oci:{}", near.layouts[1].path().display())];
    drop(std::mem::replace(&mut near.registry, Registry::start().expect("another one")));
    let since = format!("{}@1", near.lab.path("workspace/catalogues"));
    let options = |request: &mut Request| {
        request.archive.since = Some(since);
        request.archive.delta.data = ParentData::Registry;
    };
    let made = near.lab.sync_with(&from, &near.lab.path("two"), options).await.expect("a run");
    assert_eq!((depth(&made), made.parent_data), (Some(Depth::Chunk), None));
    assert!(heard.has(&["old blob", "nothing is compressed after its content"]), "{:?}", heard.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_new_nothing_is_read() {
    let Some(near) = Near::new(1).await else { return };
    near.carry("disk");
    let again = near.sync(1, "disk", |request| request.archive.delta.data = ParentData::Registry).await;
    assert!(again.set.is_none() && again.parent_data.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn some_volumes_at_hand_and_the_rest_from_the_registry_go_together() {
    let Some(near) = Near::new(2).await else { return };
    near.carry("disk");
    // Set 2 holds an image of its own, and lists those of set 1 too.
    let options = |request: &mut Request| request.archive.lineage = Some("lab".into());
    let extra = |generation: u64| near.put("extra", generation, alone(77, generation));
    near.lab.sync_with(&[extra(1).await], &near.lab.path("disk"), options).await.expect("set 2");
    let mut from = near.from(2).to_vec();
    from.push(extra(2).await);
    let mut made = Vec::new();
    for (to, blobs) in [("with", 3), ("without", 4)] {
        let since = format!("{}@2", near.lab.path("workspace/catalogues"));
        let options = |request: &mut Request| {
            (request.archive.lineage, request.archive.since, request.archive.only) = (Some("lab".into()), Some(since), true);
            request.archive.delta.data = ParentData::Registry;
        };
        // The volume of set 2 lies beside the first one alone.
        if to == "with" {
            std::fs::rename(near.lab.folder("disk"), near.lab.folder(to)).expect("moved");
        }
        let one = near.lab.sync_with(&from, &near.lab.path(to), options).await.expect("a run");
        assert_eq!((depth(&one), one.parent_data.map(|back| back.blobs)), (Some(Depth::Patch), Some(blobs)), "{to}");
        near.carry(to);
        made.push(bytes(&one));
    }
    assert!(made[0].abs_diff(made[1]) * 50 < made[0], "{made:?}");
    std::fs::rename(near.lab.folder("far"), near.lab.folder("all")).expect("together");
    std::fs::create_dir_all(near.lab.folder("far")).expect("a folder");
    near.comes_back("all", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_by_the_registry_is_never_deeper_than_readers_go() {
    // More generations than prefixes may be deep.
    const LAST: u64 = 7;
    let Some(near) = Near::new(LAST).await else { return };
    near.carry("disk");
    for generation in 2..=LAST {
        let made = near.sync(generation, "disk", |request| request.archive.delta.data = ParentData::Registry).await;
        assert_eq!(depth(&made), Some(if generation > 3 { Depth::Chunk } else { Depth::Patch }), "{generation}");
        near.carry("disk");
    }
    for set in ocm_format::set::scan(&near.lab.folder("far")).expect("sets").sets {
        let needs = set.manifest.expect("a whole set").needs;
        assert!(needs.depth <= MAX_DEPTH && u64::from(needs.depth) <= needs.chain, "{needs:?}");
    }
    std::fs::rename(near.lab.folder("far"), near.lab.folder("all")).expect("together");
    std::fs::create_dir_all(near.lab.folder("far")).expect("a folder");
    near.comes_back("all", LAST).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_patches_as_deep_as_can_be_is_not_built_on_and_that_is_told() {
    let Some(mut near) = Near::new(1).await else { return };
    let heard = Heard::of(&mut near.lab);
    // The same place changes in each generation, so each is a patch of the one before; what that takes a reader is not known without volumes.
    for generation in 1..=5u64 {
        near.carry("disk");
        let from = [near.put("one", generation, alone(9, generation)).await];
        let options = |request: &mut Request| {
            request.archive.only = true;
            request.archive.lineage = Some("lab".into());
            request.archive.delta.data = ParentData::Registry;
        };
        let made = near.lab.sync_with(&from, &near.lab.path("disk"), options).await.expect("a run");
        let is_deep = generation > 3;
        assert_eq!(depth(&made), Some(if is_deep { Depth::Chunk } else { Depth::Patch }), "{generation}");
        assert_eq!(heard.has(&["1 layer may lie in patches that are as deep as can be"]), is_deep, "{:?}", heard.lines());
        assert_eq!(made.parent_data.is_some(), !is_deep, "nothing is read back in vain");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_stays_is_as_deep_as_the_set_that_holds_it() {
    let Some(near) = Near::new(1).await else { return };
    // Sets 2 to 6 list the first image and one more each; the last one has a new version of the first.
    for generation in 2..=6u64 {
        near.carry("disk");
        let mut from = near.from(1).to_vec();
        from.push(near.put("extra", generation, alone(generation, generation)).await);
        let options = |request: &mut Request| {
            request.archive.lineage = Some("lab".into());
            request.archive.delta.data = ParentData::Registry;
        };
        let made = near.lab.sync_with(&from, &near.lab.path("disk"), options).await.expect("a run");
        assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    }
    near.carry("disk");
    let from = [near.put("next", 2, layer("base", 2)).await];
    let options = |request: &mut Request| {
        request.archive.lineage = Some("lab".into());
        request.archive.delta.data = ParentData::Registry;
    };
    let made = near.lab.sync_with(&from, &near.lab.path("disk"), options).await.expect("a run");
    assert_eq!(depth(&made), Some(Depth::Patch), "its old version lies in set 1, which has no patches");
}
