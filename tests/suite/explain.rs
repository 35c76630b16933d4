//! What is asked of places before or after a run: which images need a piece.
//!
//! *Not here:* how answers look (unit tests beside `cli::show`), the command line (`cli`).

mod why;
