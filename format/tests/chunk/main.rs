//! The chunker from outside: where it cuts, and that it loses nothing.

mod golden;
mod kit;
mod malformed;
mod producers;
mod properties;
mod tars;
