//! Gzip blobs that are stored by their plain form.

use std::path::Path;
use std::process::{Command, Output};

use ocm_format::digest::Digest;
use ocm_format::gzip::klauspost::Generation;
use ocm_format::gzip::{Encoder, Verdict, find};
use ocm_format::writer::Form;

use crate::members::{gzip, layer};
use crate::support::new_blob;
use crate::{Sample, assert_restored, files, head, index_of, installed, layout, texts};

/// A blob, and its plain form.
type Layer = (Vec<u8>, Vec<u8>);

fn made(encoder: Encoder, bytes: usize) -> Layer {
    let plain = layer(bytes as u64, bytes);
    (gzip(encoder, &plain), plain)
}

/// Blobs of zlib, one of them with two members and bytes behind them.
fn of_zlib() -> Vec<Layer> {
    let encoder = |level, memory_level| Encoder::Zlib { level, memory_level };
    let [(first, plain), (second, more)] = [made(encoder(6, 8), 70_000), made(encoder(9, 9), 30_000)];
    let both = ([first, second, b"behind".to_vec()].concat(), [plain, more].concat());
    vec![made(encoder(6, 8), 2_200_000), made(encoder(1, 8), 150_000), made(encoder(9, 9), 140_000), both]
}

/// Blobs of encoders that `restore-gzip.py` has.
fn of_go() -> Vec<Layer> {
    use Generation::{K1, K4, K6, K7, K8, K8a, K9};
    let mut all = vec![made(Encoder::Pgzip { generation: K8, block_bytes: 1 << 20 }, 1_300_000)];
    let generations = [K1, K4, K6, K7, K8a, K9].into_iter().zip(1..);
    all.extend(generations.map(|(generation, at)| made(Encoder::Pgzip { generation, block_bytes: 256 << 10 }, 300_000 + at)));
    all.extend([K8, K9].into_iter().zip(1..).map(|(generation, at)| made(Encoder::Klauspost { generation }, 210_000 + at)));
    all.extend([1, 6, 9].map(|level| made(Encoder::Go { level }, 220_000 + usize::from(level))));
    all
}

fn write(layers: &[Layer], folder: &Path) -> Sample {
    let sample = Sample { head: head(1, None), blobs: vec![], index_json: index_of(&[]), ancestors: vec![], own_version_bytes: None };
    let mut set = sample.begin(folder, 4 << 20);
    for (content, plain) in layers {
        let Verdict::Replay(plan) = find(&content.as_slice()).expect("memory can be read") else { panic!("it can be made again") };
        assert_eq!(plan.members.iter().map(|made| made.plain_bytes).sum::<u64>(), plain.len() as u64);
        let blob = new_blob(Form::Packed, content);
        set.add_replayed(blob, &plan, &content.as_slice()).expect("stored");
    }
    let made = set.finish(sample.closing()).expect("finished");
    let unpacked =
        Command::new("tar").arg("-C").arg(folder).arg("-xf").arg(&made.volumes[0].0).args(["restore.py", "restore-gzip.py"]).status();
    assert!(unpacked.expect("tar runs").success());
    sample
}

/// Runs a program that was in the archive.
fn run(program: &str, archive: &Path, out: &Path) -> Output {
    Command::new("python3").arg(archive.join(program)).arg(archive).arg(out).output().expect("python3 runs")
}

fn assert_holds(out: &Path, blobs: Vec<Vec<u8>>, sample: &Sample) {
    let blobs: Vec<_> = blobs.into_iter().map(|content| (Form::Packed, content)).collect();
    let (found, wanted) = (files(out), layout(&blobs, &sample.index_json));
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    assert!(found == wanted);
}

#[test]
fn blobs_of_zlib_are_restored_and_of_others_their_uncompressed_layers() {
    if !installed() {
        return;
    }
    let (archive, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let other = [
        (made(Encoder::Pgzip { generation: Generation::K8, block_bytes: 1 << 20 }, 1_300_000), "encoder 1 (pgzip)"),
        (made(Encoder::Go { level: 6 }, 200_000), "encoder 3 (Go)"),
        (made(Encoder::Gnu { level: 6 }, 201_000), "encoder 5 (GNU gzip)"),
    ];
    let layers: Vec<Layer> = of_zlib().into_iter().chain(other.iter().map(|(layer, _)| layer.clone())).collect();
    let sample = write(&layers, archive.path());
    let output = run("restore.py", archive.path(), out.path());
    let complaint = texts(&output).1;
    assert_eq!(output.status.code(), Some(3), "{complaint}");
    assert_eq!(complaint.lines().count(), other.len(), "{complaint}");
    for ((content, plain), encoder) in &other {
        let line = complaint.lines().find(|line| line.contains(&Digest::of(content).to_string())).expect("the blob is named");
        let file = out.path().join("blobs/sha256").join(Digest::of(plain).hex());
        assert!(line.contains(encoder) && line.contains(&*file.to_string_lossy()) && line.contains("restore-gzip.py"), "{line}");
    }
    let others = other.into_iter().map(|((_, plain), _)| plain);
    assert_holds(out.path(), of_zlib().into_iter().map(|(content, _)| content).chain(others).collect(), &sample);
}

#[test]
fn blobs_of_encoders_in_go_are_restored_bit_for_bit_by_the_other_program() {
    if !installed() {
        return;
    }
    let (archive, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let layers: Vec<Layer> = of_go().into_iter().chain(of_zlib()).collect();
    let sample = write(&layers, archive.path());
    let output = run("restore-gzip.py", archive.path(), out.path());
    assert_restored(&output);
    assert_holds(out.path(), layers.into_iter().map(|(content, _)| content).collect(), &sample);
}

#[test]
fn of_encoders_that_no_program_has_the_uncompressed_layer_is_restored() {
    if !installed() {
        return;
    }
    let (archive, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let layers = vec![made(Encoder::Gnu { level: 9 }, 100_000), made(Encoder::Pigz { level: 6 }, 300_000)];
    let sample = write(&layers, archive.path());
    let output = run("restore-gzip.py", archive.path(), out.path());
    let complaint = texts(&output).1;
    assert_eq!(output.status.code(), Some(3), "{complaint}");
    assert!(complaint.contains("GNU gzip") && complaint.contains("pigz"), "{complaint}");
    assert_holds(out.path(), layers.into_iter().map(|(_, plain)| plain).collect(), &sample);
}
