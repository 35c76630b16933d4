//! [`Board`]: how far a run is, gathered from its events.
//!
//! **Invariants.** Constant memory but for a small entry for each image that is under way. Foreign text is made safe
//! as it comes in.
//!
//! *Not here:* how it looks (`bars`, `lines`).

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::cli::safe::safe;
use crate::cli::show;
use crate::monitor::Event;

/// So many news wait to be shown; older ones are left out, and counted.
const MOST_NEWS: usize = 1000;
/// So many images are shown at once.
const MOST_IMAGES: usize = 8;
/// The rate is that of about the last seconds.
const RATE_SPAN: Duration = Duration::from_secs(4);

/// How far a run is.
#[derive(Debug, Default)]
pub(super) struct Board {
    news: VecDeque<News>,
    lost: u64,
    phase: Option<Phase>,
    total_bytes: u64,
    moved_bytes: u64,
    images: BTreeMap<String, Running>,
    begun: u64,
    ended: u64,
    failed: u64,
    rate: Rate,
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    Note(String),
    Warning(String),
    Retry(String),
}

/// A count of things that moves on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phase {
    pub(super) what: String,
    pub(super) done: u64,
    pub(super) total: u64,
}

#[derive(Debug)]
struct Running {
    order: u64,
    bytes: u64,
    moved: u64,
}

/// What is shown of a run at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct View {
    pub(super) phase: Option<Phase>,
    pub(super) total_bytes: u64,
    pub(super) moved_bytes: u64,
    pub(super) bytes_per_second: f64,
    pub(super) images: Vec<ImageView>,
    pub(super) ended: u64,
    pub(super) failed: u64,
}

/// An image that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageView {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) moved: u64,
}

impl Board {
    /// Takes in one event.
    pub(super) fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Note(text) => self.tell(News::Note(safe(text))),
            Event::Warning(text) => self.tell(News::Warning(safe(text))),
            Event::Retry { what, why, attempt } => {
                self.tell(News::Retry(format!("{}: {}, attempt {attempt} follows", safe(what), safe(why))))
            }
            Event::Counted { what, done, total } => self.phase = Some(Phase { what: safe(what), done, total }),
            Event::Planned(planned) => self.tell(News::Note(show::plan::line(&planned))),
            Event::Total { bytes } => self.total_bytes = bytes,
            Event::Started { image, bytes } => self.start(image, bytes),
            Event::Moved { image, bytes } => {
                self.moved_bytes = self.moved_bytes.saturating_add(bytes);
                if let Some(running) = self.images.get_mut(image) {
                    running.moved = running.moved.saturating_add(bytes);
                }
            }
            Event::Ended { image, complete } => {
                self.images.remove(image);
                self.ended += 1;
                self.failed += u64::from(!complete);
            }
        }
    }

    /// What there is to show now; news are handed out once.
    pub(super) fn look(&mut self, now: Instant) -> (Vec<News>, View) {
        let mut news = Vec::new();
        if self.lost > 0 {
            news.push(News::Note(format!("{} earlier messages could not be shown in time", std::mem::take(&mut self.lost))));
        }
        news.extend(self.news.drain(..));
        let mut running: Vec<_> = self.images.iter().collect();
        running.sort_by_key(|(_, running)| running.order);
        let shown = running.into_iter().take(MOST_IMAGES);
        let images = shown.map(|(name, running)| ImageView { name: safe(name), bytes: running.bytes, moved: running.moved });
        let view = View {
            phase: self.phase.clone(),
            total_bytes: self.total_bytes,
            moved_bytes: self.moved_bytes,
            images: images.collect(),
            ended: self.ended,
            failed: self.failed,
            bytes_per_second: self.rate.at(now, self.moved_bytes),
        };
        (news, view)
    }

    fn tell(&mut self, news: News) {
        if self.news.len() == MOST_NEWS {
            self.news.pop_front();
            self.lost += 1;
        }
        self.news.push_back(news);
    }

    fn start(&mut self, image: &str, bytes: u64) {
        self.begun += 1;
        self.images.insert(image.to_owned(), Running { order: self.begun, bytes, moved: 0 });
    }
}

impl View {
    /// Whether bytes are moving, or did.
    pub(super) fn moves(&self) -> bool {
        self.total_bytes > 0 || self.moved_bytes > 0
    }

    /// How long the rest takes at this rate, where that can be said.
    pub(super) fn left(&self) -> Option<Duration> {
        let rest = self.total_bytes.checked_sub(self.moved_bytes).filter(|rest| *rest > 0)?;
        (self.bytes_per_second >= 1.0).then(|| Duration::from_secs((rest as f64 / self.bytes_per_second) as u64))
    }
}

/// A rate that follows what happens, smoothly.
#[derive(Debug, Default)]
struct Rate {
    last: Option<(Instant, u64)>,
    bytes_per_second: f64,
}

impl Rate {
    fn at(&mut self, now: Instant, bytes: u64) -> f64 {
        let Some((then, before)) = self.last else {
            self.last = (bytes > 0).then_some((now, bytes));
            return 0.0;
        };
        let span = now.saturating_duration_since(then);
        if span >= Duration::from_millis(100) {
            let fresh = bytes.saturating_sub(before) as f64 / span.as_secs_f64();
            let old = (-span.as_secs_f64() / RATE_SPAN.as_secs_f64()).exp();
            let old = if self.bytes_per_second == 0.0 { 0.0 } else { old };
            self.bytes_per_second = self.bytes_per_second * old + fresh * (1.0 - old);
            self.last = Some((now, bytes));
        }
        self.bytes_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_has_what_is_under_way() {
        let mut board = Board::default();
        board.take(Event::Total { bytes: 300 });
        for image in ["b", "a\u{1b}", "c"] {
            board.take(Event::Started { image, bytes: 100 });
            board.take(Event::Moved { image, bytes: 50 });
        }
        board.take(Event::Ended { image: "c", complete: false });
        let (_, view) = board.look(Instant::now());
        let names: Vec<_> = view.images.iter().map(|image| (image.name.as_str(), image.moved)).collect();
        assert_eq!(names, [("b", 50), ("a\\u{1b}", 50)]);
        assert_eq!((view.moved_bytes, view.ended, view.failed), (150, 1, 1));
    }

    #[test]
    fn news_are_handed_out_once_and_bounded() {
        let mut board = Board::default();
        (0..MOST_NEWS + 2).for_each(|_| board.take(Event::Warning("x")));
        let (news, _) = board.look(Instant::now());
        assert_eq!(news.len(), MOST_NEWS + 1);
        assert_eq!(news[0], News::Note("2 earlier messages could not be shown in time".into()));
        assert_eq!(board.look(Instant::now()).0, []);
    }

    #[test]
    fn the_rate_follows_and_tells_what_is_left() {
        let mut board = Board::default();
        board.take(Event::Total { bytes: 10_000 });
        let begin = Instant::now();
        for second in 0..20 {
            board.take(Event::Moved { image: "a", bytes: 100 });
            let (_, view) = board.look(begin + Duration::from_secs(second));
            if second > 1 {
                assert!((99.0..101.0).contains(&view.bytes_per_second), "{view:?}");
            }
        }
        let (_, view) = board.look(begin + Duration::from_secs(20));
        assert!(view.left().is_some_and(|left| left > Duration::from_secs(79)), "{view:?}");
    }
}
