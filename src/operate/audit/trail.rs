//! Who did what to whom and when, for an operator to read; that they do is told
//! first, and stands in what they read.

use crate::operate::{Attended, Deployment, operators, printable};
use anyhow::{Context, bail};
use clap::Args;
use command::{Operators, operators::Operator};
use events::{EventLog, Position, ThreadId, UserId, name::Username, shard::Map};
use query::{
    View, Views,
    audit::{Deed, Trail},
};
use serde_json::json;
use std::{
    collections::HashMap,
    io::{Write, stdout},
    process::ExitCode,
    time::Duration,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// To each database.
const CONNECTIONS: u32 = 2;
/// Deeds that are read at once.
const PAGE: u16 = 500;
/// How long it is waited until the view has what was just told.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Whom nobody blocks.
const NOBODY: UserId = UserId::from_uuid(Uuid::nil());

#[derive(Debug, Args)]
struct Reader {
    #[command(flatten)]
    deployment: Deployment,
    /// The token of the operator who reads, of `herald operator add`.
    #[arg(long, env = "HERALD_OPERATOR_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    operator_token: String,
    /// Print JSON, one deed a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct OfUser {
    /// The username, or the id.
    user: String,
    #[command(flatten)]
    reader: Reader,
}

#[derive(Debug, Args)]
pub(super) struct OfThread {
    /// The thread's id.
    thread: ThreadId,
    #[command(flatten)]
    reader: Reader,
}

/// Who reads, and where from.
struct Room {
    log: EventLog,
    operators: Operators,
    reader: Operator,
    views: Views,
    /// What people and operators are called, as far as it was looked up.
    names: HashMap<UserId, Option<String>>,
    json: bool,
}

/// # Errors
/// When the deployment does not answer, the token is no operator's, or there is no such person.
pub(super) async fn user(options: OfUser) -> anyhow::Result<ExitCode> {
    let room = Room::enter(options.reader).await?;
    let user_id = room.person(&options.user).await?;
    let told = room.operators.audit_user(room.reader.operator_id, user_id).await?;
    room.print(Trail::User(user_id), told).await
}

/// # Errors
/// When the deployment does not answer, or the token is no operator's.
pub(super) async fn thread(options: OfThread) -> anyhow::Result<ExitCode> {
    let room = Room::enter(options.reader).await?;
    let told = room.operators.audit_thread(room.reader.operator_id, options.thread).await?;
    room.print(Trail::Thread(options.thread), told).await
}

impl Room {
    async fn enter(reader: Reader) -> anyhow::Result<Self> {
        let Reader { deployment, operator_token, json } = reader;
        let Attended { log, database_url } = deployment.attend().await?;
        let operators = operators::open(&log).await?;
        let Some(reader) = operators.authenticate(&operator_token).await? else {
            bail!("the token is no operator's: `herald operator add` makes one");
        };
        let views = Views::new(log.names(), &Map::of(&database_url), CONNECTIONS)?;
        Ok(Self { log, operators, reader, views, names: HashMap::new(), json })
    }

    async fn person(&self, who: &str) -> anyhow::Result<UserId> {
        if let Ok(user_id) = who.parse() {
            return Ok(user_id);
        }
        let nobody = || format!("nobody is called {}", printable(who));
        let name = Username::parse(who).ok().with_context(nobody)?;
        let found = self.views.user_by_username(NOBODY, name.as_str()).await?;
        Ok(found.value.with_context(nobody)?.user_id)
    }

    /// Prints a trail as of now: with what was just told, and all else that was done by then.
    async fn print(mut self, trail: Trail, told: Position) -> anyhow::Result<ExitCode> {
        let (mut end, deadline) = (self.log.end().await?, Instant::now() + PATIENCE);
        end.raise(told);
        while !self.views.refresh(View::Audit).await?.covers(&end) {
            if Instant::now() >= deadline {
                bail!("the audit view is behind the log: does a node with the role `projection` run?");
            }
            sleep(PAUSE).await;
        }
        let mut last: Option<Deed> = None;
        loop {
            let page = self.views.deeds_of(trail, last.as_ref(), PAGE).await?.value;
            for deed in &page {
                let line = if self.json { as_json(deed) } else { self.line(deed).await? };
                writeln!(stdout(), "{line}")?;
            }
            match page.into_iter().last() {
                Some(deed) => last = Some(deed),
                None => return Ok(ExitCode::SUCCESS),
            }
        }
    }

    async fn line(&mut self, deed: &Deed) -> anyhow::Result<String> {
        let Deed { position, at, by: done_by, aggregate_id, user_id, kind, detail, .. } = deed;
        let by = match done_by {
            Some(by) => self.name(*by).await?,
            None => "herald".to_owned(),
        };
        let mut line =
            format!("{}  {position}  {kind} by {by}", at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        if let Some(user_id) = user_id {
            line = format!("{line}, {}", self.name(*user_id).await?);
        }
        // Of threads there is no name to be found.
        if let Some(id) = aggregate_id.map(UserId::from_uuid).filter(|id| Some(*id) != *done_by) {
            line = format!("{line}, of {}", self.name(id).await?);
        }
        Ok(match detail {
            Some(detail) => format!("{line}: {}", printable(detail)),
            None => line,
        })
    }

    /// A name and the id, or the id alone.
    async fn name(&mut self, user_id: UserId) -> anyhow::Result<String> {
        if !self.names.contains_key(&user_id) {
            let found = self.views.user(NOBODY, user_id).await?.value.map(|user| user.username);
            let name = if found.is_none() { self.views.operator(user_id).await?.value } else { found };
            self.names.insert(user_id, name);
        }
        Ok(match self.names.get(&user_id).and_then(Option::as_ref) {
            Some(name) => format!("{} ({user_id})", printable(name)),
            None => user_id.to_string(),
        })
    }
}

fn as_json(deed: &Deed) -> String {
    let Deed { position, place: _, at, by, aggregate_id, user_id, kind, detail } = deed;
    let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let line = json!({
        "position": position.to_string(), "time": at, "by": by, "of": aggregate_id, "user_id": user_id, "what": kind,
        "detail": detail,
    });
    line.to_string()
}
