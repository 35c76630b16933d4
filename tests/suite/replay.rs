//! Gzip layers of real producers, stored by their plain form: they come back bit for bit.
//!
//! *Not here:* the encoders over many inputs and releases (`format/tests`).

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ocm::image::Descriptor;
use ocm::image::manifest::OCI_MANIFEST;
use ocm::store::archive::Packing;
use ocm::transfer::Class;
use ocm::workflow::sync::SetOutcome;
use serde_json::json;

use crate::support::images::{Image, Layout};
use crate::support::layers::{Layer, Random};
use crate::support::tools::{Tool, run};
use crate::workflows::lab::Lab;

const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const UNKNOWN: &str = "written by an encoder that is not known";

/// A tree of files as layers have them: programs, texts, noise; more than two pieces of pgzip.
fn tree(folder: &Path) -> PathBuf {
    let (tree, mut random) = (folder.join("tree"), Random::new(7));
    fs::create_dir_all(tree.join("usr/bin")).expect("a folder");
    fs::copy("/bin/bash", tree.join("usr/bin/tool")).expect("a program");
    fs::write(tree.join("usr/words"), random.text(900_000)).expect("a text");
    fs::write(tree.join("usr/noise"), random.noise(300_000)).expect("noise");
    tree
}

fn tar(folder: &Path) -> Vec<u8> {
    let path = folder.join("layer.tar");
    run(Command::new("tar").args(["--sort=name", "--owner=0", "--group=0", "-cf"]).arg(&path).arg("-C").arg(tree(folder)).arg("."));
    fs::read(path).expect("a tar")
}

/// What a program makes of its input.
pub(crate) fn piped(program: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut stdin, input) = (child.stdin.take().expect("a pipe"), input.to_vec());
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    feed.join().expect("no panic").expect("it takes all");
    assert!(output.status.success(), "{program:?}");
    output.stdout
}

/// An image of layers as they are.
pub(crate) fn image(layout: &Layout, layers: &[Vec<u8>]) -> Descriptor {
    let config = layout.blob("application/vnd.oci.image.config.v1+json", b"{}");
    let layers: Vec<Descriptor> = layers.iter().map(|bytes| layout.blob(GZIP_LAYER, bytes)).collect();
    layout.manifest(OCI_MANIFEST, &json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}))
}

/// Mirrors a layout into an archive of small volumes and out again; every blob that the images need must be the same.
async fn there_and_back(lab: &Lab, layout: &Path) -> SetOutcome {
    let from = format!("oci:{}", layout.display());
    let made = lab.sync_with(&[from], &lab.path("disk"), |request| request.archive.volume_bytes = 1 << 20).await.expect("an archive");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    let back = lab.sync(&[lab.path("disk")], &format!("oci:{}", lab.path("back"))).await.expect("a layout");
    assert_eq!(back.class(), Class::Done, "{:?}", back.report);
    assert!(same_blobs(&lab.folder("back"), layout) >= 3);
    made.set.expect("a set")
}

