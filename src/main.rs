//! The `herald` program.

use clap::Parser;
use herald::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    Cli::parse().run().unwrap_or_else(|error| herald::cli::report(&error))
}
