//! [`Lab`]: folders, settings and requests for one test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ocm::error::Result;
use ocm::image::place::Location;
use ocm::monitor::{Event, Monitor, Silent};
use ocm::store::archive::{Lock, Packing};
use ocm::workflow::Settings;
use ocm::workflow::signing::{Authority, Wish};
use ocm::workflow::sync::{ArchiveOptions, Outcome, Request, merge, sync};
use tempfile::TempDir;

use crate::support::images::{Image, Layout, push};
use crate::support::registry::Registry;

/// A place for the folders of one test, and the settings of its runs.
pub(crate) struct Lab {
    folder: TempDir,
    pub(crate) settings: Settings,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let settings = Settings {
            environment: Default::default(),
            now: 1_700_000_000,
            random: [9; 16],
            workspace: Some(folder.path().join("workspace")),
            jobs: 4,
            threads: 2,
            src: Default::default(),
            dest: Default::default(),
            redirects: Default::default(),
            trust: Default::default(),
            signer: None,
            authority: Default::default(),
            retry_times: 2,
            retry_delay: Some(Duration::from_millis(10)),
            image_timeout: None,
            monitor: Arc::new(Silent),
        };
        Self { folder, settings }
    }

    /// From now on these signatures are asked for.
    pub(crate) fn demand(&mut self, trust: &str, demands: &[&str], approvals: &[&Path]) {
        let demands = demands.iter().map(|demand| demand.parse().expect("a demand")).collect();
        let approvals = approvals.iter().map(|path| path.to_path_buf()).collect();
        self.settings.authority = Authority::load(Wish { trust: vec![trust.to_owned()], demands, approvals }).expect("an authority");
    }

    /// A folder of this test.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text, as a person would write it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder(name).display().to_string()
    }

    /// Puts an image into a registry; says how it is named as a place.
    pub(crate) async fn fill(&self, registry: &Registry, repository: &str, tag: &str, image: &Image) -> String {
        let layout = Layout::new();
        let root = layout.image(image);
        push(&layout, &root, &format!("{}/{repository}", registry.host()), Some(tag)).await;
        format!("docker://{}/{repository}:{tag}", registry.host())
    }

    /// The request that a person makes without any option.
    pub(crate) fn request(&self, from: &[impl AsRef<str>], to: &str) -> Request {
        let place = |text: &str| text.parse::<Location>().expect("a place");
        Request {
            from: from.iter().map(|text| place(text.as_ref())).collect(),
            wishes: None,
            to: place(to),
            all_tags: false,
            platforms: Vec::new(),
            keep_host: false,
            attachments: Default::default(),
            max_nested_paths: None,
            salvage: false,
            allow_older: false,
            base: Vec::new(),
            check_base: false,
            archive: ArchiveOptions {
                volume_bytes: 1 << 30,
                since: None,
                full: false,
                lineage: None,
                only: false,
                refresh: false,
                packing: Packing { level: 3, ..Packing::default() },
                delta: Default::default(),
                parity: None,
                on_volume: None,
                release: false,
            },
            publish: Default::default(),
            dry_run: false,
        }
    }

    /// One run of `sync` without any option.
    pub(crate) async fn sync(&self, from: &[impl AsRef<str>], to: &str) -> Result<Outcome> {
        sync(self.request(from, to), &self.settings).await
    }

    /// One run with options.
    pub(crate) async fn sync_with(&self, from: &[impl AsRef<str>], to: &str, options: impl FnOnce(&mut Request)) -> Result<Outcome> {
        let mut request = self.request(from, to);
        options(&mut request);
        sync(request, &self.settings).await
    }

    /// Makes one base, in an archive of small volumes, of the newest set in these archives; or of the generation that is named.
    pub(crate) async fn merge(&self, from: &[(&str, Option<u32>)], to: &str) -> Result<Outcome> {
        let from = from.iter().map(|(name, generation)| (self.folder(name), *generation)).collect();
        let packing = Packing { level: 3, ..Packing::default() };
        let request = merge::Request { from, to: self.folder(to), lineage: None, volume_bytes: 1 << 20, packing };
        merge::merge(request, &self.settings).await
    }

    /// The volumes, sums and catalogues of an archive by name, and their content.
    pub(crate) fn archive(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let folder = self.folder(name);
        let files = self.snapshot(name).into_iter().filter(|(path, _)| path.parent() == Some(&folder));
        files.map(|(path, content)| (path.file_name().expect("a name").to_string_lossy().into_owned(), content)).collect()
    }

    /// Begins a run and drops it as soon as `stop` says so; waits until nothing of it writes any more.
    pub(crate) async fn cut(&self, request: Request, stop: impl Fn() -> bool) {
        let Location::Archive { path, .. } = request.to.clone() else { panic!("{}: no archive", request.to) };
        let stopped = async {
            for _ in 0..60_000 {
                if stop() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            panic!("{}: it never came so far", path.display());
        };
        tokio::select! {
            ended = sync(request, &self.settings) => panic!("it ended before it was stopped: {ended:?}"),
            () = stopped => {}
        }
        for _ in 0..10_000 {
            if Lock::take(&path, "a test").is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{}: it is still written to", path.display());
    }

    /// The files of a folder, hidden ones too, and their content.
    pub(crate) fn snapshot(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder(name)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => drop(files.insert(path.clone(), std::fs::read(&path).expect("content"))),
                }
            }
        }
        files
    }

    /// Takes the volumes of a set out of an archive.
    pub(crate) fn remove_set(&self, name: &str, generation: u32) {
        let mark = format!(".g{generation:04}-");
        for path in self.snapshot(name).into_keys().filter(|path| path.to_string_lossy().contains(&mark)) {
            std::fs::remove_file(path).expect("removed");
        }
    }
}

/// A monitor that keeps what it is told in words.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<String>>);

impl Heard {
    /// Listens to the runs of `lab` from now on.
    pub(crate) fn of(lab: &mut Lab) -> Arc<Self> {
        let heard = Arc::<Self>::default();
        lab.settings.monitor = heard.clone();
        heard
    }

    /// Whether a note or warning has all of these words.
    pub(crate) fn has(&self, words: &[&str]) -> bool {
        self.lines().iter().any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// Notes and warnings, in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic while it is held").clone()
    }
}

impl Monitor for Heard {
    fn event(&self, event: Event<'_>) {
        if let Event::Note(text) | Event::Warning(text) = event {
            self.0.lock().expect("no panic while it is held").push(text.to_owned());
        }
    }
}
