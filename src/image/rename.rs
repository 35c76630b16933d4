//! [`Rename`]: how an image is called at a destination, where that is not its own name.
//!
//! *Not here:* the names themselves (`place`), where a rename is written down (`config`).

use serde::{Deserialize, Serialize};

/// What of an image's own name is another one at a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rename {
    /// The path of its repository below the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Rename {
    /// Whether it keeps its own name.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
