//! What is served, as text.

use crate::cli::safe::safe;
use crate::workflow::serve::Ready;

/// The line that says that requests are answered; with TLS, how the server is told from others.
#[must_use]
pub(in crate::cli) fn text(ready: &Ready) -> String {
    let images = if ready.images == 1 { "1 image".to_owned() } else { format!("{} images", ready.images) };
    let sets = match ready.sets.as_slice() {
        [one] => format!("set {}", one.generation),
        sets => format!("{} sets", sets.len()),
    };
    let line = format!("serving {images} of {sets} at {} (read-only)\n", safe(&ready.url));
    match &ready.fingerprint {
        None => line,
        Some(fingerprint) => format!("{line}  certificate  SHA-256 {fingerprint}\n"),
    }
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::workflow::serve::ServedSet;

    pub(in crate::cli) fn ready(generations: &[u32]) -> Ready {
        let set = |generation: &u32| ServedSet { lineage: "disk".into(), generation: *generation };
        Ready {
            url: "https://127.0.0.1:5000".into(),
            fingerprint: Some("AB:CD".into()),
            images: 12,
            sets: generations.iter().map(set).collect(),
        }
    }

    #[test]
    fn the_ready_line_says_what_is_served_and_where() {
        let expected = "serving 12 images of set 2 at https://127.0.0.1:5000 (read-only)\n  certificate  SHA-256 AB:CD\n";
        assert_eq!(text(&ready(&[2])), expected);
        let plain = Ready { fingerprint: None, images: 1, ..ready(&[2, 1]) };
        assert_eq!(text(&plain), "serving 1 image of 2 sets at https://127.0.0.1:5000 (read-only)\n");
    }
}
