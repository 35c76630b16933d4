//! Makes the golden archives that are not there yet: `UPDATE=1 cargo test --workspace --test suite -- golden_archives_are_only_added_to`.
//!
//! **Invariants.** Nothing that is there is written again; the sums say so to whoever looks.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ocm::image::{Descriptor, Digest};
use ocm::store::archive::{Delta, Depth};
use ocm::transfer::Class;
use ocm::workflow::key;
use ocm::workflow::repair;
use ocm::workflow::sync::{ParityAmount, Request};
use ocm_format::gzip::klauspost::{Encoder, Generation, HISTORY_BYTES, Stream};
use ocm_format::gzip::{Bits, Deflate, go};
use tar::{Builder, Header};

use super::{Golden, sums};
use crate::replay::{image, piped};
use crate::signed_sets::key as key_of;
use crate::support::images::{Image, Layout};
use crate::support::layers::{Layer, Random};
use crate::workflows::lab::Lab;

/// What a folder of a layer holds: much that compresses well, a little that does not; the second generation differs here and there.
fn tree(name: &str, generation: u64) -> Vec<u8> {
    let mut random = Random::new(11);
    let pool: Vec<Vec<u8>> = (0..64).map(|_| [random.text(70), b"\n".to_vec()].concat()).collect();
    let lines = (0..34_000u64).map(|line| match line % 1_500 == generation {
        true => format!("{name} {generation} changed line {line} here\n").into_bytes(),
        false => pool[random.below(64) as usize].clone(),
    });
    let lines: Vec<u8> = lines.flatten().collect();
    let mut noise = Random::new(12 + name.len() as u64).noise(24_000);
    (0..noise.len()).step_by(5_000).for_each(|at| noise[at] = generation as u8);
    let mut tar = Builder::new(Vec::new());
    let mut add = |path: &str, content: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_600_000_000 + generation);
        tar.append_data(&mut header, format!("usr/{name}/{path}"), content).expect("a vector takes all");
    };
    add("lines", &lines);
    add("noise", &noise);
    add(&format!("new-{generation}"), &Random::new(90 + generation).noise(9_000));
    tar.into_inner().expect("a vector takes all")
}

/// What this encoder of the crate makes of it, as a gzip file.
fn gzip(plain: &[u8], encode: impl FnOnce(&mut Bits)) -> Vec<u8> {
    let mut bits = Bits::default();
    encode(&mut bits);
    let mut crc = flate2::Crc::new();
    crc.update(plain);
    let trailer = [crc.sum().to_le_bytes(), (plain.len() as u32).to_le_bytes()].concat();
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff], &bits.take()[..], &trailer].concat()
}

fn stream(encoder: &mut dyn Deflate, plain: &[u8]) -> Vec<u8> {
    gzip(plain, |bits| {
        encoder.write(plain, bits);
        encoder.finish(bits);
    })
}

fn pgzip(plain: &[u8]) -> Vec<u8> {
    const PIECE: usize = 1 << 20;
    gzip(plain, |bits| {
        let mut encoder = Encoder::new(Generation::K8);
        for start in (0..plain.len()).step_by(PIECE) {
            let before = start.min(HISTORY_BYTES);
            encoder.piece(&plain[start - before..plain.len().min(start + PIECE)], before, bits);
        }
        encoder.last_block(bits);
    })
}

fn python(code: &str, plain: &[u8]) -> Vec<u8> {
    piped(Command::new("python3").args(["-c", code]), plain)
}

/// A tree in the dress of every encoder, and in one that is of none.
fn dressed(plain: &[u8]) -> Vec<Vec<u8>> {
    let unknown = "import sys,zlib; c=zlib.compressobj(6,8,31,9,zlib.Z_FILTERED); d=sys.stdin.buffer.read(); sys.stdout.buffer.write(c.compress(d)+c.flush())";
    vec![
        pgzip(plain),
        stream(&mut Stream::new(Generation::K9), plain),
        stream(&mut go::Encoder::new(6), plain),
        python("import gzip,sys; sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read(), 6, mtime=0))", plain),
        piped(Command::new("gzip").args(["-6", "-n"]), plain),
        piped(Command::new("pigz").args(["-6", "-n", "-p", "2"]), plain),
        python(unknown, &plain[..400_000]),
    ]
}

/// All kinds of content, or the next generation of some of it.
fn layout(generation: u64) -> Layout {
    let layout = Layout::new();
    let app = tree("app", generation);
    let layers = if generation == 1 { dressed(&app) } else { dressed(&app).drain(3..4).collect() };
    layout.tag("lab.test/app:v1", &image(&layout, &layers));
    layout.tag("lab.test/tools:v1", &image(&layout, &[dressed(&tree("tools", generation)).swap_remove(3)]));
    let machines = ["linux/amd64", "linux/arm64"].map(|platform| {
        let layer = Layer::tree(generation, 9_000);
        let layer = if platform.ends_with("amd64") { layer.zstd() } else { layer.tar() };
        layout.image(&Image::of([layer]).platform(platform))
    });
    layout.tag("lab.test/many:v1", &layout.index(&machines));
    let artifact = layout.artifact("application/vnd.test.note", b"a note", None);
    layout.tag("lab.test/note:v1", &artifact);
    layout
}

/// A layout that no compression makes smaller.
fn noise() -> Layout {
    let layout = Layout::new();
    let layers = (0..4).map(|seed| Layer::bytes(Random::new(seed + 1).noise(70_000)));
    layout.tag("lab.test/noise:v1", &layout.image(&Image::of(layers)));
    layout
}

