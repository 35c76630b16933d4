//! The file system without the kernel: what is where, and how it looks.

#[cfg(test)]
mod kernel;

use fuser::FileType;

use super::attributes::Effort;
use super::lab::{Lab, showing, view};
use super::numbers::Number;
use super::plains::Trust;
use super::view::{Content, Showing, View};
use crate::error::Result;
use crate::image::Digest;

/// What a path leads to.
fn at(view: &View, path: &str) -> Result<Option<Number>> {
    let mut number = Number::Root;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        match view.directory(number)?.and_then(|directory| directory.find(name.as_bytes())) {
            Some(found) => number = found,
            None => return Ok(None),
        }
    }
    Ok(Some(number))
}

fn found(view: &View, path: &str) -> Number {
    at(view, path).expect(path).unwrap_or_else(|| panic!("{path} is not there"))
}

/// The names in a directory.
fn names(view: &View, path: &str) -> Vec<String> {
    let directory = view.directory(found(view, path)).expect(path).expect("a directory");
    let mut names = Vec::new();
    directory.each(0, |at, name, number| {
        assert_eq!((at, directory.find(name)), (names.len(), Some(number)));
        assert_eq!(Number::of(number.to_u64()), Some(number));
        names.push(String::from_utf8_lossy(name).into_owned());
        true
    });
    names
}

fn read(view: &View, path: &str) -> Result<Vec<u8>> {
    let number = at(view, path)?.expect(path);
    view.open(number)?;
    match view.content(number)?.expect("a file") {
        Content::Bytes(bytes) => Ok(bytes.to_vec()),
        Content::Extent(extent) => Ok(view.plains.read(&extent, 0, u64::MAX)?.to_vec()),
    }
}

fn stat(view: &View, path: &str) -> fuser::FileAttr {
    view.attributes(found(view, path), Effort::Asked).expect(path).expect("something").attr
}

fn simple() -> Lab {
    let mut lab = Lab::default();
    let long = "x".repeat(3000);
    let base =
        lab.layer(&format!("d etc\nf etc/a one\nf etc/b two\nf etc/long {long}\ns link etc/a\nh etc/hard etc/a\n4755 f su root\nc null"));
    let upper = lab.layer("f etc/.wh.b\nf etc/c three");
    let image = lab.image(&[base, upper]);
    lab.tag("quay.io/team/app:1", &image);
    lab
}

const APP: &str = "images/quay.io/team/app/1";

#[test]
fn an_image_has_its_documents_its_layers_and_its_files() {
    let (_, view, _) = view(simple(), showing());
    assert_eq!(names(&view, ""), [".ocm", "blobs", "images", "index.json", "oci-layout"]);
    assert_eq!(names(&view, APP), ["manifest.json", "layers", "config.json", "rootfs"]);
    assert_eq!(names(&view, &format!("{APP}/rootfs")), ["etc", "link", "null", "su"]);
    assert_eq!(names(&view, &format!("{APP}/rootfs/etc")), ["a", "c", "hard", "long"]);
    assert_eq!(read(&view, &format!("{APP}/rootfs/etc/hard")).expect("a file"), b"one");
    assert_eq!(read(&view, &format!("{APP}/rootfs/etc/long")).expect("a file"), "x".repeat(3000).into_bytes());
    let manifest = read(&view, &format!("{APP}/manifest.json")).expect("a file");
    let digest = Digest::of(&manifest);
    assert_eq!(read(&view, &format!("blobs/sha256/{}", digest.hex())).expect("a blob"), manifest);
    let layers = names(&view, &format!("{APP}/layers"));
    assert!(layers.len() == 2 && layers[0].starts_with("00-") && layers[1].ends_with(".tar"), "{layers:?}");
    let layer = read(&view, &format!("{APP}/layers/{}", layers[1])).expect("a layer");
    assert_eq!(layer, crate::image::tree::tests::tar("f etc/.wh.b\nf etc/c three"));
    assert_eq!(stat(&view, &format!("{APP}/layers/{}", layers[1])).size, layer.len() as u64);
}

