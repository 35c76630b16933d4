//! [`understood`]: what a server makes of the words of a request.
//!
//! *Not here:* the answer (`service`).

use std::ops::Range;

use super::range::stretches;
use super::route::Route;

/// Reads the path and the `Range` of a request as the server does: which bytes of a blob of `size` bytes are asked for. `None` where the
/// path leads nowhere, or the range is refused.
#[must_use]
pub fn understood(path: &str, range: &str, size: u64) -> Option<Vec<Range<u64>>> {
    Route::of(path).ok()?;
    let asked = stretches(range, size).ok()?.unwrap_or_default();
    Some(asked.into_iter().map(|stretch| stretch.start..stretch.end).collect())
}
