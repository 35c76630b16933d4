//! What a registry holds.

use crate::cli::figures::{bytes, count};
use crate::cli::safe::safe;
use crate::error::Result;
use crate::workflow::receipt::Outcome;

/// So much that could not be read is named.
const MOST_UNREAD: usize = 5;

/// The receipt itself; or, where it is in a file, what is in it.
pub(in crate::cli) fn text(outcome: &Outcome) -> Result<String> {
    let Some(file) = &outcome.file else {
        return Ok(String::from_utf8_lossy(&outcome.document()?).into_owned() + "\n");
    };
    let receipt = &outcome.receipt;
    let size = receipt.manifests.iter().chain(&receipt.blobs).fold(0u64, |sum, stored| sum.saturating_add(stored.size));
    let (names, blobs) = (count(receipt.items.len(), "name"), count(receipt.blobs.len(), "blob"));
    let file = safe(&file.display().to_string());
    let signed = outcome.signed_by.as_ref().map_or_else(String::new, |key| format!("  signed by {key}\n"));
    Ok(format!(
        "{} · {names} · {} · {blobs} · {}\n  receipt  {file}\n{signed}  next   ocm sync FROM… DIR --since {file}\n",
        safe(&receipt.destination),
        count(receipt.manifests.len(), "manifest"),
        bytes(size),
    ))
}

/// What could not be read, a line each.
pub(in crate::cli) fn unread(outcome: &Outcome) -> Vec<String> {
    let line = |why: &String| format!("warning: the receipt lacks what could not be read: {}\n", safe(why));
    let mut lines: Vec<String> = outcome.unread.iter().take(MOST_UNREAD).map(line).collect();
    if let more @ 1.. = outcome.unread.len().saturating_sub(MOST_UNREAD) {
        lines.push(format!("warning: and {more} more\n"));
    }
    lines
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::image::receipt::{Received, Stored};
    use crate::image::{Digest, Receipt, Role};

    /// A receipt of one image.
    pub(in crate::cli) fn outcome() -> Outcome {
        let (digest, name) = (Digest::of(b"x"), "reg:5000/a:1");
        let stored = Stored { digest, size: 1 << 20, repository: "reg:5000/a".parse().expect("a repository") };
        let name: crate::image::Reference = name.parse().expect("a name");
        let item = Received { origin: name.clone(), name, digest, role: Role::Image, set: Some("00".repeat(16)) };
        let receipt = Receipt {
            destination: "docker://reg:5000".into(),
            time: "2026-11-21T10:00:00Z".into(),
            items: vec![item],
            manifests: vec![stored.clone()],
            blobs: vec![stored],
        };
        let (file, signature, signed_by) = (Some("lab.json".into()), Some("lab.json.minisig".into()), Some("0101010101010101".into()));
        Outcome { receipt, file, signature, signed_by, unread: (0..7).map(|n| format!("r{n}: gone")).collect() }
    }

    #[test]
    fn without_a_file_the_receipt_is_the_result() {
        let outcome = Outcome { file: None, ..outcome() };
        let read: Receipt = serde_json::from_str(&text(&outcome).expect("text")).expect("a receipt");
        assert_eq!(read, outcome.receipt);
    }

    #[test]
    fn with_a_file_the_result_says_what_is_in_it() {
        let outcome = outcome();
        let expected = "docker://reg:5000 · 1 name · 1 manifest · 1 blob · 2 MiB\n  receipt  lab.json\n  signed by 0101010101010101\n  \
                        next   ocm sync FROM… DIR --since lab.json\n";
        assert_eq!(text(&outcome).expect("text"), expected);
        let unsigned = Outcome { signature: None, signed_by: None, ..outcome.clone() };
        assert_eq!(text(&unsigned).expect("text"), expected.replace("  signed by 0101010101010101\n", ""));
        let unread = unread(&outcome);
        assert_eq!((unread.len(), unread[5].as_str()), (6, "warning: and 2 more\n"));
    }
}
