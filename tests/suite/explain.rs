//! What is asked of places before or after a run: which images need a piece, how two places differ.
//!
//! *Not here:* how answers look (unit tests beside `cli::show`), the command line (`cli`).

mod diff;
mod files;
mod why;
