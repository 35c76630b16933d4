//! [`Watch`]: sets that appear while an archive is served, and are served from then on.
//!
//! **Invariants.** Files that still change are waited for. A new set is served only after every byte of it was checked; until then, and
//! if it is not sound, all stays as it was. The same state of the files is judged once.
//!
//! *Not here:* what is served of it (`serve`), files that go (`Inside`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::signing::{Authority, NamedSet};
use super::super::verify::{self, class, verify};
use super::super::{Settings, blocking, shelf};
use crate::error::Result;
use crate::monitor::{Event, Silent};
use crate::serve::Current;
use crate::store::archive::{Meant, OpenSets, SetFacts};
use crate::transfer::Class;
use crate::workspace::Workspace;

/// How often the directories are looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// What is watched for.
pub(super) struct Watch {
    meant: Meant,
    settings: Settings,
    known: BTreeSet<String>,
    /// The state of the files that was judged last.
    judged: Files,
}

/// All files of the watched directories, with size and time.
type Files = BTreeSet<(PathBuf, u64, Option<SystemTime>)>;

/// Watches for ever, if there is anything to watch.
pub(super) async fn all(watch: Option<Watch>, current: &Arc<Current>) {
    let Some(mut watch) = watch else { return std::future::pending().await };
    let mut before = watch.judged.clone();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now = watch.files().await;
        if now == before && now != watch.judged {
            watch.judged = now.clone();
            if let Err(error) = watch.take(current).await {
                watch.settings.monitor.event(Event::Warning(&format!("looking for new sets: {error}")));
            }
        }
        before = now;
    }
}

impl Watch {
    /// Watches for sets other than those that are `opened`.
    pub(super) fn new(meant: Meant, opened: &OpenSets, settings: &Settings) -> Self {
        let (known, judged) = (opened.sets.iter().map(name).collect(), files(&meant.places));
        Self { meant, settings: settings.clone(), known, judged }
    }

    async fn files(&self) -> Files {
        let places = self.meant.places.clone();
        blocking(move || Ok(files(&places))).await.unwrap_or_default()
    }

    /// Shows the sets that are there now, if any of them is new and all of those are sound.
    async fn take(&mut self, current: &Arc<Current>) -> Result<()> {
        let meant = self.meant.clone();
        let opened = blocking(move || meant.open()).await?;
        let new: Vec<&SetFacts> = opened.sets.iter().filter(|set| !self.known.contains(&name(set))).collect();
        for set in &new {
            if !self.is_sound(set).await? {
                let text = format!("{} is not served: it is damaged; `ocm verify` says where", NamedSet::of(set));
                self.settings.monitor.event(Event::Warning(&text));
                return Ok(());
            }
        }
        if !new.is_empty() {
            current.show(opened.inside.clone());
            self.known = opened.sets.iter().map(name).collect();
            let names: Vec<String> = new.iter().map(|set| NamedSet::of(set).to_string()).collect();
            let text = format!("{} images are served now, with {}", current.images(), names.join(", "));
            self.settings.monitor.event(Event::Note(&text));
        }
        Ok(())
    }

    /// Checks all files of a set, wherever they lie.
    async fn is_sound(&self, set: &SetFacts) -> Result<bool> {
        let workspace = Workspace::new(self.settings.workspace());
        let quiet = Settings { monitor: Arc::new(Silent), authority: Authority::default(), ..self.settings.clone() };
        for (path, _) in &self.meant.places {
            if shelf(path, &workspace)?.set(set.manifest.set).is_none() {
                continue;
            }
            let request = verify::Request {
                places: vec![(path.clone(), Some(set.manifest.generation))],
                quick: false,
                complete: false,
                after_write: false,
            };
            // What lies at another of the places is missing at this one.
            if !matches!(class(&verify(request, &quiet).await?), Class::Done | Class::Needed) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What tells a set from all others.
fn name(set: &SetFacts) -> String {
    set.root.to_string()
}

fn files(places: &[(PathBuf, Option<u32>)]) -> Files {
    places.iter().flat_map(|(path, _)| listed(path)).collect()
}

/// The files of a directory; none where it cannot be read now.
fn listed(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |entry: std::fs::DirEntry| {
        let data = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some((entry.path(), data.len(), data.modified().ok()))
    };
    entries.filter_map(file).collect()
}
