//! The `herald` program.

use herald::cli::Cli;
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Gives what a wave of password hashes took (19 MiB each) back to the system.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    Cli::read().and_then(Cli::run).unwrap_or_else(|error| herald::cli::report(&error))
}
