//! Programs of the field that read a layout read a mount; and a root file system is what they unpack.

use std::path::Path;
use std::process::Command;

use tar::{Builder, EntryType, Header};

use super::seen::{Archive, Seen};
use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;
use crate::support::tools::{Tool, run};

/// A tar in the making.
pub(super) struct Tar(Builder<Vec<u8>>);

impl Tar {
    pub(super) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    /// Adds something: its kind, its mode, its path, where it leads, its content.
    pub(super) fn put(mut self, kind: EntryType, mode: u32, path: &str, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(if mode == 0o600 { 1234 } else { 0 });
        header.set_gid(5);
        header.set_mtime(1_600_000_000 + path.len() as u64);
        header.set_size(content.len() as u64);
        if matches!(kind, EntryType::Char | EntryType::Block) {
            header.set_device_major(1).and_then(|()| header.set_device_minor(3)).expect("numbers");
        }
        let done = match link {
            "" => self.0.append_data(&mut header, path, content),
            link => self.0.append_link(&mut header, path, link),
        };
        done.expect("a vector takes all");
        self
    }

    pub(super) fn folder(self, path: &str) -> Self {
        self.put(EntryType::Directory, 0o755, path, "", b"")
    }

    pub(super) fn file(self, path: &str, content: &str) -> Self {
        self.put(EntryType::Regular, 0o644, path, "", content.as_bytes())
    }

    /// Gives the next entry an extended attribute.
    pub(super) fn attribute(mut self, name: &str, value: &str) -> Self {
        self.0.append_pax_extensions([(format!("SCHILY.xattr.{name}").as_str(), value.as_bytes())]).expect("a vector takes all");
        self
    }

    /// Stored as it is, so that an archive has its plain form.
    pub(super) fn layer(self) -> Layer {
        Layer::bytes(self.0.into_inner().expect("a vector takes all"))
    }
}

/// An image in which layers hide, replace and link what others have.
fn layered() -> Image {
    let base = Tar::new()
        .folder("etc/")
        .file("etc/kept", "kept")
        .file("etc/gone", "gone")
        .file("etc/replaced", "first")
        .put(EntryType::Regular, 0o600, "etc/secret", "", b"secret")
        .folder("opaque/")
        .file("opaque/below", "below")
        .folder("opaque/deep/")
        .file("opaque/deep/below", "below")
        .folder("hidden/")
        .file("hidden/file", "x")
        .folder("usr/bin/")
        .put(EntryType::Regular, 0o4755, "usr/bin/su", "", b"#!/bin/sh\n")
        .put(EntryType::Symlink, 0o777, "bin", "usr/bin", b"")
        .put(EntryType::Link, 0o4755, "usr/bin/su-too", "usr/bin/su", b"")
        .put(EntryType::Fifo, 0o644, "fifo", "", b"")
        .put(EntryType::Char, 0o666, "null", "", b"")
        .attribute("user.note", "said")
        .file("noted", "with a note")
        .put(EntryType::Directory, 0o1777, "tmp/", "", b"")
        .file("empty", "");
    let upper = Tar::new()
        .file("opaque/above", "above")
        .file("opaque/.wh..wh..opq", "")
        .file("etc/.wh.gone", "")
        .file(".wh.hidden", "")
        .file("etc/replaced", "second, and longer")
        .put(EntryType::Link, 0o644, "etc/linked", "etc/kept", b"")
        .file("bin/through", "through the link");
    Image::of([base.layer(), upper.layer().gzip(), Tar::new().folder("hidden/").file("hidden/new", "new").layer()])
}

/// What is below a folder, a line for each path: type, mode, owner, size, target, time, names of one file, attributes, digest.
const LIST: &str = r"
import hashlib, os, stat, sys
root, seen = sys.argv[1], {}
for folder, folders, files in os.walk(root):
    for name in sorted(folders + files):
        path = os.path.join(folder, name)
        st, short = os.lstat(path), os.path.relpath(path, root)
        what = [short, oct(st.st_mode), st.st_uid, st.st_gid, int(st.st_mtime) if not stat.S_ISDIR(st.st_mode) else 0]
        if not stat.S_ISDIR(st.st_mode):
            what += [st.st_nlink, st.st_rdev]
        if stat.S_ISLNK(st.st_mode):
            what += [os.readlink(path)]
        else:
            what += [(a, os.getxattr(path, a)) for a in sorted(os.listxattr(path)) if a.startswith('user.')]
        if stat.S_ISREG(st.st_mode):
            what += [st.st_size, hashlib.sha256(open(path, 'rb').read()).hexdigest()]
        print(seen.setdefault((st.st_dev, st.st_ino), short), what)
";

