//! Sets that build on earlier ones, as deep as is allowed and as is at hand; on both sides, with real gzip layers.
//!
//! *Not here:* runs and prefixes themselves (`format/tests`), where the far side finds the parent (`far`).

mod registry;

use std::path::PathBuf;
use std::process::Command;

use ocm::store::archive::{Delta, Depth};
use ocm::transfer::Class;
use ocm::workflow::sync::{Request, SetOutcome};
use tar::{Builder, Header};

use crate::replay::{image, piped, same_blobs};
use crate::support::images::Layout;
use crate::support::layers::Random;
use crate::support::tools::{Tool, run};
use crate::workflows::lab::{Heard, Lab};

/// A layer as a rebuild makes it: most files stay, two change in places, one is new, all times change.
pub(crate) fn layer(name: &str, generation: u64) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for file in 0..20u64 {
        let mut content = Random::new(file + name.len() as u64 * 50).noise(10_000 + 7_000 * file as usize);
        if file % 7 == 3 {
            (0..content.len()).step_by(4_000).for_each(|at| content[at] = generation as u8);
        }
        append(&mut tar, &format!("usr/{name}/{file}"), &content, generation);
    }
    append(&mut tar, &format!("usr/{name}/new-{generation}"), &Random::new(900 + generation).noise(20_000), generation);
    piped_gzip(&tar.into_inner().expect("a vector takes all"))
}

/// What Python's gzip makes of it.
fn piped_gzip(plain: &[u8]) -> Vec<u8> {
    let code = "import gzip,sys; sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read(), 6, mtime=0))";
    piped(Command::new("python3").args(["-c", code]), plain)
}

fn append(tar: &mut Builder<Vec<u8>>, path: &str, content: &[u8], generation: u64) {
    let mut header = Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(1_600_000_000 + generation);
    tar.append_data(&mut header, path, content).expect("a vector takes all");
}

/// Two generations of images as OCI layouts, the first of which is in the archive `one`.
struct Generations {
    lab: Lab,
    layouts: [Layout; 2],
}

impl Generations {
    async fn new() -> Option<Self> {
        Tool::path("python3")?;
        let layouts = [1, 2].map(|generation| {
            let layout = Layout::new();
            for name in ["app", "tools"] {
                layout.tag(name, &image(&layout, &[layer("base", generation), layer(name, generation)]));
            }
            layout
        });
        let generations = Self { lab: Lab::new(), layouts };
        generations.sync(0, "one", |_| {}).await;
        Some(generations)
    }

    fn from(&self, generation: usize) -> String {
        format!("oci:{}", self.layouts[generation].path().display())
    }

    async fn sync(&self, generation: usize, to: &str, options: impl FnOnce(&mut Request)) -> SetOutcome {
        let made = self.lab.sync_with(&[self.from(generation)], &self.lab.path(to), options).await.expect("a run");
        assert_eq!(made.class(), Class::Done, "{:?}", made.report);
        made.set.expect("a set")
    }

    /// Writes generation 2 into the archive `to`, as a delta on `one`.
    async fn delta(&self, to: &str, options: impl FnOnce(&mut Request)) -> SetOutcome {
        let since = self.lab.path("one");
        let two = |request: &mut Request| {
            (request.archive.since, request.archive.only) = (Some(since), true);
            options(request);
        };
        self.sync(1, to, two).await
    }

    /// All blobs of generation 2 come out of the archive `from` with `one` as its base.
    async fn comes_back(&self, from: &str) {
        let (to, base) = (format!("{from}-back"), self.lab.folder("one"));
        let place = format!("oci:{}", self.lab.path(&to));
        let back = self.lab.sync_with(&[self.lab.path(from)], &place, |request| request.base = vec![base]).await.expect("a run");
        assert_eq!(back.class(), Class::Done, "{:?}", back.report);
        assert_eq!(same_blobs(&self.lab.folder(&to), self.layouts[1].path()), 6);
    }

