//! [`Seal`]: how a set gets its signature (SPEC section 8).
//!
//! **Invariants.** What a signature says is opaque here: bytes that stand behind SET.json, in the last volume and in the catalogue alike.
//!
//! *Not here:* keys, and whether a signature is right.

use std::fmt;
use std::sync::Arc;

use crate::codec::length;
use crate::error::{Result, cap};
use crate::set::SetManifest;
use crate::tail::MAX_SIGNATURE_BYTES;

/// Makes the signature of a set, given what SET.json says and its bytes. Its length must not depend on sizes and roots.
pub type Sign = dyn Fn(&SetManifest, &[u8]) -> Result<Vec<u8>> + Send + Sync;

/// How a set gets its signature.
#[derive(Clone, Default)]
pub enum Seal {
    /// Not at all.
    #[default]
    None,
    /// It is made when the set ends. That must be deterministic: the set is the same bytes whenever it is written.
    Made(Arc<Sign>),
    /// It is there already, of a set that is written once more.
    Kept(Vec<u8>),
}

impl Seal {
    /// The content of `SET.json.minisig`; `None` where there is none.
    pub(super) fn signature(&self, manifest: &SetManifest, set_json: &[u8]) -> Result<Option<Vec<u8>>> {
        let signature = match self {
            Self::None => return Ok(None),
            Self::Made(sign) => sign(manifest, set_json)?,
            Self::Kept(signature) => signature.clone(),
        };
        cap(length(&signature), MAX_SIGNATURE_BYTES, "signature of the set")?;
        Ok(Some(signature))
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Made(_) => "Made",
            Self::Kept(_) => "Kept",
        })
    }
}
