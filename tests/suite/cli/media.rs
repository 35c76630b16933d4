//! What is called a medium's volume fits on that medium, by the word of real makers of file systems.

use std::fs::File;
use std::path::Path;

use ocm::cli::media::Medium;

use crate::support::tools::{Tool, run};

const SECTOR_BYTES: u64 = 2048;

/// A file of this size that takes no space.
fn sparse(folder: &Path, name: &str, bytes: u64) {
    File::create(folder.join(name)).and_then(|file| file.set_len(bytes)).expect("a sparse file");
}

/// Each disc with its sectors, and the files that it must hold: a volume, sums, a catalogue.
fn discs() -> impl Iterator<Item = (Medium, u64, [u64; 3])> {
    let files = |medium: Medium| [medium.cap_bytes() - 1, medium.sums_bytes(), medium.catalogue_bytes()];
    Medium::ALL.into_iter().filter_map(move |medium| Some((medium, medium.sectors()?, files(medium))))
}

#[test]
fn a_volume_fits_on_its_medium_under_iso_9660_with_udf() {
    for (medium, sectors, files) in discs() {
        let Some(mut maker) = Tool::find("genisoimage") else { return };
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes) in
            ["disk.g0001-0a1b2c3d.v001.ocm.tar", "disk.g0001-0a1b2c3d.sha256", "disk.g0001-0a1b2c3d.c001.ocm.tar"].iter().zip(files)
        {
            sparse(folder.path(), name, bytes);
        }
        maker.args(["-quiet", "-udf", "-allow-limited-size", "-joliet", "-rational-rock", "-print-size"]).arg(folder.path());
        let needed: u64 = run(&mut maker).trim().parse().expect("a number of sectors");
        assert!(needed <= sectors, "{}: {needed} of {sectors} sectors", medium.name());
    }
}

#[test]
fn a_volume_fits_on_its_medium_under_udf() {
    for (medium, sectors, files) in discs() {
        let (Some(mut maker), Some(mut teller)) = (Tool::find("mkudffs"), Tool::find("udfinfo")) else { return };
        let folder = tempfile::tempdir().expect("a folder");
        sparse(folder.path(), "image", sectors * SECTOR_BYTES);
        // A writable medium has a map of free space; on one that is written once less is taken.
        run(maker.args(["--utf8", "--blocksize=2048", "--media-type=hd"]).arg(folder.path().join("image")));
        let info = run(teller.arg("--utf8").arg(folder.path().join("image")));
        let free = info.lines().find_map(|line| line.strip_prefix("freeblocks=")).expect("free blocks");
        let free: u64 = free.parse().expect("a number of blocks");
        // Each file takes a block for its entry, and one for each GiB of its extents; the directory takes a few.
        let needed: u64 = files.iter().map(|bytes| bytes.div_ceil(SECTOR_BYTES) + 1 + bytes.div_ceil(1 << 30)).sum::<u64>() + 8;
        assert!(needed <= free, "{}: {needed} of {free} blocks", medium.name());
    }
}
