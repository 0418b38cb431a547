//! Pushes on the command line: who is told of messages that have not reached
//! people, and what.

use anyhow::{Context, bail};
use clap::Args;
use gateway::push::{Endpoint, Secret, Settings};
use std::{fs, path::PathBuf, time::Duration};

/// Who is told of messages that have not reached people, and what.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "a flag is called as its field")]
pub(crate) struct PushArgs {
    /// Where to post, signed, who has no socket open and got a message: an https address, or http on this machine.
    /// Nothing is pushed unless it is given.
    #[arg(long, env = "HERALD_PUSH_URL", value_name = "URL")]
    push_url: Option<Endpoint>,
    /// What pushes are signed with: `whsec_` and the base64 of 24 to 64 random bytes.
    #[arg(long, env = "HERALD_PUSH_SECRET", value_name = "SECRET", hide_env_values = true)]
    push_secret: Option<String>,
    /// A file that holds the secret instead.
    #[arg(long, env = "HERALD_PUSH_SECRET_FILE", value_name = "FILE", conflicts_with = "push_secret")]
    push_secret_file: Option<PathBuf>,
    /// Whether pushes tell the beginning of a text, who wrote it and a group's title, or ids and numbers only.
    #[arg(long, env = "HERALD_PUSH_TEXT", value_enum, default_value_t = crate::args::Switch::Off)]
    push_text: crate::args::Switch,
    /// Seconds whose messages are one push.
    #[arg(
        long,
        env = "HERALD_PUSH_WINDOW",
        default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(1..=300),
        value_name = "SECONDS"
    )]
    push_window: u16,
    /// Hours after which a push that nobody took is dead, and a message is not pushed any more.
    #[arg(
        long,
        env = "HERALD_PUSH_KEEP",
        default_value_t = 24,
        value_parser = clap::value_parser!(u16).range(1..=168),
        value_name = "HOURS"
    )]
    push_keep: u16,
}

impl PushArgs {
    /// What a node is told; `None`: nothing is pushed.
    ///
    /// # Errors
    /// When there is no secret for the address, or one that will not do; never with the secret in it.
    pub(crate) fn settings(&self) -> anyhow::Result<Option<Settings>> {
        let Some(endpoint) = self.push_url.clone() else { return Ok(None) };
        let (secret, from) = match (&self.push_secret, &self.push_secret_file) {
            (Some(secret), _) => (secret.clone(), "--push-secret or HERALD_PUSH_SECRET".to_owned()),
            (None, Some(file)) => {
                let shown = file.display();
                let secret = fs::read_to_string(file)
                    .with_context(|| format!("the secret of pushes cannot be read from {shown}"))?;
                (secret, format!("what is in {shown}"))
            }
            (None, None) => bail!(
                "--push-url needs a secret to sign with: set HERALD_PUSH_SECRET or HERALD_PUSH_SECRET_FILE; \
                 `echo whsec_$(openssl rand -base64 32)` makes one"
            ),
        };
        let secret: Secret = secret.parse().map_err(|error| anyhow::anyhow!("{from} {error}"))?;
        Ok(Some(Settings {
            endpoint,
            secret,
            text: self.push_text == crate::args::Switch::On,
            window: Duration::from_secs(self.push_window.into()),
            again: Settings::AGAIN,
            keep: Duration::from_hours(self.push_keep.into()),
        }))
    }
}
