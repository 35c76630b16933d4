//! [`Bars`]: progress on a terminal: a bar for each image under way, and one for all.
//!
//! **Invariants.** News stand above the bars and stay; the bars go.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Face;
use super::board::{ImageView, News, Phase, View};
use crate::cli::console::painted;
use crate::cli::figures;

/// Draws on stderr.
pub(super) struct Bars {
    all: MultiProgress,
    images: BTreeMap<String, ProgressBar>,
    total: Option<ProgressBar>,
    phase: Option<ProgressBar>,
    coloured: bool,
}

impl Bars {
    pub(super) fn new(coloured: bool) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        Self { all, images: BTreeMap::new(), total: None, phase: None, coloured }
    }

    fn tell(&self, news: &News) {
        let text = match news {
            News::Note(text) => text.clone(),
            News::Warning(text) => painted(&format!("warning: {text}"), self.coloured),
            News::Retry(text) if self.coloured => format!("\u{1b}[2mretry: {text}\u{1b}[0m"),
            News::Retry(text) => format!("retry: {text}"),
        };
        // A terminal that went away is nothing that a run should end for.
        let _gone = self.all.println(text);
    }

    /// Shows a count while nothing moves yet.
    fn show_phase(&mut self, phase: Option<&Phase>) {
        let Some(phase) = phase else { return clear(self.phase.take()) };
        let bar = self.phase.get_or_insert_with(|| self.all.add(bar(" {msg}")));
        bar.set_message(format!("{:<16} {}/{}", phase.what, phase.done, phase.total));
    }

    fn show_images(&mut self, images: &[ImageView]) {
        let ended = self.images.extract_if(.., |name, _| !images.iter().any(|image| image.name == *name));
        ended.for_each(|(_, bar)| clear(Some(bar)));
        for image in images {
            let (all, total) = (&self.all, self.total.as_ref());
            let bar = self.images.entry(image.name.clone()).or_insert_with(|| {
                let bar = bar(" {spinner} {prefix:40!} [{bar:20}] {msg}");
                let bar = match total {
                    Some(total) => all.insert_before(total, bar),
                    None => all.add(bar),
                };
                bar.set_prefix(end_of(&image.name, 40));
                bar
            });
            advance(bar, image.moved, image.bytes);
            bar.set_message(format!("{} / {}", figures::bytes(image.moved), figures::bytes(image.bytes)));
            bar.tick();
        }
    }

    fn show_total(&mut self, view: &View) {
        let bar = self.total.get_or_insert_with(|| self.all.add(bar("   total [{bar:32}] {msg}")));
        advance(bar, view.moved_bytes, view.total_bytes);
        let left = view.left().map_or(String::new(), |left| format!("   {} left", figures::span(left)));
        let (moved, total) = (figures::bytes(view.moved_bytes), figures::bytes(view.total_bytes));
        bar.set_message(format!("{moved} / {total}   {}{left}", figures::rate(view.bytes_per_second)));
    }
}

impl Face for Bars {
    fn show(&mut self, news: &[News], view: &View) {
        news.iter().for_each(|news| self.tell(news));
        self.show_phase(view.phase.as_ref().filter(|_| !view.moves()));
        if view.moves() {
            self.show_total(view);
        }
        self.show_images(&view.images);
    }

    fn close(&mut self) {
        let _gone = self.all.clear();
    }
}

/// A bar that is drawn when it is told to, not by a thread of its own.
fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::no_length().with_style(style.progress_chars("=> "))
}

fn advance(bar: &ProgressBar, moved: u64, bytes: u64) {
    bar.set_length(bytes.max(moved).max(1));
    bar.set_position(moved);
}

fn clear(bar: Option<ProgressBar>) {
    bar.iter().for_each(ProgressBar::finish_and_clear);
}

/// The last `most` characters: in names of images, the end tells more.
fn end_of(name: &str, most: usize) -> String {
    let length = name.chars().count();
    if length <= most {
        return name.to_owned();
    }
    std::iter::once('…').chain(name.chars().skip(length - most + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_name_the_end_is_shown() {
        assert_eq!(end_of("quay.io/a:1", 40), "quay.io/a:1");
        assert_eq!(end_of("quay.io/organisation/application:1.2", 12), "…ication:1.2");
    }

    #[test]
    fn every_template_is_one() {
        for template in [" {msg}", " {spinner} {prefix:40!} [{bar:20}] {msg}", "   total [{bar:32}] {msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