    /// The same by the programs that lie in the volumes, which know nothing of ocm.
    fn is_restored(&self, from: &str) {
        if Tool::path("zstd").is_none() {
            return;
        }
        let both = self.lab.folder(&format!("{from}-both"));
        std::fs::create_dir_all(&both).expect("a folder");
        for (path, content) in self.lab.snapshot("one").into_iter().chain(self.lab.snapshot(from)) {
            std::fs::write(both.join(path.file_name().expect("a name")), content).expect("copied");
        }
        let volume = self.lab.snapshot(from).into_keys().find(|path| path.to_string_lossy().ends_with(".v001.ocm.tar"));
        run(Command::new("tar").arg("-xf").arg(volume.expect("a volume")).arg("-C").arg(&both).args(["restore.py", "restore-gzip.py"]));
        for script in ["restore.py", "restore-gzip.py"] {
            let out = self.lab.folder(&format!("{from}-{script}-out"));
            run(Command::new("python3").arg(both.join(script)).arg(&both).arg(&out));
            assert_eq!(same_blobs(&out, self.layouts[1].path()), 6, "{script}");
        }
    }

    fn index(&self) -> PathBuf {
        let files = self.lab.snapshot("workspace").into_keys();
        let mut indexes: Vec<PathBuf> = files
            .filter(|path| path.to_string_lossy().contains(".g0001-") && path.extension().is_some_and(|kind| kind == "chunks"))
            .collect();
        assert_eq!(indexes.len(), 1, "{indexes:?}");
        indexes.remove(0)
    }

    /// Takes the volumes of generation 1 away: they are on the far side.
    fn carry_away(&self) {
        let volumes = self.lab.snapshot("one").into_keys().filter(|path| path.extension().is_some_and(|kind| kind == "tar"));
        volumes.for_each(|path| std::fs::remove_file(path).expect("removed"));
    }
}

