//! `restore.py`, the reader made from SPEC.md alone, gives back what the writer was given.

#[path = "../reading/members.rs"]
mod members;
mod replay;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use ocm_format::digest::Digest;
use ocm_format::layout::Id;
use ocm_format::set::{Ancestor, ParentSet};
use ocm_format::writer::{Closing, Fate, Finished, Form, Head, Options, SetWriter};
use serde_json::{Value, json};

use self::support::{new_blob, noise};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Whether the programs that the test starts are here; where CI is set, they have to be.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn installed() -> bool {
    for name in ["python3", "zstd", "tar", "sha256sum"] {
        if Command::new(name).arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "{name} is not installed");
            eprintln!("skipped: {name} is not installed");
            return false;
        }
    }
    true
}

fn tar(seed: u64, files: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for file in 0..files {
        let content = if file % 2 == 0 { noise(file, 30_000) } else { format!("{file} and {seed}\n").repeat(2_000).into_bytes() };
        ocm_format::tar::put_member(&mut out, &format!("file-{file}"), &content, 1_600_000_000 + seed).expect("a member");
    }
    out.extend([0; 1024]);
    out
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(content).to_string(), "size": content.len()})
}

/// An image: its layers, and last its configuration and manifest.
fn image(layers: &[(Form, Vec<u8>)]) -> (Vec<u8>, Vec<u8>) {
    let config = format!(r#"{{"layers":{}}}"#, layers.len()).into_bytes();
    let listed: Vec<Value> = layers.iter().map(|(_, content)| descriptor("application/vnd.oci.image.layer.v1.tar", content)).collect();
    let config_type = "application/vnd.oci.image.config.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config_type, &config), "layers": listed});
    (config, manifest.to_string().into_bytes())
}

/// A set and what `restore.py` has to make of it.
struct Sample {
    head: Head,
    blobs: Vec<(Form, Vec<u8>)>,
    index_json: Vec<u8>,
    ancestors: Vec<Ancestor>,
    own_version_bytes: Option<u64>,
}

impl Sample {
    fn base() -> Self {
        let layers = layers();
        let (config, manifest) = image(&layers);
        let index_json = index_of(&[descriptor(MANIFEST, &manifest)]);
        let mut blobs = vec![(Form::Document, manifest), (Form::Document, config)];
        blobs.extend(layers);
        blobs.extend([(Form::Packed, Vec::new()), (Form::Document, noise(9, 90_000)), (Form::Plain, b"plain ".repeat(9_000))]);
        Self { head: head(1, None), blobs, index_json, ancestors: Vec::new(), own_version_bytes: None }
    }

    /// Versions of one image, each compressed after the one before.
    fn versions() -> Self {
        let versions = [1, 2, 3, 4].map(|version| {
            let mut tar = Vec::new();
            for file in 0..12u64 {
                let mut content = noise(file, 40_000 + 9_000 * file as usize);
                (0..content.len()).step_by(6_000).for_each(|at| content[at] = version);
                ocm_format::tar::put_member(&mut tar, &format!("file-{file}"), &content, 1_600_000_000).expect("a member");
            }
            (Form::Tar, tar)
        });
        let (config, manifest) = image(&versions);
        let index_json = index_of(&[descriptor(MANIFEST, &manifest)]);
        let mut blobs = vec![(Form::Document, manifest), (Form::Document, config)];
        blobs.extend(versions);
        Self { blobs, index_json, own_version_bytes: Some(1 << 20), ..Self::base() }
    }

    /// Another image on the layers of the base, behind an index that also names an image which was left out.
    fn next(base: &Finished) -> Self {
        let fresh = (Form::Tar, tar(2, 12));
        let mut layers = layers();
        layers.push(fresh.clone());
        let (config, manifest) = image(&layers);
        let images = [descriptor(MANIFEST, &manifest), descriptor(MANIFEST, b"left out")];
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": images}).to_string().into_bytes();
        let index_json = index_of(&[descriptor(INDEX, &index)]);
        let parent = ParentSet::Set { id: Id([1; 16]), root: base.root, generation: 1 };
        let blobs = vec![(Form::Document, index), (Form::Document, manifest), (Form::Document, config), fresh];
        let ancestors = vec![Ancestor { id: Id([1; 16]), root: base.root, generation: 1 }];
        Self { head: head(2, Some(parent)), blobs, index_json, ancestors, own_version_bytes: None }
    }

    fn begin(&self, folder: &Path, cap: u64) -> SetWriter {
        let (frame_bytes, own_version_bytes) = (1 << 18, self.own_version_bytes);
        let options = Options { cap, frame_bytes, threads: 2, own_version_bytes, ..support::options(folder) };
        SetWriter::create(self.head.clone(), options, Box::new(|_| Ok(Fate::Kept))).expect("a writer")
    }

    fn write(&self, folder: &Path, cap: u64) -> Finished {
        let mut set = self.begin(folder, cap);
        for (form, content) in &self.blobs {
            set.add(new_blob(*form, content), &mut content.as_slice()).expect("stored");
        }
        set.finish(self.closing()).expect("finished")
    }

    fn closing(&self) -> Closing {
        Closing { ancestors: self.ancestors.clone(), index_json: self.index_json.clone(), ..support::closing() }
    }
}

fn layers() -> Vec<(Form, Vec<u8>)> {
    vec![(Form::Packed, noise(1, 700_000)), (Form::Tar, tar(1, 20)), (Form::Tar, tar(1, 25)), (Form::Packed, noise(2, 5_000))]
}

fn index_of(manifests: &[Value]) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string().into_bytes()
}