#[test]
fn names_of_one_file_share_a_number_and_all_of_them_stay_the_same() {
    let (_, one, _) = view(simple(), showing());
    let (_, other, _) = view(simple(), showing());
    let etc = format!("{APP}/rootfs/etc");
    let (a, hard, c) = (stat(&one, &format!("{etc}/a")), stat(&one, &format!("{etc}/hard")), stat(&one, &format!("{etc}/c")));
    assert_eq!((a.ino, a.nlink), (hard.ino, 2));
    assert_eq!(c.nlink, 1);
    assert_eq!(stat(&one, &format!("{APP}/rootfs")).nlink, 3, "itself, its name and one directory in it");
    for name in names(&one, &etc) {
        let path = format!("{etc}/{name}");
        assert_eq!(found(&one, &path), found(&other, &path));
    }
}

#[test]
fn devices_and_set_id_bits_show_only_if_they_were_asked_for() {
    let (_, masked, _) = view(simple(), showing());
    let (_, asked, _) = view(simple(), Showing { devices: true, set_ids: true, ..showing() });
    let (su, null) = (format!("{APP}/rootfs/su"), format!("{APP}/rootfs/null"));
    assert_eq!((stat(&masked, &su).perm, stat(&asked, &su).perm), (0o755, 0o4755));
    assert_eq!((stat(&masked, &null).kind, stat(&asked, &null).kind), (FileType::RegularFile, FileType::CharDevice));
    assert_eq!(stat(&masked, &su).uid, 0, "what is of the image has its owner");
    assert_eq!(stat(&masked, "index.json").uid, 7);
    let link = found(&masked, &format!("{APP}/rootfs/link"));
    assert_eq!(masked.target(link).expect("a link").as_deref(), Some(&b"etc/a"[..]));
}

#[test]
fn an_index_has_a_directory_for_each_platform_that_is_here() {
    let mut lab = Lab::default();
    let image = |lab: &mut Lab, text: &str| {
        let layer = lab.layer(&format!("f {text} 1"));
        lab.image(&[layer])
    };
    let all = ["a", "b", "c", "d", "e", "f"].map(|text| image(&mut lab, text));
    lab.forget(&all[5]);
    let [a, b, c, d, e, f] = all;
    let inner = lab.index(&[("linux/s390x", d)]);
    let index =
        lab.index(&[("linux/amd64", a), ("linux/arm64/v8", b), ("linux/amd64", c.clone()), ("/", inner), ("../x", e), ("linux/gone", f)]);
    lab.tag("quay.io/app:1", &index);
    let (_, view, _) = view(lab, showing());
    let shown = names(&view, "images/quay.io/app/1");
    let twice = format!("linux-amd64-{}", c.digest.short());
    assert_eq!(shown[..4], ["index.json", "linux-amd64", "linux-arm64-v8", &twice]);
    assert!(shown.contains(&"..-x".to_owned()) && !shown.contains(&"linux-gone".to_owned()), "{shown:?}");
    assert_eq!(read(&view, "images/quay.io/app/1/linux-arm64-v8/rootfs/b").expect("a file"), b"1");
}

#[test]
fn what_is_hurt_is_an_error_for_that_alone_and_is_tried_again() {
    let mut lab = simple();
    let layer = lab.layer("f x 1");
    let image = lab.image(std::slice::from_ref(&layer));
    lab.tag("quay.io/team/other:1", &image);
    let (lab, view, _) = view(lab, showing());
    lab.hurt(&layer);
    let other = "images/quay.io/team/other/1";
    assert!(names(&view, other).contains(&"rootfs".to_owned()));
    let error = read(&view, &format!("{other}/rootfs/x")).expect_err("hurt").to_string();
    assert!(error.starts_with(&format!("root file system of image {}: ", image.digest)) && error.ends_with("hurt"), "{error}");
    assert_eq!(read(&view, &format!("{APP}/rootfs/etc/a")).expect("sound"), b"one");
    lab.heal();
    assert_eq!(read(&view, &format!("{other}/rootfs/x")).expect("healed"), b"1");
}

