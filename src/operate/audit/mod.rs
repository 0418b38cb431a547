//! `herald audit`: whether the log is what it was, proofs of that which others check
//! without it, and who did what to whom and when.

mod log;
mod proofs;
mod trail;

use clap::{Args, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Hold every byte of the log against what is kept and signed of it. The exit code is 3 where something differs.
    Verify(log::Verify),
    /// Sign what the log is now: a head for each partition, to be kept where nobody can come who can write to the log.
    Head(log::Heads),
    /// Print the public keys that heads are checked with, one for each partition.
    Key(log::Key),
    /// Keep nothing any more of what a partition was, and sign it as it is: after a loss that was looked into.
    Forget(log::Forget),
    /// Print what somebody did, and what was done to them. That it was read is a fact.
    User(trail::OfUser),
    /// Print what was done in a thread. That it was read is a fact.
    Thread(trail::OfThread),
    /// Prove that an event is in the log, or that the log grew out of an earlier one.
    Proof(proofs::Proof),
    /// Check a proof, with the public key and nothing else: needs no deployment.
    Check(proofs::Check),
}

/// Does it.
///
/// # Errors
/// When the deployment does not answer, or a file will not do.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Verify(verify) => log::verify(verify).await,
        Command::Head(head) => log::head(head).await,
        Command::Key(key) => log::key(key).await,
        Command::Forget(forget) => log::forget(forget).await,
        Command::User(user) => trail::user(user).await,
        Command::Thread(thread) => trail::thread(thread).await,
        Command::Proof(proof) => proofs::prove(proof).await,
        Command::Check(check) => proofs::check(&check),
    }
}
