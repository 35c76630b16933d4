//! Volumes that are missing or damaged: an error for what is hurt, and for nothing else.

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::seen::{Archive, Seen};
use crate::support::disks::{SmallDisk, can_mount};
use crate::support::images::Image;
use crate::support::layers::Layer;
use crate::support::tools::run;

/// Blobs that can be read and are what they were, and those that cannot be.
fn blobs(seen: &Seen, archive: &Archive) -> (usize, usize) {
    let (mut sound, mut hurt) = (0, 0);
    for digest in archive.layout.digests() {
        match std::fs::read(seen.at(&format!("blobs/sha256/{}", digest.hex()))) {
            Ok(bytes) => {
                assert!(bytes == archive.layout.read(&digest), "{digest}");
                sound += 1;
            }
            Err(error) => {
                assert!(matches!(error.raw_os_error(), Some(2 | 5)), "{digest}: {error}");
                hurt += 1;
            }
        }
    }
    (sound, hurt)
}

async fn in_volumes() -> Archive {
    let images = [("one", Image::generated(1, 900_000)), ("two", Image::generated(2, 900_000)), ("three", Image::generated(3, 900_000))];
    let archive = Archive::in_volumes(&images, 512 << 10).await;
    assert!(archive.volumes().len() >= 3, "{:?}", archive.volumes());
    archive
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_goes_and_comes_back_hurts_what_is_in_it_as_long_as_it_is_away() {
    let archive = in_volumes().await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let volume = &archive.volumes()[1];
    let aside: PathBuf = archive.lab.folder("aside");
    std::fs::rename(volume, &aside).expect("moved away");
    let Some(without) = Seen::mount_places(&[&format!("{}@1", archive.path())], &[]) else { return };
    let (sound, hurt) = blobs(&without, &archive);
    assert!(sound > 0 && hurt > 0, "{sound} {hurt}");
    assert!(without.status().contains("missing"), "{}", without.status());
    std::fs::rename(&aside, volume).expect("moved back");
    drop(seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_frame_hurts_what_is_in_it_and_is_read_again_when_it_is_mended() {
    let archive = in_volumes().await;
    let volume = &archive.volumes()[1];
    let sound = std::fs::read(volume).expect("a volume");
    let file = std::fs::File::options().write(true).open(volume).expect("a volume");
    let at = sound.len() as u64 / 2;
    file.write_all_at(&[!sound[at as usize]], at).expect("a byte");
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let (whole, hurt) = blobs(&seen, &archive);
    assert!(whole > 0 && hurt >= 1, "{whole} {hurt}");
    assert!(seen.status().contains("could not be read since this was mounted"), "{}", seen.status());
    file.write_all_at(&sound[at as usize..=at as usize], at).expect("a byte");
    // Files are looked at again after a moment.
    let mended = (0..50).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        blobs(&seen, &archive).1 == 0
    });
    assert!(mended, "{}", seen.status());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_has_to_be_decompressed_needs_room_and_says_so() {
    let layer = Layer::tree(5, 400_000).zstd();
    let image = Image::of([layer.clone()]);
    let archive = Archive::of(&[("z", image), ("g", Image::of([Layer::tree(1, 50_000).tar()]))]).await;
    let base = format!("images/localhost/{}", archive.repository());
    let Some(roomy) = Seen::mount(&archive, &[]) else { return };
    let file = std::fs::read_dir(roomy.at(&format!("{base}/z/layers"))).expect("layers").next().expect("one").expect("one").path();
    assert!(std::fs::read(&file).expect("a layer") == layer.plain());
    assert_eq!(file.metadata().expect("it is there").len(), layer.plain().len() as u64);
    let narrow = Seen::mount(&archive, &["--spool-size", "1000"]).expect("it was mounted before");
    let error = std::fs::read_dir(narrow.at(&format!("{base}/z/rootfs")))
        .err()
        .or_else(|| std::fs::metadata(narrow.at(&format!("{base}/z/rootfs"))).err());
    assert_eq!(error.and_then(|error| error.raw_os_error()), Some(5));
    assert!(narrow.status().contains("the spool may have"), "{}", narrow.status());
    run(Command::new("find").arg(narrow.at(&format!("{base}/g/rootfs"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_on_a_disk_that_is_full_hurts_the_layer_that_needs_it_alone() {
    if !can_mount() {
        return;
    }
    let images = [("z", Image::of([Layer::tree(5, 400_000).zstd()])), ("g", Image::of([Layer::tree(1, 50_000).tar()]))];
    let archive = Archive::of(&images).await;
    let disk = SmallDisk::new("128k");
    let Some(seen) = Seen::mount(&archive, &["--spool", &disk.path()]) else { return };
    let rootfs = |tag: &str| seen.at(&format!("images/localhost/{}/{tag}/rootfs", archive.repository()));
    assert_eq!(std::fs::read_dir(rootfs("z")).err().and_then(|error| error.raw_os_error()), Some(5));
    assert!(seen.status().contains("No space left on device") && seen.status().contains(&disk.path()), "{}", seen.status());
    assert!(std::fs::read_dir(rootfs("g")).expect("a folder").count() > 0);
    assert_eq!(blobs(&seen, &archive).1, 0, "blobs need no spool");
}