fn deep(depth: Depth) -> impl FnOnce(&mut Request) {
    move |request| request.archive.delta = Delta { depth, ..Delta::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_depth_is_smaller_than_the_one_before_and_gives_every_blob_back() {
    let Some(generations) = Generations::new().await else { return };
    let mut sizes = Vec::new();
    for (name, depth) in [("blob", Depth::Blob), ("chunk", Depth::Chunk), ("patch", Depth::Patch)] {
        let set = generations.delta(name, deep(depth)).await;
        assert_eq!((set.parent_generation(), set.depth), (Some(1), Some(depth)));
        generations.comes_back(name).await;
        generations.is_restored(name);
        sizes.push(set.stored_bytes);
    }
    assert!(sizes[1] * 3 < sizes[0] && sizes[2] * 3 < sizes[1] * 2, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_goes_as_deep_as_what_is_at_hand_allows() {
    let Some(mut generations) = Generations::new().await else { return };
    let heard = Heard::of(&mut generations.lab);
    // With the data of the parent alone, its chunk index is made again.
    std::fs::remove_file(generations.index()).expect("removed");
    let set = generations.delta("data", |_| {}).await;
    assert_eq!(set.depth, Some(Depth::Patch));
    assert!(heard.has(&["chunk index is made again"]), "{:?}", heard.lines());
    // With the index alone: chunks.
    let catalogue = generations.lab.path("workspace/catalogues");
    generations.carry_away();
    for path in generations.lab.snapshot("workspace").into_keys() {
        if path.to_string_lossy().contains(".g0002-") {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let index = generations.index();
    let set = generations.delta("index", |request| request.archive.since = Some(catalogue.clone())).await;
    assert_eq!(set.depth, Some(Depth::Chunk));
    // With neither: whole blobs.
    std::fs::remove_file(index).expect("removed");
    let set = generations.delta("nothing", |request| request.archive.since = Some(format!("{catalogue}@1"))).await;
    assert_eq!(set.depth, Some(Depth::Blob));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_damaged_or_of_another_set_is_named_and_not_used() {
    let Some(mut generations) = Generations::new().await else { return };
    let (heard, index) = (Heard::of(&mut generations.lab), generations.index());
    let whole = std::fs::read(&index).expect("an index");
    let mut of_another = whole.clone();
    of_another[8] ^= 1;
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    for (name, bytes, words) in [("other", of_another, "it is of another set"), ("damaged", damaged, "it is damaged")] {
        std::fs::write(&index, bytes).expect("written");
        let set = generations.delta(name, |_| {}).await;
        assert_eq!(set.depth, Some(Depth::Patch));
        assert!(heard.has(&[words, "it is not used"]), "{:?}", heard.lines());
        generations.comes_back(name).await;
        // It was made again; only the order of its blobs may be another one.
        assert_eq!(std::fs::read(&index).expect("an index").len(), whole.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_parent_is_told_once_and_the_rest_of_it_is_used() {
    let Some(mut generations) = Generations::new().await else { return };
    let heard = Heard::of(&mut generations.lab);
    let sound = generations.delta("sound", |_| {}).await;
    assert!(heard.lines().is_empty(), "{:?}", heard.lines());
    let path =
        generations.lab.snapshot("one").into_keys().find(|path| path.extension().is_some_and(|kind| kind == "tar")).expect("a volume");
    let whole = std::fs::read(&path).expect("a volume");
    let mut bytes = whole.clone();
    let place = bytes.len() / 20;
    bytes[place] ^= 1;
    std::fs::remove_file(&path).and_then(|()| std::fs::write(&path, bytes)).expect("damaged");
    // Found when it is read for patches; what was found by the index needs no data.
    let damaged = generations.delta("damaged", |_| {}).await;
    assert_eq!(damaged.depth, Some(Depth::Patch));
    let said = heard.lines();
    assert!(said.len() == 1 && heard.has(&["1 layer of set 1 cannot be read", "not used for patches", "volume 1 at 0x"]), "{said:?}");
    // The index that is made again lacks what cannot be read, and is not kept.
    let index = generations.index();
    std::fs::remove_file(&index).expect("removed");
    let without = generations.delta("without", |_| {}).await;
    assert_eq!((without.depth, index.exists()), (Some(Depth::Patch), false));
    assert!(heard.has(&["1 layer of set 1 cannot be read: it is not in it", "SHA-256"]), "{:?}", heard.lines());
    assert!(sound.stored_bytes < damaged.stored_bytes && damaged.stored_bytes < without.stored_bytes);
    // The far side has a sound copy.
    std::fs::remove_dir_all(generations.lab.folder("one"))
        .and_then(|()| std::fs::create_dir(generations.lab.folder("one")))
        .expect("removed");
    std::fs::write(&path, whole).expect("a sound copy");
    generations.comes_back("damaged").await;
    generations.comes_back("without").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_the_depth_and_writes_nothing() {
    let Some(generations) = Generations::new().await else { return };
    let before = generations.lab.snapshot("workspace");
    let since = generations.lab.path("one");
    let dry = |request: &mut Request| (request.archive.since, request.dry_run) = (Some(since), true);
    let planned = generations.lab.sync_with(&[generations.from(1)], &generations.lab.path("two"), dry).await.expect("a plan");
    assert_eq!((planned.depth, planned.set.is_none()), (Some(Depth::Patch), true));
    assert!(generations.lab.snapshot("workspace") == before && !generations.lab.folder("two").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_in_one_set_are_compressed_after_each_other_unless_volumes_may_go() {
    let Some(_) = Tool::path("python3") else { return };
    let (lab, layout) = (Lab::new(), Layout::new());
    for version in 1..=3 {
        layout.tag(&format!("app-{version}"), &image(&layout, &[layer("base", version), layer("app", version)]));
    }
    let from = format!("oci:{}", layout.path().display());
    let mut sizes = Vec::new();
    for (to, depth, command) in
        [("patch", Depth::Patch, None), ("chunk", Depth::Chunk, None), ("handed", Depth::Patch, Some("true".to_owned()))]
    {
        let options = |request: &mut Request| {
            deep(depth)(request);
            (request.archive.volume_bytes, request.archive.on_volume) = (1 << 20, command);
        };
        let made = lab.sync_with(std::slice::from_ref(&from), &lab.path(to), options).await.expect("a run").set.expect("a set");
        assert!(made.volumes.len() > 2, "{made:?}");
        sizes.push(made.volumes.iter().map(|volume| volume.bytes).sum::<u64>());
        let back = format!("oci:{}", lab.path(&format!("{to}-back")));
        lab.sync_with(&[lab.path(to)], &back, |_| {}).await.expect("a run");
        assert_eq!(same_blobs(&lab.folder(&format!("{to}-back")), layout.path()), 10, "{to}");
    }
    assert!(sizes[0] + sizes[0] / 8 < sizes[1] && sizes[1].abs_diff(sizes[2]) < 2_000, "{sizes:?}");
}
