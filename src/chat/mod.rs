//! `herald chat`: somebody at a terminal, or a script in their place. A client of
//! the contract alone, over REST and one socket: it knows no room of the house.
//! What is decided is in pure files (`session`, `outbox`, `known`, `typed`,
//! `shown`); `conversation` carries it out.

mod account;
mod conversation;
mod deeds;
mod frame;
mod known;
mod outbox;
mod rest;
mod screen;
mod session;
mod showing;
mod shown;
mod typed;
mod wire;

pub(crate) use rest::{Answer, Rest};

use crate::{cli::pin_stop, operate::INTERRUPTED};
use account::Account;
use anyhow::{Context, bail};
use clap::Args;
use conversation::Conversation;
use screen::Screen;
use std::{
    fs,
    io::{self, ErrorKind, IsTerminal, stdin},
    path::PathBuf,
    process::ExitCode,
};
use uuid::Uuid;

/// Chat from a terminal, or from a script: what is typed is sent, line by line, and what others write is printed.
///
/// In a pipe it ends at the end of input, once all lines are acknowledged: 0 if each was sent and done, else 1.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where herald serves.
    #[arg(long, env = "HERALD_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,
    /// Who you are.
    #[arg(long = "as", value_name = "USERNAME")]
    username: String,
    /// Your password: better in the variable or in a file, as others on this machine may see a command line. Without
    /// any, it is asked for.
    #[arg(long, env = "HERALD_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    password: Option<String>,
    /// A file that holds your password.
    #[arg(long, env = "HERALD_PASSWORD_FILE", conflicts_with = "password", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Signs you up first, under that display name.
    #[arg(long, value_name = "NAME")]
    sign_up: Option<String>,
    /// Opens the conversation with somebody.
    #[arg(long, value_name = "USERNAME", conflicts_with_all = ["thread", "group"])]
    with: Option<String>,
    /// Opens a conversation by its id.
    #[arg(long, value_name = "ID", conflicts_with = "group")]
    thread: Option<Uuid>,
    /// Begins a group with that title.
    #[arg(long, value_name = "TITLE")]
    group: Option<String>,
    /// Who else is in the new group, with commas between them.
    #[arg(long, value_name = "USERNAMES", value_delimiter = ',', requires = "group")]
    members: Vec<String>,
    /// Stays after the end of input until so many messages of others were shown, unread ones included: of the
    /// conversation that is open, or of all.
    #[arg(long, default_value_t = 0, value_name = "MESSAGES")]
    wait_for: u32,
    /// Tells how far your messages have come.
    #[arg(long)]
    ticks: bool,
}

/// What is open at first.
enum Opening {
    Nothing,
    With(String),
    Thread(Uuid),
    Group(String, Vec<String>),
}

/// Chats until the end of input.
///
/// # Errors
/// When herald does not answer or lets nobody in, or ends the session.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let password = options.password()?;
    let Options { url, username, sign_up, with, thread, group, members, wait_for, ticks, .. } = options;
    let opening = match (with, thread, group) {
        (Some(with), ..) => Opening::With(with),
        (_, Some(thread), _) => Opening::Thread(thread),
        (.., Some(title)) => Opening::Group(title, members),
        (None, None, None) => Opening::Nothing,
    };
    let account = Account::enter(Rest::new(&url)?, &username, &password, sign_up.as_deref()).await?;
    let stop = pin_stop()?;
    let mut conversation = Conversation::new(account, Screen::new(), wait_for, ticks);
    let outcome = tokio::select! {
        outcome = conversation.run(opening) => outcome,
        () = stop => Ok(ExitCode::from(INTERRUPTED)),
    };
    conversation.leave().await;
    match outcome {
        // Who reads no more has had enough.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) => {
            Ok(ExitCode::SUCCESS)
        }
        outcome => outcome,
    }
}

impl Options {
    fn password(&self) -> anyhow::Result<String> {
        if let Some(password) = &self.password {
            return Ok(password.clone());
        }
        if let Some(file) = &self.password_file {
            let shown = file.display();
            let text = fs::read_to_string(file).with_context(|| format!("no password can be read from {shown}"))?;
            return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        if !stdin().is_terminal() {
            bail!("there is no password: set HERALD_PASSWORD, or give --password-file");
        }
        let password = rpassword::prompt_password(format!("Password of {}: ", self.username))?;
        if self.sign_up.is_some() && rpassword::prompt_password("Once more: ")? != password {
            bail!("these are two passwords");
        }
        Ok(password)
    }
}
