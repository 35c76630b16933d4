//! [`ReceiptVerdict`]: whether a file is a receipt, and what its signatures come to.
//!
//! **Invariants.** A receipt that cannot be read is a stranger, as a file is that should be a volume and is none.
//!
//! *Not here:* what a receipt says (`image`), where its signatures lie (`signing`).

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::weight;
use crate::error::Result;
use crate::image::Digest;
use crate::store::archive::Holding;
use crate::store::archive::listing::FileNote;
use crate::transfer::Class;
use crate::workflow::signing::receipt::SignedReceipt;
use crate::workflow::signing::{Authority, Checked, Judgement};

/// So many bytes are looked at to tell a document from a volume that is damaged.
const BEGINNING: u64 = 64;

/// What was found of a receipt.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptVerdict {
    /// The file.
    pub path: PathBuf,
    /// What it is of.
    pub destination: String,
    /// Its time, RFC 3339 in UTC.
    pub time: String,
    /// The SHA-256 of the file: what a signature is of.
    pub digest: Digest,
    /// Its signatures and approvals.
    pub signatures: Vec<Checked>,
    /// What lacks of what was asked for.
    pub lacking: Vec<String>,
    /// What that comes to.
    pub class: Class,
}

/// Whether a file can only be a receipt: it is no volume, and begins as a document does. A volume whose header is lost is none.
pub(super) fn is_meant(path: &Path) -> bool {
    let mut beginning = Vec::new();
    let read = |file: File| file.take(BEGINNING).read_to_end(&mut beginning);
    Holding::is_meant(path) && File::open(path).and_then(read).is_ok() && beginning.trim_ascii_start().starts_with(b"{")
}

/// Looks at receipts; those that cannot be read come second.
pub(super) fn look(paths: &[PathBuf], authority: &Authority) -> Result<(Vec<ReceiptVerdict>, Vec<FileNote>)> {
    let (mut receipts, mut strangers) = (Vec::new(), Vec::new());
    for path in paths {
        match SignedReceipt::of(path, Holding::bytes_of(path)?) {
            Ok(signed) => receipts.push(verdict(path, &signed, authority)),
            Err(error) => strangers.push(FileNote { path: path.clone(), why: error.to_string() }),
        }
    }
    Ok((receipts, strangers))
}

fn verdict(path: &Path, signed: &SignedReceipt, authority: &Authority) -> ReceiptVerdict {
    let judged = signed.judge(authority);
    let class = weight(judged.is_damaged(), &judged.lacking);
    let Judgement { signatures, lacking } = judged;
    let (receipt, digest) = (signed.receipt(), signed.digest());
    let (destination, time) = (receipt.destination.clone(), receipt.time.clone());
    ReceiptVerdict { path: path.to_owned(), destination, time, digest, signatures, lacking, class }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_told_from_a_volume_without_its_header() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for (content, is_receipt) in [(&b"{}"[..], true), (b" \n{", true), (b"", false), (b"disk.ocm", false), (&[0; 9000], false)] {
            std::fs::write(&path, content).expect("a file");
            assert_eq!(is_meant(&path), is_receipt, "{content:?}");
        }
        assert!(!is_meant(folder.path()) && !is_meant(&folder.path().join("nowhere")));
    }
}
