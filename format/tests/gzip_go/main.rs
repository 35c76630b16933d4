//! Gzip of programs written in Go: known outputs, what real ones write, and what holds for any input.

mod encoders;
mod golden;
mod inputs;
mod producers;
mod properties;
