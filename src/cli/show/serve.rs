//! What is served, as text.

use crate::cli::safe::safe;
use crate::workflow::label;
use crate::workflow::serve::Ready;
use crate::workflow::signing::NamedSet;

/// The line that says that requests are answered; with TLS, how the server is told from others.
#[must_use]
pub(in crate::cli) fn text(ready: &Ready) -> String {
    let images = if ready.images == 1 { "1 image".to_owned() } else { format!("{} images", ready.images) };
    let sets = match ready.sets.as_slice() {
        [one] => format!("set {}", one.generation),
        sets => format!("{} sets", sets.len()),
    };
    let line = format!("serving {images} of {sets} at {} (read-only)\n", safe(&ready.url));
    let certificate = ready.fingerprint.as_ref().map_or(String::new(), |fingerprint| format!("  certificate  SHA-256 {fingerprint}\n"));
    line + &certificate + &roots(&ready.sets)
}

/// The roots of sets, each on a line, as labels have them.
pub(in crate::cli) fn roots(sets: &[NamedSet]) -> String {
    let line = |set: &NamedSet| format!("  root   {}   set {} of \"{}\"\n", label(&set.root), set.generation, safe(&set.lineage));
    sets.iter().map(line).collect()
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::image::Digest;

    pub(in crate::cli) fn ready(generations: &[u32]) -> Ready {
        let set = |generation: &u32| NamedSet { lineage: "disk".into(), generation: *generation, root: Digest::of(b"root") };
        Ready {
            url: "https://127.0.0.1:5000".into(),
            fingerprint: Some("AB:CD".into()),
            images: 12,
            sets: generations.iter().map(set).collect(),
        }
    }

    #[test]
    fn the_ready_line_says_what_is_served_and_where() {
        let root = |generation: u32| format!("  root   {}   set {generation} of \"disk\"\n", label(&Digest::of(b"root")));
        let expected =
            format!("serving 12 images of set 2 at https://127.0.0.1:5000 (read-only)\n  certificate  SHA-256 AB:CD\n{}", root(2));
        assert_eq!(text(&ready(&[2])), expected);
        let plain = Ready { fingerprint: None, images: 1, ..ready(&[2, 1]) };
        let expected = format!("serving 1 image of 2 sets at https://127.0.0.1:5000 (read-only)\n{}{}", root(2), root(1));
        assert_eq!(text(&plain), expected);
    }
}
