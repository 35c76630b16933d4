//! Archives as a file system: read by the programs of others, hurt, killed, and mounted again.
//!
//! *Not here:* the file system over content in memory (unit tests of `mount`).

mod beside;
mod clients;
mod hostile;
mod hurt;
mod refused;
mod running;
pub(crate) mod seen;

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use self::seen::{Archive, Seen};
use crate::support::images::Image;
use crate::support::layers::{Layer, Random};
use crate::support::tools::{Tool, run};

/// Paths below one with their digests, as programs of others find them.
fn sums(folder: &Path) -> String {
    let script = "find . -type f -print0 | sort -z | xargs -0 sha256sum";
    run(Command::new("sh").args(["-c", script]).current_dir(folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_find_the_layout_and_the_files_that_were_archived() {
    let archive = Archive::zoo().await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    assert!(
        seen.line.starts_with("ready: ") && seen.line.contains(" of 1 set at ") && seen.line.ends_with("(read-only)\n"),
        "{}",
        seen.line
    );
    for digest in archive.layout.digests() {
        let blob = seen.at(&format!("blobs/sha256/{}", digest.hex()));
        run(Command::new("cmp").arg(&blob).arg(archive.layout.blob_file(&digest)));
    }
    for line in run(Command::new("sh").args(["-c", "cd blobs/sha256 && sha256sum *"]).current_dir(seen.at(""))).lines() {
        let (sum, name) = line.split_once("  ").expect("a line of sha256sum");
        assert_eq!(sum, name);
    }
    // One image has a layer that nobody has, and so no root file system that can be shown.
    let listed = run(Command::new("sh").args(["-c", "find . 2>/dev/null; true"]).current_dir(seen.at("")));
    assert!(listed.lines().count() > 100, "{listed}");
    let tar = run(Command::new("sh").args(["-c", "tar -cf - images .ocm 2>/dev/null | tar -tf - | wc -l"]).current_dir(seen.at("")));
    assert!(tar.trim().parse::<u32>().expect("a number") > 100, "{tar}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_part_of_a_blob_is_what_it_was_mapped_or_read() {
    let archive = Archive::of(&[("one", Image::generated(1, 6_000_000)), ("two", Image::generated(2, 3_000_000))]).await;
    for options in [&[][..], &["--no-page-push"], &["--paranoid"]] {
        let Some(seen) = Seen::mount(&archive, options) else { return };
        let mut random = Random::new(7);
        for digest in archive.layout.digests() {
            let original = archive.layout.read(&digest);
            let file = std::fs::File::open(seen.at(&format!("blobs/sha256/{}", digest.hex()))).expect("a blob");
            for _ in 0..300 {
                let (at, most) = (random.below(original.len() as u64 + 1), random.below(20_000) + 1);
                let mut part = vec![0; most as usize];
                let count = file.read_at(&mut part, at).expect("bytes");
                assert!(part[..count] == original[at as usize..][..count], "{digest} at {at}");
                assert!(count as u64 == most || at + count as u64 == original.len() as u64, "{digest} at {at}: {count} of {most}");
            }
        }
    }
    let Some(mut python) = Tool::find("python3") else { return };
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let script = "import hashlib, mmap, os, sys\n\
                  for name in os.listdir('.'):\n\
                  \twith open(name, 'rb') as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:\n\
                  \t\tassert hashlib.sha256(m).hexdigest() == name, name\n";
    run(python.args(["-c", script]).current_dir(seen.at("blobs/sha256")));
}

/// How often something is done, and how often with `OCM_NIGHTLY`.
fn times(short: usize, long: usize) -> usize {
    if std::env::var_os("OCM_NIGHTLY").is_some() { long } else { short }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soak_of_random_reads_of_every_kind_gives_no_wrong_byte_and_memory_stays() {
    let images =
        [("one", Image::generated(1, 6_000_000)), ("two", Image::of([Layer::tree(7, 3_000_000), Layer::tree(8, 3_000_000).zstd()]))];
    let archive = Archive::of(&images).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let mut largest = archive.layout.digests();
    largest.sort_by_key(|digest| std::cmp::Reverse(archive.layout.read(digest).len()));
    let reads = times(2_500, 1_000_000).to_string();
    let mut readers = Vec::new();
    for (seed, digest) in largest[..4].iter().enumerate() {
        let Some(mut python) = Tool::find("python3") else { return };
        python.args(["-c", include_str!("mount/reads.py")]).arg(seen.at(&format!("blobs/sha256/{}", digest.hex())));
        python.arg(archive.layout.blob_file(digest)).args([&seed.to_string(), &reads]);
        readers.push(std::thread::spawn(move || run(&mut python)));
    }
    readers.into_iter().for_each(|reader| drop(reader.join().expect("no wrong byte")));
    let bytes = seen.watched().peak_bytes();
    assert!(bytes <= 80 << 20, "{} MiB", bytes >> 20);
    assert!(seen.status().contains("nothing is known to be damaged or missing"), "{}", seen.status());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_files_and_directories_that_were_opened_and_closed() {
    let archive = Archive::of(&[("one", Image::generated(1, 300_000))]).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let listed = run(Command::new("find").arg(seen.at("")).args(["-type", "f"]));
    let files: Vec<&Path> = listed.lines().map(Path::new).collect();
    let open = |count: usize| {
        for path in files.iter().cycle().take(count) {
            std::fs::File::open(path).and_then(|file| file.read_at(&mut [0; 100], 0)).expect("some bytes");
            std::fs::read_dir(path.parent().expect("a directory")).expect("a directory").for_each(drop);
        }
    };
    let opens = times(10_000, 100_000);
    open(opens / 10);
    let (descriptors, bytes) = (seen.watched().descriptors(), seen.watched().resident_bytes());
    open(opens);
    assert_eq!(seen.watched().descriptors(), descriptors);
    let grown = seen.watched().resident_bytes().saturating_sub(bytes);
    assert!(grown <= 4 << 20, "{grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_sets_is_one_file_system() {
    let archive = Archive::of(&[("one", Image::generated(1, 400_000))]).await;
    archive.add("two", &Image::of([Layer::tree(1, 200_000), Layer::tree(77, 200_000)])).await;
    let Some(newest) = Seen::mount(&archive, &[]) else { return };
    assert!(newest.line.contains("2 images of 1 set"), "{}", newest.line);
    let first = Seen::mount_places(&[&format!("{}@1", archive.path())], &[]).expect("it was mounted before");
    assert!(first.line.contains("1 image of 1 set"), "{}", first.line);
    let all = Seen::mount(&archive, &["--all-sets"]).expect("it was mounted before");
    assert!(all.line.contains("2 images of 2 sets"), "{}", all.line);
    let image = format!("images/localhost/{}/one", archive.repository());
    let expected = sums(&newest.at(&image));
    assert_eq!(sums(&first.at(&image)), expected);
    assert_eq!(sums(&all.at(&image)), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_what_is_read() {
    let archive = Archive::of(&[("one", Image::generated(1, 40_000_000))]).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    run(Command::new("sh")
        .args(["-c", "cat blobs/sha256/* images/localhost/*/one/layers/* > /dev/null; find images | wc -l"])
        .current_dir(seen.at("")));
    let bytes = seen.watched().peak_bytes();
    assert!(bytes <= 80 << 20, "{} MiB", bytes >> 20);
}