fn head(generation: u8, parent: Option<ParentSet>) -> Head {
    Head { generation: u32::from(generation), parent, ..support::head(generation) }
}

fn restore(archive: &Path, out: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("restore.py");
    Command::new("python3").arg(script).arg(archive).arg(out).output().expect("python3 runs")
}

/// Every file below a folder, by its path there, and its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        if entry.path().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|(path, content)| (format!("{name}/{path}"), content)));
        } else {
            found.insert(name, std::fs::read(entry.path()).expect("content"));
        }
    }
    found
}

/// The image layout that holds these blobs.
fn layout<'a>(blobs: impl IntoIterator<Item = &'a (Form, Vec<u8>)>, index_json: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let blobs = blobs.into_iter().map(|(_, content)| (format!("blobs/sha256/{}", Digest::of(content).hex()), content.clone()));
    let ends = [("oci-layout".into(), LAYOUT.to_vec()), ("index.json".into(), index_json.to_vec())];
    blobs.chain(ends).collect()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn assert_restored(output: &Output) {
    assert_eq!((output.status.code(), texts(output).1.as_str()), (Some(0), ""), "{}", texts(output).0);
}

#[test]
fn every_blob_of_a_set_is_restored_whatever_its_cap() {
    for cap in [64 << 10, 150_000, 1 << 20, 1 << 30] {
        if !installed() {
            return;
        }
        let (archive, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let sample = Sample::base();
        let made = sample.write(archive.path(), cap);
        assert!(made.volumes.len() > 1 || cap > 1 << 20);
        let volume = std::fs::read(&made.volumes[0].0).expect("a volume");
        // What another run has in the making is passed over.
        std::fs::write(archive.path().join("next.v001.ocm.tar.partial"), &volume[..volume.len() / 2]).expect("half a volume");
        let output = restore(archive.path(), out.path());
        assert_restored(&output);
        assert!(files(out.path()) == layout(&sample.blobs, &sample.index_json), "{}", texts(&output).0);
    }
}

#[test]
fn versions_that_are_compressed_after_each_other_are_restored() {
    if !installed() {
        return;
    }
    let (archive, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let sample = Sample::versions();
    let made = sample.write(archive.path(), 400_000);
    assert!(made.volumes.len() > 2 && made.manifest.needs.depth > 0, "{:?}", made.manifest.needs);
    let output = restore(archive.path(), out.path());
    assert_restored(&output);
    assert!(files(out.path()) == layout(&sample.blobs, &sample.index_json), "{}", texts(&output).0);
}

#[test]
fn a_set_that_needs_an_earlier_one_is_restored_with_what_it_needs_of_it() {
    if !installed() {
        return;
    }
    let (archive, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let next = Sample::next(&Sample::base().write(archive.path(), 256 << 10));
    next.write(archive.path(), 300_000);
    let output = restore(archive.path(), out.path());
    assert_restored(&output);
    assert!(files(out.path()) == layout(layers().iter().chain(&next.blobs), &next.index_json), "{}", texts(&output).0);
}

#[test]
fn what_an_absent_set_holds_is_named_and_the_rest_is_restored() {
    if !installed() {
        return;
    }
    let (first, archive, out) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"), tempfile::tempdir().expect("three"));
    let next = Sample::next(&Sample::base().write(first.path(), 1 << 20));
    next.write(archive.path(), 1 << 20);
    let output = restore(archive.path(), out.path());
    assert_eq!(output.status.code(), Some(1));
    let complaint = texts(&output).1;
    for (_, content) in layers() {
        assert!(complaint.contains(&Digest::of(&content).to_string()), "{complaint}");
    }
    assert!(complaint.contains(&"01".repeat(16)), "{complaint}");
    assert!(files(out.path()) == layout(&next.blobs, &next.index_json), "{complaint}");
}

#[test]
fn damage_and_a_missing_volume_are_named_and_cost_only_the_blobs_they_touch() {
    if !installed() {
        return;
    }
    let (archive, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let sample = Sample::base();
    let made = sample.write(archive.path(), 256 << 10);
    std::fs::remove_file(&made.volumes[1].0).expect("removed");
    let hurt = &made.volumes[0].0;
    let mut bytes = std::fs::read(hurt).expect("content");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(hurt, bytes).expect("written");
    let output = restore(archive.path(), out.path());
    assert_eq!(output.status.code(), Some(1));
    let complaint = texts(&output).1;
    assert!(complaint.contains("lacks volumes [2]"), "{complaint}");
    assert!(complaint.contains(&*hurt.to_string_lossy()), "{complaint}");
    let (whole, found) = (layout(&sample.blobs, &sample.index_json), files(out.path()));
    assert!(found.len() > 4 && found.len() < whole.len(), "{} of {}", found.len(), whole.len());
    for (name, content) in &found {
        assert!(whole.get(name) == Some(content), "{name}");
    }
    for name in whole.keys().filter(|name| !found.contains_key(*name)) {
        assert!(complaint.contains(name.rsplit('/').next().expect("a name")), "{name}: {complaint}");
    }
}

#[test]
fn stock_tools_list_and_check_the_volumes() {
    if !installed() {
        return;
    }
    let archive = tempfile::tempdir().expect("a folder");
    let made = Sample::base().write(archive.path(), 256 << 10);
    let sums = Command::new("sha256sum").args(["-c", "lab.g0001-01010101.sha256"]).current_dir(archive.path()).output();
    let sums = sums.expect("sha256sum runs");
    assert!(sums.status.success(), "{}", texts(&sums).1);
    assert!(texts(&sums).0.lines().count() >= made.volumes.len());
    for (path, _) in &made.volumes {
        let listing = Command::new("tar").arg("tvf").arg(path).output().expect("tar runs");
        assert_eq!((listing.status.code(), texts(&listing).1.as_str()), (Some(0), ""));
        assert!(texts(&listing).0.contains("OCM.VOLUME") && texts(&listing).0.contains("OCM.FOOTER"));
    }
}
