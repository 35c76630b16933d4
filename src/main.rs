//! The program `ocm`: reads the command line, runs it, and ends with its exit code.

mod memory;

use std::process::ExitCode;

fn main() -> ExitCode {
    memory::keep_little();
    ocm::cli::run()
}
