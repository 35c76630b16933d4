//! Tars as the programs of this world write them.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use ocm_format::chunk::{Class, Shape};
use tempfile::TempDir;

use crate::kit::{Chunk, chunks, content, files, joined, random};

const PYTHON: &str = "import sys, tarfile
with tarfile.open(sys.argv[1], 'w', format=getattr(tarfile, sys.argv[2])) as tar: tar.add(sys.argv[3], 'tree')";

/// A directory with files of all kinds, and where tars of it go.
struct Tree {
    temporary: TempDir,
    contents: Vec<Vec<u8>>,
}

impl Tree {
    /// A tree in which one file has a name of `name_length` bytes, below a directory with a long name too.
    fn new(name_length: usize) -> Self {
        let temporary = TempDir::new().expect("a directory");
        let mut tree = Self { temporary, contents: Vec::new() };
        let deep = if name_length > 60 { "d".repeat(90) } else { "d".into() };
        fs::create_dir_all(tree.path().join(&deep)).expect("directories");
        let name = format!("{deep}/{}", "n".repeat(name_length));
        for (seed, (name, size)) in
            (0..).zip([("a", 1), ("empty", 0), ("block", 512), ("average", 65_536), ("over", 65_537), (&name, 1_000_000), ("é", 700)])
        {
            tree.file(name, &random(seed, size));
        }
        std::os::unix::fs::symlink("block", tree.path().join("symlink")).expect("a link");
        fs::hard_link(tree.path().join("block"), tree.path().join("zzz-hard-link")).expect("a link");
        tree
    }

    fn path(&self) -> PathBuf {
        self.temporary.path().join("tree")
    }

    fn file(&mut self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).expect("a file");
        if !bytes.is_empty() {
            self.contents.push(bytes.to_vec());
        }
    }

    /// Adds a file of two pieces of data around a hole.
    fn sparse_file(&self) {
        let mut file = fs::File::create(self.path().join("sparse")).expect("a file");
        file.write_all(&[1; 4_096]).expect("written");
        file.seek(SeekFrom::Start(1 << 20)).expect("moved");
        file.write_all(&[2; 4_096]).expect("written");
    }

    /// The tar that GNU tar makes of it.
    fn gnu_tar(&self, options: &[&str]) -> Vec<u8> {
        let out = self.temporary.path().join("out.tar");
        run(Command::new("tar").args(options).arg("-C").arg(self.temporary.path()).arg("-cf").arg(&out).arg("tree"));
        fs::read(out).expect("the tar")
    }

    /// The tar that Python makes of it.
    fn python_tar(&self, format: &str) -> Vec<u8> {
        let out = self.temporary.path().join("out.tar");
        run(Command::new("python3").args(["-c", PYTHON]).args([&out, Path::new(format), &self.path()]));
        fs::read(out).expect("the tar")
    }

    /// Checks that the chunks of `blob` are all of it, and that its contents are those of the tree.
    fn check(&self, what: &str, blob: &[u8]) {
        let list = chunks(Shape::Tar, blob);
        assert_eq!(joined(&list), blob, "{what}");
        let (mut found, mut expected) = (files(&list), self.contents.clone());
        found.sort();
        expected.sort();
        assert!(found == expected, "{what}: found contents of {:?} bytes", lengths(&found));
        assert!(ends_as_tar(&list), "{what} was not followed to its end");
    }
}

fn lengths(files: &[Vec<u8>]) -> Vec<usize> {
    files.iter().map(Vec::len).collect()
}

fn ends_as_tar(list: &[Chunk]) -> bool {
    list.last().is_some_and(|(class, bytes)| *class == Class::Skeleton && bytes.ends_with(&[0; 1024]))
}

fn run(command: &mut Command) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether `program --version` speaks of `name`. Without it the test has nothing to do, which CI does not let pass.
fn installed(program: &str, name: &str) -> bool {
    let version = Command::new(program).arg("--version").output();
    let found = version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(name));
    if !found {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{name} is not installed");
        skipped(name);
    }
    found
}

#[expect(clippy::print_stderr, reason = "who runs the tests must see what was not tested")]
fn skipped(name: &str) {
    eprintln!("skipped: {name} is not installed");
}

#[test]
fn gnu_tar_is_followed_in_every_format() {
    if !installed("tar", "GNU tar") {
        return;
    }
    for (format, name_length) in [("v7", 50), ("ustar", 99), ("gnu", 250), ("pax", 250)] {
        let tree = Tree::new(name_length);
        tree.check(format, &tree.gnu_tar(&["--format", format]));
    }
}

#[test]
fn python_is_followed_in_every_format() {
    if !installed("python3", "Python") {
        return;
    }
    for (format, name_length) in [("USTAR_FORMAT", 99), ("GNU_FORMAT", 250), ("PAX_FORMAT", 250)] {
        let tree = Tree::new(name_length);
        tree.check(format, &tree.python_tar(format));
    }
}

#[test]
fn sparse_files_do_not_hide_the_files_after_them() {
    if !installed("tar", "GNU tar") {
        return;
    }
    let tree = Tree::new(50);
    tree.sparse_file();
    for options in [
        ["--sparse", "--format=gnu", "--sort=name"].as_slice(),
        &["--sparse", "--format=pax", "--sort=name", "--sparse-version=0.0"],
        &["--sparse", "--format=pax", "--sort=name", "--sparse-version=0.1"],
        &["--sparse", "--format=pax", "--sort=name", "--sparse-version=1.0"],
    ] {
        let blob = tree.gnu_tar(options);
        let list = chunks(Shape::Tar, &blob);
        let found = files(&list);
        assert_eq!(joined(&list), blob, "{options:?}");
        assert!(tree.contents.iter().all(|file| found.contains(file)), "{options:?}: {:?}", lengths(&found));
        assert!(ends_as_tar(&list), "{options:?} was not followed to its end");
    }
}

#[test]
fn a_rebuild_with_other_times_has_the_same_content_chunks() {
    if !installed("tar", "GNU tar") {
        return;
    }
    let tree = Tree::new(250);
    for format in ["gnu", "pax"] {
        let build = |time| chunks(Shape::Tar, &tree.gnu_tar(&["--sort=name", "--format", format, "--mtime", time, "--owner=0"]));
        let (before, after) = (build("@1500000000"), build("@1700000000.5"));
        assert_eq!(content(&before), content(&after), "{format}");
        assert_ne!(before, after, "{format}");
    }
}