struct Maker {
    to: PathBuf,
    lab: Lab,
}

impl Maker {
    /// Writes the golden archive `name` of a layout over those that are named, the nearest first, unless it is there.
    async fn make(&mut self, name: &str, layout: &Layout, over: &[&str], options: impl FnOnce(&mut Request)) {
        let from = [format!("oci:{}", layout.path().display())];
        let mut over_folders = over.iter().map(|over| self.to.join(over));
        let since = over_folders.next().map(|folder| folder.display().to_string());
        let folder = self.to.join(name);
        if folder.exists() {
            return;
        }
        let to = self.lab.path(name);
        self.lab.settings.workspace = Some(self.lab.folder(&format!("{name}-workspace")));
        let run = self.lab.sync_with(&from, &to, |request| {
            request.archive.lineage = Some("golden".into());
            (request.archive.since, request.archive.only) = (since, !over.is_empty());
            request.base = over_folders.collect();
            options(request);
        });
        let made = run.await.expect("a run");
        assert_eq!(made.class(), Class::Done, "{:?}", made.report);
        fs::create_dir(&folder).expect("a folder");
        for (file, content) in self.lab.archive(name) {
            fs::write(folder.join(file), content).expect("written");
        }
        fs::write(folder.join(Golden::EXPECTED), expected(layout, over)).expect("written");
    }
}

impl Maker {
    /// A ticket for more volumes of the archive with parity than that heals, and the patch that answers it.
    async fn ask_and_answer(&self) {
        let (near, far) = (self.to.join("parity"), self.lab.folder("far"));
        let (ticket, patch) = (near.join("ticket"), near.join("patch"));
        if ticket.exists() {
            return;
        }
        fs::create_dir(&far).expect("a folder");
        for file in super::files_of(&near).iter().filter(|file| !super::LOST.iter().any(|lost| super::name_of(file).ends_with(lost))) {
            fs::copy(file, far.join(super::name_of(file))).expect("copied");
        }
        let request = repair::Request { archive: far, generation: None, to: None, ticket: Some(ticket.clone()), with: Vec::new() };
        repair::repair(request, &self.lab.settings).await.expect("a ticket");
        repair::answer(ticket, near, patch, &self.lab.settings).await.expect("an answer");
    }
}

/// What has to come out.
fn expected(layout: &Layout, over: &[&str]) -> String {
    let mut text: String = over.iter().map(|over| format!("over {over}\n")).collect();
    let index: serde_json::Value = serde_json::from_slice(&fs::read(layout.path().join("index.json")).expect("an index")).expect("JSON");
    for entry in index["manifests"].as_array().expect("a list") {
        let root: Descriptor = serde_json::from_value(entry.clone()).expect("a descriptor");
        let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str().expect("a name");
        writeln!(text, "name {name} {}", root.digest).expect("a string takes all");
    }
    for content in fs::read_dir(layout.path().join("blobs/sha256")).expect("blobs") {
        let content = fs::read(content.expect("an entry").path()).expect("a blob");
        let plain = if content.starts_with(&[0x1f, 0x8b]) { format!(" {}", Digest::of(&plain_of(&content))) } else { String::new() };
        writeln!(text, "blob {} {}{plain}", Digest::of(&content), content.len()).expect("a string takes all");
    }
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n") + "\n"
}

fn plain_of(gzip: &[u8]) -> Vec<u8> {
    piped(Command::new("gzip").arg("-dc"), gzip)
}

fn sized(volume_bytes: u64) -> impl Fn(&mut Request) {
    move |request| {
        request.archive.volume_bytes = volume_bytes;
        request.archive.packing.frame_bytes = (volume_bytes / 16).min(64 << 10);
    }
}

fn deep(depth: Depth) -> impl Fn(&mut Request) {
    move |request| {
        sized(1 << 20)(request);
        request.archive.delta = Delta { depth, ..Delta::default() };
    }
}

/// Makes what is not there, and writes the sums of all.
pub(super) async fn what_is_not_there_yet() {
    let mut maker = Maker { to: Golden::place(), lab: Lab::new() };
    let (one, two) = (layout(1), layout(2));
    maker.make("base", &one, &[], sized(1 << 20)).await;
    for (name, depth) in [("delta-blob", Depth::Blob), ("delta-chunk", Depth::Chunk), ("delta-patch", Depth::Patch)] {
        maker.make(name, &two, &["base"], deep(depth)).await;
    }
    maker.make("delta-chain", &layout(3), &["delta-patch", "base"], deep(Depth::Patch)).await;
    maker.make("volumes", &noise(), &[], sized(64 << 10)).await;
    let with_parity = |request: &mut Request| {
        sized(96 << 10)(request);
        request.archive.parity = Some(ParityAmount::Volumes(2));
    };
    maker.make("parity", &noise(), &[], with_parity).await;
    maker.ask_and_answer().await;
    maker.lab.settings.signer = Some(key_of(7));
    maker.make("signed", &noise(), &[], sized(256 << 10)).await;
    approve(&maker.to.join("signed"));
    fs::write(maker.to.join(Golden::SUMS), sums(&maker.to)).expect("written");
}

/// A second key approves it; a trust file names both.
fn approve(signed: &Path) {
    let (trust, approval) = (signed.join("trust"), signed.join("auditor.minisig"));
    if trust.exists() {
        return;
    }
    let text = format!("{} builder golden\n{} auditor *\n", key_of(7).public(), key_of(8).public());
    fs::write(trust, text).expect("written");
    key::approve(signed, None, &key_of(8), Some(&approval)).expect("an approval");
}
