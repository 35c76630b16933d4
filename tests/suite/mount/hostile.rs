//! Images that mean no good: nothing hangs, and what is sound beside them is read.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::process::Command;

use tar::EntryType;

use super::clients::Tar;
use super::seen::{Archive, Seen};
use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;
use crate::support::tools::run;

fn names(path: &std::path::Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_an_image_lead_nowhere_else() {
    let tar = Tar::new()
        .put(EntryType::Symlink, 0o777, "loop", "loop/x", b"")
        .put(EntryType::Symlink, 0o777, "out", "/etc/passwd", b"")
        .file("new\nline", "1")
        .file("esc\u{1b}[31m", "2")
        .file(&"n".repeat(255), "3")
        .file(&"n".repeat(256), "4")
        .file("-rf", "5");
    let archive = Archive::of(&[("odd", Image::of([tar.layer()])), ("good", Image::generated(1, 50_000))]).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let rootfs = seen.at(&format!("images/localhost/{}/odd/rootfs", archive.repository()));
    let mut expected = ["loop", "out", "new\nline", "esc\u{1b}[31m", "-rf", &"n".repeat(255)].map(OsString::from);
    expected.sort();
    assert_eq!(names(&rootfs), expected);
    assert_eq!(std::fs::read_link(rootfs.join("out")).expect("a link"), std::path::Path::new("/etc/passwd"));
    assert!(std::fs::read(rootfs.join("loop")).is_err(), "it leads nowhere");
    assert!(seen.status().contains("1 names in it are too long to be shown"), "{}", seen.status());
    assert_eq!(std::fs::read(rootfs.join(OsString::from_vec(b"new\nline".to_vec()))).expect("a file"), b"1");
    run(Command::new("find").arg(seen.at("")).stdout(std::process::Stdio::piped()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_none_hurts_its_own_files_alone() {
    let no_tar = Layer::bytes(b"no tar at all".repeat(100)).gzip();
    let link = Tar::new().folder("d/").put(EntryType::Link, 0o644, "x", "d", b"");
    let images = [("none", Image::of([no_tar])), ("link", Image::of([link.layer()])), ("good", Image::generated(1, 50_000))];
    let archive = Archive::of(&images).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let at = |tag: &str| seen.at(&format!("images/localhost/{}/{tag}", archive.repository()));
    for tag in ["none", "link"] {
        assert!(names(&at(tag)).contains(&"manifest.json".into()), "{tag}");
        assert_eq!(std::fs::read_dir(at(tag).join("rootfs")).err().and_then(|error| error.raw_os_error()), Some(5), "{tag}");
        assert_eq!(std::fs::read_dir(at(tag).join("layers")).expect("layers").count(), 1);
    }
    assert!(names(&at("good").join("rootfs")).len() > 1);
    let status = seen.status();
    assert!(status.contains("it is no tar that can be read") && status.contains("which is no file there"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_of_any_name_are_shown_harmless() {
    let layout = Layout::new();
    let image = |seed, platform: &str| layout.image(&Image::generated(seed, 20_000).platform(platform));
    let mut odd = image(2, "linux/arm64/v8");
    odd.platform = odd.platform.map(|platform| ocm::image::Platform { os: "..".into(), architecture: "..\n".into(), ..platform });
    let index = layout.index(&[image(1, "linux/amd64"), odd]);
    layout.tag("index", &index);
    let archive = Archive::written(layout).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let shown = names(&seen.at(&format!("images/localhost/{}/index", archive.repository())));
    assert_eq!(shown, ["..-..%0A-v8", "index.json", "linux-amd64"].map(OsString::from));
}