#[test]
fn a_layer_without_plain_form_is_decompressed_where_there_is_room() {
    let mut lab = Lab::default();
    let layer = lab.unknown_layer(&format!("f x {}", "1".repeat(5000)));
    let image = lab.image(std::slice::from_ref(&layer));
    lab.tag("quay.io/app:1", &image);
    let (lab, roomy, _) = view(lab, showing());
    let layers = names(&roomy, "images/quay.io/app/1/layers");
    let path = format!("images/quay.io/app/1/layers/{}", layers[0]);
    let listed = roomy.attributes(found(&roomy, &path), Effort::Listed).expect("listed").expect("a file");
    assert_eq!((listed.settled, listed.attr.size), (false, 0), "a list decompresses nothing");
    assert_eq!(stat(&roomy, &path).size, 5000usize.next_multiple_of(512) as u64 + 1536);
    assert_eq!(read(&roomy, "images/quay.io/app/1/rootfs/x").expect("a file"), "1".repeat(5000).into_bytes());
    let narrow = View::new(lab, Showing { spool_bytes: 1000, ..showing() }, std::sync::Arc::new(crate::monitor::Silent));
    let error = read(&narrow, "images/quay.io/app/1/rootfs/x").expect_err("no room");
    assert!(error.to_string().contains("more than the 1000 bytes that the spool may have") && error.way_out().is_some(), "{error}");
    assert!(read(&narrow, &format!("blobs/sha256/{}", layer.digest.hex())).is_ok(), "the blob itself needs none");
}

#[test]
fn who_trusts_nothing_sees_no_byte_of_a_blob_that_is_another() {
    let mut lab = simple();
    let layer = lab.layer("f x 1");
    let image = lab.image(std::slice::from_ref(&layer));
    lab.tag("quay.io/team/other:1", &image);
    lab.swap(&layer, "another blob");
    let (lab, trusting, _) = view(lab, showing());
    let (blob, file) = (format!("blobs/sha256/{}", layer.digest.hex()), "images/quay.io/team/other/1/rootfs/x");
    assert_eq!(read(&trusting, &blob).expect("trusted"), b"another blob");
    let doubting = View::new(lab, Showing { trust: Trust::Nothing, ..showing() }, std::sync::Arc::new(crate::monitor::Silent));
    for path in [&blob, file] {
        let error = read(&doubting, path).expect_err("another").to_string();
        assert!(error.contains("its bytes have another digest"), "{error}");
    }
    assert_eq!(read(&doubting, &format!("{APP}/rootfs/etc/a")).expect("sound"), b"one");
}

#[test]
fn failures_are_listed_once_and_the_report_is_as_it_is_now() {
    let (_, view, heard) = view(simple(), showing());
    assert_eq!(names(&view, ".ocm"), ["status", "status.json", "lab.g0001.json"]);
    let status = |view: &View| String::from_utf8(read(view, ".ocm/status").expect("a report")).expect("text");
    assert!(status(&view).contains("nothing is known to be damaged or missing"), "{}", status(&view));
    for _ in 0..3 {
        view.status.note(&crate::error::Error::damaged("volume 3: \u{1b}[31m"));
    }
    for number in 0..1000 {
        view.status.note(&crate::error::Error::damaged(format!("number {number}")));
    }
    let text = status(&view);
    assert!(text.contains("volume 3: \\u{1b}[31m (3 times)") && text.contains("and 801 more"), "{text}");
    assert_eq!(super::cache::held(&heard.0).len(), 200);
    let json: serde_json::Value = serde_json::from_slice(&read(&view, ".ocm/status.json").expect("a report")).expect("json");
    assert_eq!((json["images"].as_u64(), json["failures"][0]["times"].as_u64(), json["unlisted"].as_u64()), (Some(1), Some(3), Some(801)));
}

#[test]
fn an_inspector_is_told_where_a_blob_lies() {
    let (_, view, _) = view(simple(), showing());
    let names = names(&view, "blobs/sha256");
    let all = view.attributes_of(found(&view, &format!("blobs/sha256/{}", names[0]))).expect("attributes");
    let value =
        |name: &str| all.iter().find(|(there, _)| there == name.as_bytes()).map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    assert_eq!(value("user.ocm.volumes").as_deref(), Some("2:1"));
    assert_eq!(value("user.ocm.missing").as_deref(), Some("2:3"));
    assert_eq!(value("user.ocm.kind").as_deref(), Some("stored"));
    assert!(at(&view, "blobs/sha256/zz").expect("looked").is_none() && at(&view, "blobs/sha512").expect("looked").is_none());
}
