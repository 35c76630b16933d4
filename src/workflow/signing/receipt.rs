//! [`SignedReceipt`]: a receipt in a file, with the signature that belongs to it: `RECEIPT.minisig` beside it.
//!
//! **Invariants.** A receipt is judged by the very bytes that it is then read by, and signed by the bytes that were made, not by what lies
//! on the disk. Whatever happens to the process, no signature of older content lies beside newer content.
//!
//! *Not here:* what a receipt says (`image`), whose signatures count (`trust`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Authority, Judgement, SecretKey};
use crate::durable::{folder_of, sync_folder, write_whole};
use crate::error::{Error, Result};
use crate::image::{Digest, Receipt};
use crate::store::archive::Holding;
use crate::trust::authority::{Found, Signable, Subject, comment_of_receipt};
use crate::workspace::receipt_document;

/// A receipt, and the signature that belongs to its file.
pub(in crate::workflow) struct SignedReceipt {
    path: PathBuf,
    holding: Holding,
    bytes: Vec<u8>,
    signatures: Vec<Found>,
}

impl SignedReceipt {
    /// The receipt in these bytes of a file.
    pub(in crate::workflow) fn of(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let holding = Holding::parse(&bytes)?;
        let signatures = Found::read(&signature_of(path))?.into_iter().collect();
        Ok(Self { path: path.to_owned(), holding, bytes, signatures })
    }

    /// The receipt itself.
    pub(in crate::workflow) fn receipt(&self) -> &Receipt {
        self.holding.receipt()
    }

    /// The digest of its file: what a signature is of.
    pub(in crate::workflow) fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// What its signatures come to.
    pub(in crate::workflow) fn judge(&self, authority: &Authority) -> Judgement {
        authority.judge(&self.subject())
    }

    fn subject(&self) -> Subject<'_> {
        let scope = &self.receipt().destination;
        let name = format!("receipt {} of {scope}", self.path.display());
        Subject { name, kind: Signable::Receipt, scope, root: self.digest(), bytes: &self.bytes, inside: &self.signatures, beside: &[] }
    }
}

/// Reads the receipt in a file, and refuses one that lacks signatures which are asked for.
pub(in crate::workflow) fn admitted(path: &Path, authority: &Authority) -> Result<Holding> {
    if !authority.is_asked() {
        return Holding::read(path);
    }
    let signed = SignedReceipt::of(path, Holding::bytes_of(path)?).map_err(|error| error.context(path.display()))?;
    authority.check(&signed.subject())?;
    Ok(signed.holding)
}

/// Writes a receipt into a file, signed where there is a key; says which file has the signature then.
///
/// What signed the content before goes first: a run that is killed leaves a receipt without a signature, never one with a wrong one.
pub(in crate::workflow) fn write(receipt: &Receipt, file: &Path, key: Option<&SecretKey>) -> Result<Option<PathBuf>> {
    let bytes = receipt_document(receipt)?;
    remove(&signature_of(file))?;
    write_whole(file, &bytes)?;
    key.map(|key| sign(receipt, file, key)).transpose()
}

/// Signs a receipt that was written into a file of a new name; says which file has the signature.
pub(in crate::workflow) fn sign(receipt: &Receipt, file: &Path, key: &SecretKey) -> Result<PathBuf> {
    let bytes = receipt_document(receipt)?;
    let comment = comment_of_receipt(&Digest::of(&bytes), &receipt.destination);
    let path = signature_of(file);
    write_whole(&path, key.sign(&bytes, &comment).file().as_bytes())?;
    Ok(path)
}

/// The file with the signature of a receipt: where minisign looks for it, too.
fn signature_of(receipt: &Path) -> PathBuf {
    let mut name = receipt.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// Removes a file for good, if it is there.
fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_folder(folder_of(path)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(Error::io(path.display(), &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::trust::authority::Wish;
    use crate::trust::secret::NewKey;

    fn receipt(time: &str) -> Receipt {
        Receipt { destination: "docker://lab:5000/mirror".into(), time: time.into(), items: vec![], manifests: vec![], blobs: vec![] }
    }

    fn key(seed: u8) -> SecretKey {
        SecretKey::new(&NewKey { id: [seed; 8], seed: &[seed; 32] }).expect("a key")
    }

    fn asking(folder: &Path, glob: &str) -> Authority {
        let trust = folder.join("trust");
        std::fs::write(&trust, format!("{} receiver {glob}\n", key(1).public())).expect("a trust file");
        Authority::load(Wish { trust: vec![trust.display().to_string()], ..Wish::default() }).expect("an authority")
    }

    #[test]
    fn what_a_killed_run_leaves_lacks_a_signature_and_has_no_wrong_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("lab.json");
        let signature = write(&receipt("1"), &file, Some(&key(1))).expect("written").expect("signed");
        assert_eq!(signature, folder.path().join("lab.json.minisig"));
        let authority = asking(folder.path(), "*");
        admitted(&file, &authority).expect("signed");
        // Killed between the receipt and its signature, and the same without a key: both lack it.
        std::fs::create_dir(crate::durable::partial_of(&signature)).expect("in the way");
        write(&receipt("2"), &file, Some(&key(1))).expect_err("no signature");
        assert!(!signature.exists());
        assert_eq!(admitted(&file, &authority).expect_err("refused").kind(), Kind::Needed);
        std::fs::remove_dir(crate::durable::partial_of(&signature)).expect("out of the way");
        write(&receipt("3"), &file, Some(&key(1))).expect("written");
        assert_eq!(write(&receipt("4"), &file, None).expect("written"), None);
        assert_eq!(admitted(&file, &authority).expect_err("refused").kind(), Kind::Needed);
        // Killed before the receipt: what is there is as it was, and lacks its signature.
        write(&receipt("5"), &file, Some(&key(1))).expect("written");
        std::fs::create_dir(crate::durable::partial_of(&file)).expect("in the way");
        write(&receipt("6"), &file, Some(&key(1))).expect_err("no receipt");
        assert_eq!(Holding::read(&file).expect("a receipt").receipt().time, "5");
        assert!(!signature.exists());
    }

    #[test]
    fn patterns_of_the_trust_file_are_matched_with_the_destination() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("lab.json");
        write(&receipt("1"), &file, Some(&key(1))).expect("written");
        for (glob, counts) in [
            ("*", true),
            ("docker://lab:5000/*", true),
            ("docker://lab:5000/mirror", true),
            ("lab:5000/mirror", false),
            ("lab* disk mirror", false),
            ("docker://lab:5000", false),
        ] {
            let found = admitted(&file, &asking(folder.path(), glob));
            assert_eq!(found.is_ok(), counts, "{glob}");
            if let Err(error) = found {
                assert_eq!(error.kind(), Kind::Needed);
                assert!(error.way_out().is_some_and(|way| way.contains("docker://lab:5000/mirror")), "{error:?}");
            }
        }
    }
}
