//! What changed inside real images, wherever they are.

use ocm::error::Kind;
use ocm::image::tree::Changes;
use ocm::image::{Descriptor, Digest};
use ocm::workflow::diff::{Found, Inside, Options, Side, diff};
use tar::{Builder, EntryType, Header};

use crate::support::images::{Image, Layout};
use crate::support::layers::{Layer, TIME};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

const NAME: &str = "registry.example/team/app:1";

/// One entry of a layer.
struct Entry(EntryType, &'static str, &'static str, u64);

fn file(path: &'static str, content: &'static str) -> Entry {
    Entry(EntryType::Regular, path, content, TIME)
}

/// A layer of these entries, uncompressed. An entry at `…/capable` has an extended attribute of its content.
fn layer(entries: &[Entry]) -> Layer {
    let mut tar = Builder::new(Vec::new());
    for Entry(kind, path, content, time) in entries {
        let mut header = Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(if *kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_mtime(*time);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        if path.ends_with("capable") {
            tar.append_pax_extensions([("SCHILY.xattr.security.capability", content.as_bytes())]).expect("memory");
        }
        match kind {
            EntryType::Regular => {
                header.set_size(content.len() as u64);
                tar.append_data(&mut header, path, content.as_bytes()).expect("memory");
            }
            EntryType::Directory => tar.append_data(&mut header, path, &b""[..]).expect("memory"),
            _ => tar.append_link(&mut header, path, content).expect("memory"),
        }
    }
    Layer::bytes(tar.into_inner().expect("memory"))
}

/// What is below the layers that differ.
fn base() -> Layer {
    Layer::tree(1, 60_000).gzip()
}

fn before() -> [Layer; 3] {
    let lower = [
        Entry(EntryType::Directory, "etc", "", TIME),
        file("etc/stays", "1"),
        file("etc/content", "1"),
        file("etc/touched", "1"),
        file("etc/goes", "1"),
        file("opt/old/x", "1"),
        file("bin/capable", "\u{1}"),
        Entry(EntryType::Link, "etc/hard", "etc/content", TIME),
        Entry(EntryType::Symlink, "etc/soft", "content", TIME),
    ];
    [base(), layer(&lower).gzip(), layer(&[file("etc/upper", "1")]).tar()]
}

/// The same below, packed otherwise; above it whiteouts, and what they do not hide.
fn after() -> [Layer; 3] {
    let [base, lower, _] = before();
    let upper = [
        file("opt/.wh..wh..opq", ""),
        file("opt/new/x", "2"),
        file("etc/.wh.goes", ""),
        file("etc/content", "2"),
        Entry(EntryType::Regular, "etc/touched", "1", TIME + 1),
        Entry(EntryType::Symlink, "etc/soft", "stays", TIME),
        file("bin/capable", "\u{2}"),
        file("etc/upper", "1"),
    ];
    [base, lower.zstd(), layer(&upper).gzip()]
}

/// The lines of a change, as a person reads them.
fn lines(changes: &Changes) -> Vec<String> {
    let line = |one: &ocm::image::tree::Changed| format!("{:?} {} {:?}", one.change, one.path, one.differs);
    changes.paths.iter().map(line).collect()
}

fn assert_as_made(inside: &[Inside]) {
    let [Inside { name, platform: None, found: Found::Changes(changes), .. }] = inside else { panic!("{inside:?}") };
    assert_eq!(name.to_string(), NAME);
    // The hard link keeps what its first name had before that was replaced.
    let expected = [
        "Changed /bin/capable [Content, Attributes]",
        "Changed /etc/content [Content]",
        "Removed /etc/goes []",
        "Changed /etc/soft [Target]",
        "Added /opt/new []",
        "Added /opt/new/x []",
        "Removed /opt/old []",
        "Removed /opt/old/x []",
    ];
    assert_eq!(lines(changes), expected);
    assert_eq!((changes.added, changes.removed, changes.changed, changes.times, changes.unlisted), (2, 3, 3, 1, 0));
}

async fn inside(lab: &Lab, a: &str, b: &str) -> Vec<Inside> {
    let options = Options { files: true, ..Options::default() };
    let compared = diff(&a.parse().expect("a place"), &b.parse().expect("a place"), options, &lab.settings).await.expect("an answer");
    compared.files.expect("files were asked for")
}

/// A lab with the layouts `old` and `new`; `fill` says what their one image is.
fn lab(fill: impl Fn(&Layout, bool) -> Descriptor) -> (Lab, [Layout; 2], [String; 2]) {
    let lab = Lab::new();
    let layouts = ["old", "new"].map(|name| Layout::at(&lab.folder(name)));
    for (layout, is_new) in layouts.iter().zip([false, true]) {
        layout.tag(NAME, &fill(layout, is_new));
    }
    let places = ["old", "new"].map(|name| format!("oci:{}", lab.path(name)));
    (lab, layouts, places)
}

fn image(layout: &Layout, is_new: bool) -> Descriptor {
    layout.image(&Image::of(if is_new { after() } else { before() }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_inside_an_image_is_the_same_from_layouts_and_sets() {
    let (lab, _, [old, new]) = lab(image);
    let disk = lab.path("disk");
    for place in [&old, &new] {
        lab.sync_with(&[place], &disk, |request| request.archive.only = true).await.expect("a set");
    }
    let sets = [1, 2].map(|generation| format!("{disk}@{generation}"));
    for (a, b) in [(&old, &new), (&sets[0], &sets[1]), (&old, &disk), (&sets[0], &new)] {
        assert_as_made(&inside(&lab, a, b).await);
    }
    assert_eq!(inside(&lab, &sets[1], &new).await, [], "nothing moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_read_layer_by_layer() {
    let Some(far) = Registry::start() else { return };
    let (lab, _, [old, new]) = lab(image);
    let mirror = format!("docker://{}/mirror", far.host());
    lab.sync(&[&old], &mirror).await.expect("pushed");
    assert_as_made(&inside(&lab, &mirror, &new).await);
    lab.sync(&[&new], &mirror).await.expect("pushed");
    assert_as_made(&inside(&lab, &old, &mirror).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_an_index_are_compared_by_platform() {
    let of = |platform: &str, layers: &[Layer]| Image::of(layers.iter().cloned()).platform(platform);
    let (lab, _, [old, new]) = lab(|layout, is_new| {
        let other = layout.image(&of("linux/s390x", &[base()]));
        let (arm, amd) = if is_new { ("linux/arm64", after()) } else { ("linux/arm64/v8", before()) };
        let gone = if is_new { "linux/ppc64le" } else { "linux/riscv64" };
        let mut listed: Vec<_> =
            [of(arm, &[base()]), of("linux/amd64", &amd), of(gone, &[base()])].map(|image| layout.image(&image)).into();
        listed.push(other);
        if is_new {
            listed.reverse()
        }
        layout.index(&listed)
    });
    let found = inside(&lab, &old, &new).await;
    let told: Vec<String> = found
        .iter()
        .map(|inside| match &inside.found {
            Found::Changes(changes) => format!("{} {}", inside.platform.as_ref().expect("a platform"), changes.paths.len()),
            Found::OnlyIn(side) => format!("{} only in {side:?}", inside.platform.as_ref().expect("a platform")),
            Found::Why(why) => panic!("{why}"),
        })
        .collect();
    // Of arm64 the configuration alone differs, by how the platform is written; s390x is the same image.
    assert_eq!(told, ["linux/arm64 0", "linux/amd64 8", "linux/riscv64 only in A", "linux/ppc64le only in B"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_image_is_compared_with_its_platform_of_an_index() {
    let (lab, _, [old, new]) = lab(|layout, is_new| {
        let single = image(layout, is_new);
        if !is_new {
            return single;
        }
        layout.index(&[layout.image(&Image::of([base()]).platform("linux/arm64")), single])
    });
    let found = inside(&lab, &old, &new).await;
    let [Inside { platform: Some(platform), found: Found::Changes(changes), .. }, only] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((platform.to_string().as_str(), changes.paths.len()), ("linux/amd64", 8));
    assert_eq!(only.found, Found::OnlyIn(Side::B));
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_both_begin_with_are_read_once_and_nothing_where_all_are_the_same() {
    let (lab, [_, layout], [old, new]) = lab(image);
    std::fs::remove_file(layout.blob_file(&Digest::of(&base().stored()))).expect("removed");
    assert_as_made(&inside(&lab, &old, &new).await);
    let (lab, layouts, [old, new]) = self::lab(|layout, is_new| {
        let annotated = Image::of([base()]);
        layout.image(&if is_new { annotated.annotation("built", "again") } else { annotated })
    });
    for layout in layouts {
        std::fs::remove_file(layout.blob_file(&Digest::of(&base().stored()))).expect("removed");
    }
    let found = inside(&lab, &old, &new).await;
    let [Inside { found: Found::Changes(changes), .. }] = found.as_slice() else { panic!("{found:?}") };
    assert!(changes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_looked_into_says_why_and_stops_no_other() {
    let broken = "registry.example/team/broken:1";
    let cut = || Layer::bytes(layer(&[file("a", "content")]).plain()[..700].to_vec());
    let bad: [(Layer, &str); 4] = [
        (Layer::bytes("no tar").gzip(), "it is no tar that can be read"),
        (cut().zstd(), "it ends in the middle of an entry"),
        (layer(&[Entry(EntryType::Link, "a", "gone", TIME)]), "/a: it is a link to /gone"),
        (Layer::tree(3, 1000).foreign(), "registries do not hold it"),
    ];
    for (bad, why) in bad {
        let (lab, layouts, [old, new]) = lab(image);
        layouts[0].tag(broken, &layouts[0].image(&Image::of([base()])));
        layouts[1].tag(broken, &layouts[1].image(&Image::of([base(), bad])));
        let (others, failed): (Vec<_>, Vec<_>) = inside(&lab, &old, &new).await.into_iter().partition(|one| one.name.to_string() == NAME);
        assert_as_made(&others);
        let [Inside { found: Found::Why(told), .. }] = failed.as_slice() else { panic!("{failed:?}") };
        assert!(told.contains(why) && told.contains("sha256:"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_without_end_is_an_error() {
    let (lab, _, [old, new]) = lab(|layout, is_new| {
        let image = image(layout, is_new);
        let absent = (0..5000u64).map(|number| Descriptor { digest: Digest::of(&number.to_le_bytes()), ..image.clone() });
        layout.index(&[image.clone()].into_iter().chain(absent).collect::<Vec<_>>())
    });
    let found = inside(&lab, &old, &new).await;
    let [Inside { found: Found::Why(why), .. }] = found.as_slice() else { panic!("{found:?}") };
    assert!(why.contains("lists more than 4096 manifests"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_damaged_is_not_compared() {
    let (lab, [_, layout], [old, new]) = lab(image);
    let upper = after()[2].stored();
    let other = layer(&[file("etc/forged", "x")]).gzip().stored();
    let forged = [other.as_slice(), &vec![0; upper.len() - other.len()]].concat();
    std::fs::write(layout.blob_file(&Digest::of(&upper)), forged).expect("written");
    let found = inside(&lab, &old, &new).await;
    let [Inside { found: Found::Why(why), .. }] = found.as_slice() else { panic!("{found:?}") };
    assert!(why.contains("the content does not match its digest"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_are_left_out_and_receipts_refused() {
    let (lab, _, [old, new]) = lab(|layout, is_new| layout.artifact("application/x.chart", if is_new { b"2" } else { b"1" }, None));
    assert_eq!(inside(&lab, &old, &new).await, []);
    let Some(far) = Registry::start() else { return };
    let made = lab.sync(&[&old], &format!("docker://{}/mirror", far.host())).await.expect("pushed");
    let receipt = made.receipt.expect("a receipt").display().to_string();
    let options = Options { files: true, ..Options::default() };
    let error =
        diff(&receipt.parse().expect("a place"), &new.parse().expect("a place"), options, &lab.settings).await.expect_err("refused");
    assert_eq!(error.kind(), Kind::Usage);
    assert!(
        error.to_string().contains("a receipt has no files") && error.way_out().is_some_and(|hint| hint.contains("/mirror")),
        "{error:?}"
    );
}
