//! Sets as large as they may be: opening one reads its ends and its directories, and takes little memory.

use std::path::Path;

use ocm_format::digest::Digest;
use ocm_format::layout::{MAX_VOLUMES, Parent};
use serde_json::json;

use crate::apart::{apart, opened};
use crate::built::{Built, range, raw};
use crate::forged::Forged;
use crate::made::{nightly, noise};

#[path = "../../benches/huge.rs"]
#[allow(dead_code, reason = "a program")]
mod huge;

/// What opening may read of a volume: header, footer and directory.
const ENDS_BYTES: u64 = 16 << 10;

#[test]
fn a_terabyte_in_250_volumes_is_opened_by_its_ends_alone() {
    let (volumes, bytes) = if nightly() { (250, 4_000_000_000) } else { (12, 400_000_000) };
    let folder = tempfile::tempdir().expect("a folder");
    huge::make(folder.path(), volumes, bytes, &[]).expect("holes");
    let apparent: u64 = std::fs::read_dir(folder.path()).expect("a folder").map(|file| size(&file.expect("a file").path())).sum();
    assert!(apparent > u64::from(volumes) * bytes * 9 / 10, "{apparent}");
    let came = opened(folder.path());
    came.says("complete: ", &format!("{volumes} volumes"));
    assert!(came.read_bytes < u64::from(volumes) * ENDS_BYTES, "{} bytes were read", came.read_bytes);
}

fn size(path: &Path) -> u64 {
    path.metadata().expect("a file").len()
}

fn volume() -> Forged {
    let content = noise(1, 1_000);
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[&content]).records(&[raw(Digest::of(&content), vec![range(0, 1_000)])]);
    built.forged()
}

#[test]
fn a_set_may_have_65535_volumes_and_not_one_more() {
    let mut forged = volume();
    let entry = |number: u32| json!({"n": number, "size": 60_000, "root": Digest::of(&number.to_le_bytes())});
    let folder = tempfile::tempdir().expect("a folder");
    forged.set["volumes"] = (1..=MAX_VOLUMES).map(entry).collect();
    forged.write(folder.path());
    apart(folder.path()).says("check: ", "volume 9990 of set").says("read: ", "all of it").is_silent("broken: ");
    forged.set["volumes"] = (1..=MAX_VOLUMES + 1).map(entry).collect();
    forged.write(folder.path());
    apart(folder.path()).says("broken: ", "it names more ancestors or volumes than the format allows");
    let mut forged = volume();
    forged.change_header(|header| header[68..72].copy_from_slice(&(MAX_VOLUMES + 1).to_le_bytes()));
    forged.write(folder.path());
    apart(folder.path()).says("stranger: ", "header: generation, number or cap is out of bounds");
}
