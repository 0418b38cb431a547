//! The `herald` program.

use herald::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    Cli::read().and_then(Cli::run).unwrap_or_else(|error| herald::cli::report(&error))
}
