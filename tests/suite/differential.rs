//! One archive, read in every way that there is: the same bytes under the same names.
//!
//! **Invariants.** What is read is compared with the layout that an archive was written from, byte for byte, by code that is none of ocm's.
//!
//! *Not here:* what one way of reading does beyond that (`mount`, `serve`, `layouts`), the writer (`deltas`, `chains`).

#[path = "../../format/tests/reading/members.rs"]
mod members;
mod places;
mod restored;
mod written;

use std::path::Path;

use ocm::store::archive::Depth;
use ocm::workflow::sync::Request;

use self::places::Place;
use self::restored::{Script, restored};
use self::written::Written;
use crate::mount::seen::Seen;
use crate::serve::Home;
use crate::support::registry::Registry;
use crate::support::tools::Tool;
use crate::workflows::lab::Lab;

/// Small enough for several volumes.
const SMALL_BYTES: u64 = 700_000;

/// A lab, and the generations of content that archives in it are written from. None where there is no Python, which compresses layers.
fn lab() -> Option<(Lab, [Written; 2])> {
    Tool::find("python3")?;
    Some((Lab::new(), [1, 2].map(Written::of)))
}

/// Writes content into the archive `disk`.
async fn write(lab: &Lab, content: &Written, options: impl FnOnce(&mut Request)) {
    let from = format!("oci:{}", content.layout.path().display());
    let made = lab.sync_with(&[from], &lab.path("disk"), options).await.expect("an archive");
    let gzip = made.set.expect("a set").gzip;
    assert!(gzip.replayed.blobs > 7, "some of it is made again when it is read: {gzip:?}");
}

/// Writes both generations into `disk`, the second as a delta of this depth.
async fn write_both(lab: &Lab, [one, two]: &[Written; 2], depth: Depth) {
    write(lab, one, |_| {}).await;
    let delta = |request: &mut Request| (request.archive.delta.depth, request.archive.only) = (depth, true);
    write(lab, two, delta).await;
}

/// Reads an archive in every way.
async fn assert_same_everywhere(lab: &Lab, archive: &str, content: &Written) {
    let disk = lab.path(archive);
    if let Some(seen) = Seen::mount_places(&[&disk], &[]) {
        content.assert_in(&Place::Folder(seen.at(""))).await;
    }
    let served = Home::new().serve(&[&disk]);
    content.assert_in(&Place::registry(served.host())).await;
    drop(served);
    let layout = lab.folder("layout");
    lab.sync(&[&disk], &format!("oci:{}", layout.display())).await.expect("a layout");
    content.assert_in(&Place::Folder(layout)).await;
    if let Some(registry) = Registry::start() {
        lab.sync(&[&disk], &format!("docker://{}", registry.host())).await.expect("a registry");
        content.assert_in(&Place::registry(registry.host())).await;
    }
    for script in [Script::Small, Script::Gzip] {
        let out = lab.folder(script.name());
        if restored(script, Path::new(&disk), &out) {
            content.assert_but_for(&Place::Folder(out), &content.lacking(script)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_is_the_same_by_mount_serve_sync_and_restore() {
    let Some((lab, [content, _])) = lab() else { return };
    write(&lab, &content, |_| {}).await;
    assert_same_everywhere(&lab, "disk", &content).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_of_many_volumes_is_the_same_by_mount_serve_sync_and_restore() {
    let Some((lab, [content, _])) = lab() else { return };
    write(&lab, &content, |request| request.archive.volume_bytes = SMALL_BYTES).await;
    let volumes = lab.archive("disk").into_keys().filter(|name| name.contains(".v0")).count();
    assert!(volumes > 4, "{volumes}");
    assert_same_everywhere(&lab, "disk", &content).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_of_chunks_is_the_same_by_mount_serve_sync_and_restore() {
    let Some((lab, contents)) = lab() else { return };
    write_both(&lab, &contents, Depth::Chunk).await;
    assert_same_everywhere(&lab, "disk", &contents[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_of_patches_is_the_same_by_mount_serve_sync_and_restore() {
    let Some((lab, contents)) = lab() else { return };
    write_both(&lab, &contents, Depth::Patch).await;
    assert_same_everywhere(&lab, "disk", &contents[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_base_is_the_same_by_mount_serve_sync_and_restore() {
    let Some((lab, contents)) = lab() else { return };
    write_both(&lab, &contents, Depth::Patch).await;
    lab.merge(&[("disk", None)], "base").await.expect("a merge");
    assert_same_everywhere(&lab, "base", &contents[1]).await;
}
