//! Golden archives: written once by an earlier ocm, read for ever by this one and by the programs that lie in them.
//!
//! **Invariants.** What is in `format/testdata/v1` is only added to: `SHA256SUMS` there names every file, and `EXPECTED` of each archive
//! names every blob that has to come out of it.
//!
//! *Not here:* archives of the bytes that are written now (`deltas`, `replay`, `repairs`).

mod make;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ocm::image::Digest;
use ocm::transfer::Class;
use ocm::workflow::{repair, verify};

use crate::support::tools::{Tool, run};
use crate::workflows::lab::Lab;

/// Volumes of the archive with parity that are too many to be lost: its ticket asks for them.
const LOST: [&str; 3] = [".v001.ocm.tar", ".v003.ocm.tar", ".v004.ocm.tar"];

/// One of them, in a lab of its own.
struct Golden {
    lab: Lab,
    /// Those that it builds on.
    over: Vec<String>,
    /// Digests by name.
    names: BTreeMap<String, Digest>,
    /// Every blob with the digest of its plain form, if it is gzip.
    blobs: BTreeMap<Digest, Option<Digest>>,
}

impl Golden {
    const EXPECTED: &str = "EXPECTED";
    const SUMS: &str = "SHA256SUMS";
    /// The archive itself, in the lab.
    const ARCHIVE: &str = "archive";
    const BASE: &str = "base";

