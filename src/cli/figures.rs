//! Figures as people read them: bytes, rates, spans of time, counts.
//!
//! **Invariants.** Three significant digits at the most; binary units, always named.
//!
//! *Not here:* reading what a person typed (`sizes`, `durations`).

use std::time::Duration;

/// `1.84 GiB`
#[must_use]
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    // What would be printed as 1000 or more is the next unit's, up to the last one.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    let number = format!("{value:.digits$}");
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number} {}", UNITS[unit])
}

/// `71 MiB/s`
#[must_use]
pub(super) fn rate(bytes_per_second: f64) -> String {
    format!("{}/s", bytes(bytes_per_second.max(0.0) as u64))
}

/// The rate at which `count` bytes went in `span`.
#[must_use]
pub(super) fn rate_of(count: u64, span: Duration) -> String {
    rate(count as f64 / span.as_secs_f64().max(1e-3))
}

/// `20 s`, `4 min`, `2 h 10 min`
#[must_use]
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6000 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1 image`, `12 images`
#[must_use]
pub(super) fn count(number: impl TryInto<u64>, thing: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// `1,203`
#[must_use]
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// `1, 2, 5`; of many, the first ones and how many more.
#[must_use]
pub(super) fn numbers(list: &[u32]) -> String {
    const MOST: usize = 10;
    let shown: Vec<String> = list.iter().take(MOST).map(u32::to_string).collect();
    let rest = list.len().saturating_sub(MOST);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (64 << 20, "64 MiB"),
            (1_975_684_956, "1.84 GiB"),
            (1023 << 20, "1 GiB"),
            (999 << 20, "999 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn spans_and_counts_are_short() {
        assert_eq!([0, 99, 100, 6000].map(|seconds| span(Duration::from_secs(seconds))), ["0 s", "99 s", "2 min", "1 h 40 min"]);
        assert_eq!([count(0u64, "image"), count(1usize, "image"), count(2u32, "image")], ["0 images", "1 image", "2 images"]);
        assert_eq!([0, 999, 1203, 1_000_000].map(grouped), ["0", "999", "1,203", "1,000,000"]);
        assert_eq!(rate_of(10 << 20, Duration::from_secs(2)), "5 MiB/s");
        assert_eq!(numbers(&(1..=12).collect::<Vec<_>>()), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
    }
}
