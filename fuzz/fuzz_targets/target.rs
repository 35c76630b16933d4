//! Drives one target by libFuzzer: `OCM_FUZZ_TARGET=header cargo +nightly fuzz run target --features libfuzzer`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ocm_fuzz::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("OCM_FUZZ_TARGET").unwrap_or_default();
    let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    *TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("OCM_FUZZ_TARGET must be one of {known:?}"))
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