fn listed(folder: &Path) -> Vec<String> {
    let listed = run(Tool::find("python3").expect("found above").args(["-c", LIST]).arg(folder));
    let mut lines: Vec<String> = listed.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_file_system_is_what_umoci_unpacks() {
    let (Some(_), Some(_)) = (Tool::find("umoci"), Tool::find("python3")) else { return };
    let archive = Archive::of(&[("layered", layered()), ("tree", Image::generated(3, 500_000))]).await;
    let Some(seen) = Seen::mount(&archive, &["--dev", "--suid"]) else { return };
    for tag in ["layered", "tree"] {
        let bundle = archive.lab.folder(&format!("bundle-{tag}"));
        let image = format!("{}:{tag}", archive.layout.path().display());
        run(Tool::find("umoci").expect("found above").args(["unpack", "--image", &image]).arg(&bundle));
        let ours = listed(&seen.at(&format!("images/localhost/{}/{tag}/rootfs", archive.repository())));
        assert_eq!(ours, listed(&bundle.join("rootfs")), "{tag}");
        assert!(ours.len() > 10, "{ours:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_set_id_bits_are_masked_unless_they_are_asked_for() {
    use std::os::unix::fs::MetadataExt as _;
    let archive = Archive::of(&[("layered", layered())]).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let stat = |name: &str| {
        let path = seen.at(&format!("images/localhost/{}/layered/rootfs/{name}", archive.repository()));
        path.symlink_metadata().expect(name)
    };
    assert_eq!((stat("usr/bin/su").mode() & 0o7777, stat("tmp").mode() & 0o7777), (0o755, 0o1777));
    for name in ["null", "fifo"] {
        assert!(stat(name).is_file() && stat(name).len() == 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_copies_from_a_mount_by_tag_and_by_full_name() {
    let Some(_) = Tool::find("skopeo") else { return };
    let layout = Layout::new();
    let (one, two) = (layout.image(&Image::generated(1, 200_000)), layout.image(&Image::generated(2, 100_000)));
    for (name, root) in [("quay.io/a/one:1", &one), ("quay.io/a/two:1", &two), ("quay.io/a/two:2.0_x", &two)] {
        layout.list_in_index(root, &[("io.containerd.image.name", name), ("org.opencontainers.image.ref.name", name)]);
    }
    let archive = Archive::written(layout).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let view = seen.at("").display().to_string();
    let view = view.trim_end_matches('/');
    for (name, root) in [("2.0_x", &two), ("quay.io/a/one:1", &one), ("quay.io/a/two:1", &two)] {
        let out = archive.lab.folder(&format!("out-{}", name.replace(['/', ':'], "-")));
        let mut copy = Tool::find("skopeo").expect("found above");
        run(copy.args(["copy", "-q", "--insecure-policy", &format!("oci:{view}:{name}"), &format!("oci:{}:x", out.display())]));
        assert!(Layout::at(&out).digests().contains(&root.digest), "{name}");
    }
    let inspected = run(Tool::find("skopeo").expect("found above").args(["inspect", "--raw", &format!("oci:{view}:2.0_x")]));
    assert!(inspected.contains("layers"), "{inspected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn umoci_reads_the_mount_itself() {
    let Some(mut umoci) = Tool::find("umoci") else { return };
    let archive = Archive::of(&[("one", Image::generated(1, 200_000))]).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let view = seen.at("").display().to_string();
    let bundle = archive.lab.folder("bundle");
    run(umoci.args(["unpack", "--image", &format!("{}:one", view.trim_end_matches('/'))]).arg(&bundle));
    let rootfs = seen.at(&format!("images/localhost/{}/one/rootfs", archive.repository()));
    run(Command::new("diff").args(["-r", "--no-dereference"]).arg(bundle.join("rootfs")).arg(rootfs));
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_pulls_from_the_mount() {
    let Some(mut podman) = Tool::find("podman") else { return };
    let archive = Archive::of(&[("one", Image::of([Layer::tree(1, 200_000), Layer::tree(2, 50_000)]))]).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let store = |part: &str| archive.lab.folder(&format!("store-{part}")).display().to_string();
    podman.args(["--storage-driver", "vfs", "--root", &store("root"), "--runroot", &store("run")]);
    // Podman makes a name of the path, which must be one then.
    podman.current_dir(seen.at("..")).args(["pull", "--quiet", "oci:view:one"]);
    assert!(!run(&mut podman).trim().is_empty());
}

/// A layer with what dpkg knows of one package, in this version.
fn debian(version: &str) -> Layer {
    let status = format!(
        "Package: hello\nStatus: install ok installed\nMaintainer: A <a@example.com>\nArchitecture: all\nVersion: {version}\nDescription: a greeting\n\n"
    );
    let tar = Tar::new().folder("var/lib/dpkg/info/").folder("var/lib/dpkg/updates/").file("var/lib/dpkg/status", &status);
    tar.file("usr/share/hello", "hello\n").file("etc/version", version).layer()
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_look_into_root_file_systems_and_compare_them() {
    let archive = Archive::of(&[("old", Image::of([debian("1.0-1")])), ("new", Image::of([debian("2.0-1")]))]).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let image = |tag: &str| seen.at(&format!("images/localhost/{}/{tag}", archive.repository()));
    for (tag, version) in [("old", "1.0-1"), ("new", "2.0-1")] {
        let Some(mut dpkg) = Tool::find("dpkg") else { return };
        let listed = run(dpkg.arg("--root").arg(image(tag).join("rootfs")).arg("-l"));
        assert!(listed.lines().any(|line| line.starts_with("ii  hello") && line.contains(version)), "{listed}");
    }
    let found = run(Command::new("grep").args(["-r", "-l", "2.0-1", "."]).current_dir(seen.at("images")));
    let of_new = |line: &str| line.contains("/new/");
    assert!(found.lines().count() > 1 && found.lines().all(of_new), "{found}");
    let mut diff = Command::new("diff");
    let compared = diff.args(["-r", "-q"]).arg(image("old").join("rootfs")).arg(image("new").join("rootfs")).output().expect("diff runs");
    let compared = String::from_utf8_lossy(&compared.stdout).into_owned();
    assert_eq!(compared.lines().filter(|line| line.starts_with("Files ") && line.ends_with(" differ")).count(), 2, "{compared}");
    assert_eq!(compared.lines().count(), 2, "{compared}");
}
