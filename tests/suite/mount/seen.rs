//! [`Archive`] and [`Seen`]: an archive that was written, and `ocm mount` of it as a program of its own.
//!
//! **Invariants.** It is unmounted when its value is dropped, whatever became of the program. Where nothing can be mounted, the test says so
//! and is skipped.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::disks::can_mount;
use crate::support::images::{Image, Layout, zoo};
use crate::support::process::Watched;
use crate::workflows::lab::Lab;

/// An archive, and the layout that it was written from.
pub(crate) struct Archive {
    pub(crate) lab: Lab,
    pub(crate) layout: Layout,
}

impl Archive {
    /// An archive of these images by their tags.
    pub(crate) async fn of(images: &[(&str, Image)]) -> Self {
        let layout = Layout::new();
        images.iter().for_each(|(tag, image)| layout.tag(tag, &layout.image(image)));
        Self::written(layout).await
    }

    /// An archive of one image of every kind.
    pub(crate) async fn zoo() -> Self {
        Self::written(zoo().0).await
    }

    pub(crate) async fn written(layout: Layout) -> Self {
        let archive = Self { lab: Lab::new(), layout };
        archive.sync(512 << 20).await;
        archive
    }

    /// The same, in volumes below a cap.
    pub(crate) async fn in_volumes(images: &[(&str, Image)], cap: u64) -> Self {
        let layout = Layout::new();
        images.iter().for_each(|(tag, image)| layout.tag(tag, &layout.image(image)));
        let archive = Self { lab: Lab::new(), layout };
        archive.sync(cap).await;
        archive
    }

    /// Writes a further set with one more image.
    pub(crate) async fn add(&self, tag: &str, image: &Image) {
        self.layout.tag(tag, &self.layout.image(image));
        self.sync(512 << 20).await;
    }

    async fn sync(&self, cap: u64) {
        let from = format!("oci:{}", self.layout.path().display());
        self.lab.sync_with(&[from], &self.path(), |request| request.archive.volume_bytes = cap).await.expect("an archive");
    }

    pub(crate) fn path(&self) -> String {
        self.lab.path("disk")
    }

    /// The repository that images of the layout are in, by the name of its directory.
    pub(crate) fn repository(&self) -> String {
        self.layout.path().file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// The data volumes, in order.
    pub(crate) fn volumes(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path()).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut volumes: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().contains(".v0")).collect();
        volumes.sort();
        volumes
    }
}

/// An archive that is mounted.
pub(crate) struct Seen {
    home: TempDir,
    pub(crate) child: Child,
    /// What it said when it was ready.
    pub(crate) line: String,
}

/// The program, for `arguments`.
pub(crate) fn ocm(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocm"));
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", "/nonexistent").stdin(Stdio::null());
    command
}

pub(crate) fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

impl Seen {
    /// Mounts an archive.
    pub(crate) fn mount(archive: &Archive, options: &[&str]) -> Option<Self> {
        Self::mount_places(&[&archive.path()], options)
    }

    /// Mounts these places.
    pub(crate) fn mount_places(places: &[&str], options: &[&str]) -> Option<Self> {
        let home = tempfile::tempdir().expect("a home");
        std::fs::create_dir(home.path().join("view")).expect("a folder");
        can_mount().then(|| Self::mount_at(home, places, options))
    }

    fn mount_at(home: TempDir, places: &[&str], options: &[&str]) -> Self {
        let view = home.path().join("view").display().to_string();
        let mut command = ocm(&[&["mount"], options, places, &[&view]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ocm runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        if line.is_empty() {
            let mut why = String::new();
            child.stderr.take().expect("a pipe").read_to_string(&mut why).expect("text");
            panic!("it was not mounted: {why}");
        }
        Self { home, child, line }
    }

    /// A path of what is mounted.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.home.path().join("view").join(path)
    }

    /// What is in `.ocm/status`.
    pub(crate) fn status(&self) -> String {
        std::fs::read_to_string(self.at(".ocm/status")).expect("a report")
    }

    /// Sends the program a signal and waits for its end.
    pub(crate) fn end(&mut self, signal: rustix::process::Signal) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
        self.child.wait().expect("an end").code()
    }

    /// Mounts again where a program was killed.
    pub(crate) fn again(self, archive: &Archive) -> Self {
        let home = self.release();
        Self::mount_at(home, &[&archive.path()], &[])
    }

    /// What the program takes.
    pub(crate) fn watched(&self) -> Watched {
        Watched::of(&self.child)
    }

    /// Leaves the mount as it is.
    fn release(mut self) -> TempDir {
        std::mem::replace(&mut self.home, tempfile::tempdir().expect("another home"))
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let _gone = Command::new("umount").args(["-l", "-q"]).arg(self.home.path().join("view")).stderr(Stdio::null()).status();
        let _ended = self.child.kill();
        let _end = self.child.wait();
    }
}