/// Every blob of a layout must be the same in another one; says how many there are.
pub(crate) fn same_blobs(layout: &Path, other: &Path) -> usize {
    let entries: Vec<_> = fs::read_dir(layout.join("blobs/sha256")).expect("blobs").map(|entry| entry.expect("an entry")).collect();
    for entry in &entries {
        let there = other.join("blobs/sha256").join(entry.file_name());
        assert!(fs::read(entry.path()).expect("a blob") == fs::read(there).expect("the same blob"), "{:?}", entry.file_name());
    }
    entries.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gzip_and_zlib_write_comes_back_bit_for_bit() {
    let (Some(gzip), Some(python)) = (Tool::path("gzip"), Tool::find("python3")) else { return };
    drop(python);
    let (lab, layout) = (Lab::new(), Layout::new());
    let plain = tar(lab.folder("").as_path());
    let python = |code: &str| piped(Tool::find("python3").expect("found before").args(["-c", code]), &plain);
    let layers = vec![
        piped(Command::new(&gzip).arg("-n"), &plain),
        piped(Command::new(&gzip).args(["-9", "-n"]), &plain),
        python("import gzip,sys; sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read(), 9, mtime=0))"),
        python("import gzip,sys; sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read(), 6, mtime=1700000000))"),
        // Two members, and a rest that is none.
        [piped(Command::new(&gzip).arg("-n"), &plain[..300_000]), piped(Command::new(&gzip).arg("-n"), &plain[300_000..]), vec![0; 700]]
            .concat(),
    ];
    layout.tag("v1", &image(&layout, &layers));
    let set = there_and_back(&lab, layout.path()).await;
    assert_eq!((set.gzip.replayed.blobs, set.gzip.kept.len()), (5, 0), "{:?}", set.gzip);
    // One tar in five dresses: its content is there once.
    assert!(set.stored_bytes < layers[0].len() as u64 * 13 / 10, "{} of {}", set.stored_bytes, layers[0].len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_skopeo_and_umoci_compress_comes_back_bit_for_bit() {
    let (Some(mut skopeo), Some(mut umoci)) = (Tool::find("skopeo"), Tool::find("umoci")) else { return };
    let (lab, layout) = (Lab::new(), Layout::new());
    layout.tag("v1", &layout.image(&Image::of([Layer::bytes(tar(lab.folder("").as_path())).tar()])));
    let made = lab.folder("made");
    let to = format!("oci:{}:v1", made.display());
    run(skopeo.args(["--insecure-policy", "copy", "--quiet", "--dest-compress", &format!("oci:{}:v1", layout.path().display()), &to]));
    let image = format!("{}:v2", made.display());
    run(umoci.args(["new", "--image"]).arg(&image));
    let insert = |umoci: &mut Command| run(umoci.args(["insert", "--rootless", "--image", &image]).arg(lab.folder("tree")).arg("/tree"));
    insert(&mut Tool::find("umoci").expect("found before"));
    let set = there_and_back(&lab, &made).await;
    assert_eq!((set.gzip.replayed.blobs, set.gzip.kept.len()), (2, 0), "{:?}", set.gzip);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_buildah_commits_comes_back_bit_for_bit() {
    let lab = Lab::new();
    let buildah = |arguments: &[&str]| {
        let mut buildah = Tool::find("buildah")?;
        buildah.arg("--root").arg(lab.folder("root")).arg("--runroot").arg(lab.folder("run"));
        Some(run(buildah.args(["--storage-driver", "vfs"]).args(arguments)))
    };
    let Some(_) = buildah(&["from", "--name", "made", "scratch"]) else { return };
    buildah(&["copy", "made", &tree(lab.folder("").as_path()).display().to_string(), "/"]);
    buildah(&["commit", "--quiet", "--disable-compression=false", "made", &format!("oci:{}:v1", lab.path("made"))]);
    buildah(&["rm", "made"]);
    let set = there_and_back(&lab, &lab.folder("made")).await;
    assert_eq!((set.gzip.replayed.blobs, set.gzip.kept.len()), (1, 0), "{:?}", set.gzip);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_again_is_stored_as_it_came_and_the_reason_is_told() {
    let Some(gzip) = Tool::path("gzip") else { return };
    let (lab, layout) = (Lab::new(), Layout::new());
    let plain = tar(lab.folder("").as_path());
    let sound = piped(Command::new(&gzip).arg("-n"), &plain);
    let mut cut = sound.clone();
    cut.truncate(sound.len() - 5);
    let (strange, almost) = (flushed_at(&plain, 1000), flushed_at(&plain, plain.len() - 1000));
    layout.tag("v1", &image(&layout, &[cut, strange, almost, b"\x1f\x8bno gzip".to_vec(), Layer::tree(3, 200_000).stored()]));
    let set = there_and_back(&lab, layout.path()).await;
    assert_eq!(set.gzip.replayed.blobs, 0);
    let kept: Vec<(&str, u64)> = set.gzip.kept.iter().map(|(reason, count)| (*reason, count.blobs)).collect();
    assert_eq!(kept, [("an encoder is right for most of it, not for all", 1), ("it cannot be inflated", 1), ("not gzip", 1), (UNKNOWN, 2)]);
}

/// A gzip file that zlib was told to flush before its end: nothing says where, so no encoder makes it again. All blocks before that are
/// as zlib writes them.
fn flushed_at(plain: &[u8], at: usize) -> Vec<u8> {
    let code = "import sys,zlib; data=sys.stdin.buffer.read(); at=int(sys.argv[1]); z=zlib.compressobj(6, zlib.DEFLATED, 31); \
                sys.stdout.buffer.write(z.compress(data[:at])+z.flush(zlib.Z_FULL_FLUSH)+z.compress(data[at:])+z.flush())";
    piped(Tool::find("python3").expect("the tests need it").args(["-c", code, &at.to_string()]), plain)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_stored_as_it_came() {
    let Some(gzip) = Tool::path("gzip") else { return };
    let (lab, layout) = (Lab::new(), Layout::new());
    // A gibibyte and more of nothing, in members.
    let member = piped(Command::new(&gzip).arg("-n"), &vec![0; 32 << 20]);
    let bomb: Vec<u8> = member.iter().copied().cycle().take(member.len() * 33).collect();
    layout.tag("v1", &image(&layout, &[bomb]));
    let set = there_and_back(&lab, layout.path()).await;
    let kept: Vec<(&str, u64)> = set.gzip.kept.iter().map(|(reason, count)| (*reason, count.blobs)).collect();
    assert_eq!((set.gzip.replayed.blobs, kept), (0, vec![("it inflates to more than 200 times its size", 1)]));
    assert!(set.stored_bytes < 2 << 20, "{}", set.stored_bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_is_kept_where_that_was_asked_for() {
    let Some(gzip) = Tool::path("gzip") else { return };
    let (lab, layout) = (Lab::new(), Layout::new());
    let layer = piped(Command::new(&gzip).arg("-n"), &tar(lab.folder("").as_path()));
    layout.tag("v1", &image(&layout, std::slice::from_ref(&layer)));
    let keep = |made: &mut ocm::workflow::sync::Request| made.archive.packing = Packing { replays: false, ..Packing::default() };
    let made = lab.sync_with(&[format!("oci:{}", layout.path().display())], &lab.path("disk"), keep).await.expect("an archive");
    let set = made.set.expect("a set");
    assert!(set.gzip.total().blobs == 0 && set.stored_bytes > layer.len() as u64);
}