    fn place() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("format/testdata/v1")
    }

    /// All of them, by name.
    fn all() -> Vec<String> {
        let entries = fs::read_dir(Self::place()).expect("golden archives").map(|entry| entry.expect("an entry").path());
        let mut names: Vec<String> = entries.filter(|path| path.is_dir()).map(|path| name_of(&path)).collect();
        names.sort();
        names
    }

    fn open(name: &str) -> Self {
        let mut golden = Self { lab: Lab::new(), over: Vec::new(), names: BTreeMap::new(), blobs: BTreeMap::new() };
        let text = fs::read_to_string(Self::place().join(name).join(Self::EXPECTED)).expect("what is expected");
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let digest = |word: &str| word.parse::<Digest>().expect("a digest");
            match words[..] {
                ["over", other] => golden.over.push(other.to_owned()),
                ["name", name, root] => drop(golden.names.insert(name.to_owned(), digest(root))),
                ["blob", blob, _] => drop(golden.blobs.insert(digest(blob), None)),
                ["blob", blob, _, plain] => drop(golden.blobs.insert(digest(blob), Some(digest(plain)))),
                _ => panic!("{name}: {line:?} is no line of {}", Self::EXPECTED),
            }
        }
        golden.copy(name, Self::ARCHIVE);
        golden.over.clone().iter().for_each(|over| golden.copy(over, Self::BASE));
        golden
    }

    fn copy(&self, name: &str, to: &str) {
        let to = self.lab.folder(to);
        fs::create_dir_all(&to).expect("a folder");
        for file in files_of(&Self::place().join(name)) {
            fs::copy(&file, to.join(name_of(&file))).expect("copied");
        }
    }

    fn bases(&self) -> Vec<PathBuf> {
        if self.over.is_empty() { Vec::new() } else { vec![self.lab.folder(Self::BASE)] }
    }

    async fn is_sound(&self) {
        let request = verify::Request {
            places: [Self::ARCHIVE, Self::BASE].iter().map(|name| (self.lab.folder(name), None)).take(1 + self.bases().len()).collect(),
            quick: false,
            complete: false,
            after_write: false,
        };
        let verdict = verify::verify(request, &self.lab.settings).await.expect("a verdict");
        assert_eq!(verify::class(&verdict), Class::Done, "{verdict:?}");
    }

    /// Every blob and every name comes out.
    async fn comes_out(&self) {
        let to = format!("oci:{}", self.lab.path("out"));
        let done = self.lab.sync_with(&[self.lab.path(Self::ARCHIVE)], &to, |request| request.base = self.bases()).await.expect("a run");
        assert_eq!(done.class(), Class::Done, "{:?}", done.report);
        assert_eq!(digests_in(&self.lab.folder("out")), self.blobs.keys().copied().collect());
        assert_eq!(names_in(&self.lab.folder("out")), self.names);
    }

    /// The same by one of the programs that know nothing of ocm: blobs whose encoder it lacks come out by their plain form. Says whether
    /// there are none.
    fn is_restored_by(&self, folder: &Path, script: &str) -> bool {
        let both = self.lab.folder("both");
        fs::create_dir_all(&both).expect("a folder");
        for file in [Self::ARCHIVE, Self::BASE].iter().take(1 + self.bases().len()).flat_map(|name| files_of(&self.lab.folder(name))) {
            fs::copy(&file, both.join(name_of(&file))).expect("copied");
        }
        let out = self.lab.folder(&format!("{script}-out"));
        let _ = fs::remove_dir_all(&out);
        let done = Command::new("python3").arg(folder.join(script)).arg(&both).arg(&out).output().expect("python3 starts");
        let found = digests_in(&out);
        let whole = self.blobs.keys().all(|digest| found.contains(digest));
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(if whole { 0 } else { 3 }), "{script}: {said}");
        for (digest, plain) in &self.blobs {
            assert!(found.contains(digest) || plain.is_some_and(|plain| found.contains(&plain)), "{script}: {digest} is not there: {said}");
        }
        whole
    }

    /// By the programs as they are now, and by those that lie in its volumes.
    fn is_restored(&self) {
        let now = Path::new(env!("CARGO_MANIFEST_DIR")).join("format");
        let then = self.lab.folder("then");
        fs::create_dir_all(&then).expect("a folder");
        let first = files_of(&self.lab.folder(Self::ARCHIVE)).into_iter().find(|path| name_of(path).ends_with(".v001.ocm.tar"));
        let mut unpack = Command::new("tar");
        unpack.arg("-xf").arg(first.expect("a volume")).arg("-C").arg(&then).args(["restore.py", "restore-gzip.py"]);
        let has_programs = unpack.output().expect("tar starts").status.success();
        for script in ["restore.py", "restore-gzip.py"] {
            let whole = self.is_restored_by(&now, script);
            if has_programs && fs::read(now.join(script)).ok() != fs::read(then.join(script)).ok() {
                self.is_restored_by(&then, script);
            }
            if whole {
                // The other one, which has more encoders, would do the same.
                break;
            }
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// The blobs of a layout, each of which must be what its name says.
fn digests_in(layout: &Path) -> BTreeSet<Digest> {
    let digest = |path: &PathBuf| {
        let digest = Digest::of(&fs::read(path).expect("a blob"));
        assert_eq!(digest.hex(), name_of(path));
        digest
    };
    files_of(&layout.join("blobs/sha256")).iter().map(digest).collect()
}

fn names_in(layout: &Path) -> BTreeMap<String, Digest> {
    let index: serde_json::Value = serde_json::from_slice(&fs::read(layout.join("index.json")).expect("an index")).expect("JSON");
    let name = |entry: &serde_json::Value| {
        let name = entry["annotations"]["io.containerd.image.name"].as_str().expect("a name").to_owned();
        (name, entry["digest"].as_str().expect("a digest").parse().expect("a digest"))
    };
    index["manifests"].as_array().expect("a list").iter().map(name).collect()
}

/// What `sha256sum` says of every file of the golden archives.
fn sums(place: &Path) -> String {
    let folders = fs::read_dir(place).expect("a folder").map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    let line = |path: &PathBuf| {
        let digest = Digest::of(&fs::read(path).expect("a file"));
        format!("{}  {}\n", digest.hex(), path.strip_prefix(place).expect("below it").display())
    };
    let mut lines: Vec<String> = folders.flat_map(|folder| files_of(&folder)).map(|path| line(&path)).collect();
    lines.sort_by(|one, other| one[64..].cmp(&other[64..]));
    lines.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn golden_archives_are_only_added_to() {
    if std::env::var_os("UPDATE").is_some() {
        make::what_is_not_there_yet().await;
    }
    let known = fs::read_to_string(Golden::place().join(Golden::SUMS)).expect("sums");
    assert_eq!(sums(&Golden::place()), known, "UPDATE=1 adds what `golden/make.rs` says and is not there; what is there stays as it is");
    assert_eq!(Golden::all(), ["base", "delta-blob", "delta-chain", "delta-chunk", "delta-patch", "parity", "signed", "volumes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_blob_of_every_golden_archive_comes_out_by_every_reader() {
    let programs = ["python3", "zstd", "tar"].iter().all(|name| Tool::path(name).is_some());
    for name in Golden::all() {
        let golden = Golden::open(&name);
        golden.is_sound().await;
        golden.comes_out().await;
        if programs {
            golden.is_restored();
        }
    }
}

/// Takes these volumes of the archive with parity away; it has to be whole again with these patches.
async fn is_repaired(lost: &[&str], with: &[&str]) {
    let golden = Golden::open("parity");
    let archive = golden.lab.folder(Golden::ARCHIVE);
    let volumes = files_of(&archive).into_iter().filter(|path| lost.iter().any(|lost| name_of(path).ends_with(lost)));
    let originals: BTreeMap<PathBuf, Vec<u8>> = volumes.map(|path| (path.clone(), fs::read(path).expect("a volume"))).collect();
    originals.keys().for_each(|path| fs::remove_file(path).expect("removed"));
    let with = with.iter().map(|name| archive.join(name)).collect();
    let request = repair::Request { archive, generation: None, to: None, ticket: None, with };
    let done = repair::repair(request, &golden.lab.settings).await.expect("repaired");
    assert_eq!((done.class(), originals.len()), (Class::Done, lost.len()), "{done:?}");
    originals.iter().for_each(|(path, content)| assert!(fs::read(path).expect("a volume") == *content, "{}", path.display()));
    golden.comes_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_volumes_of_the_golden_archive_with_parity_are_made_again() {
    is_repaired(&[".v001.ocm.tar", ".v006.ocm.tar"], &[]).await;
    is_repaired(&LOST, &["patch"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signed_golden_archive_is_let_in_by_its_trust_file_and_by_minisign() {
    let mut golden = Golden::open("signed");
    golden.lab.demand(&golden.lab.path("archive/trust"), &["builder", "auditor"], &[]);
    golden.comes_out().await;
    let (folder, archive) = (golden.lab.folder("unpacked"), golden.lab.folder(Golden::ARCHIVE));
    let last = files_of(&archive).into_iter().rfind(|path| name_of(path).contains(".v0"));
    crate::signed_sets::stock::unpacked(&last.expect("a volume"), &folder);
    let trust = fs::read_to_string(archive.join("trust")).expect("a trust file");
    let (builder, auditor) = trust.split_once('\n').expect("two lines");
    let key = |line: &str| line.split(' ').next().expect("a key").to_owned();
    fs::rename(archive.join("auditor.minisig"), folder.join("auditor.minisig")).expect("moved");
    let refused = golden.lab.sync(&[golden.lab.path(Golden::ARCHIVE)], &format!("oci:{}", golden.lab.path("other"))).await;
    assert!(refused.expect_err("the approval is gone").to_string().contains("auditor"));
    let Some(mut minisign) = Tool::find("minisign") else { return };
    run(minisign.args(["-V", "-m", "SET.json", "-P", &key(builder)]).current_dir(&folder));
    let mut minisign = Tool::find("minisign").expect("it was there");
    run(minisign.args(["-V", "-m", "SET.json", "-x", "auditor.minisig", "-P", &key(auditor)]).current_dir(&folder));
}
