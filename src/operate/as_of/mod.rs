//! `herald as-of`: a thread as it stood at a time or a position, by its facts
//! alone: who was in it, what was to be read, and who could read it.

mod standing;
#[cfg(test)]
mod tests;

use super::{Deployment, printable};
use anyhow::{Context, bail, ensure};
use clap::Args;
use events::{
    Aggregate, Envelope, EventLog, Position, ThreadId, Timestamp,
    event::{Number, Role},
    log::History,
};
use serde_json::json;
use standing::{Keep, Message, Standing, State, rfc3339};
use std::{
    io::{Write, stdout},
    process::ExitCode,
    str::FromStr,
    sync::Arc,
};

/// Facts that are followed back along their links; where there are more, the server picks them from the whole partition.
const FOLLOWED: usize = 1_024;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Which thread.
    #[arg(long, value_name = "ID")]
    thread: ThreadId,
    /// When: a time as 2026-11-24T20:06:48Z, or the position of a fact, as 2:783. What was decided by then counts.
    #[arg(long, value_name = "TIME|POSITION")]
    at: Moment,
    /// The newest messages that are shown.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    last: u16,
    /// Only that message, and who could read it.
    #[arg(long, value_name = "NUMBER", conflicts_with = "last")]
    message: Option<Number>,
    #[command(flatten)]
    deployment: Deployment,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Up to where facts count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Time(Timestamp),
    Position(Position),
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = || text.parse::<Timestamp>().map(Self::Time);
        let position = text.parse().map(Self::Position);
        position.or_else(|_| time()).map_err(|_| "must be a time as 2026-11-24T20:06:48Z, or a position as 2:783")
    }
}

impl Moment {
    fn covers(self, envelope: &Envelope) -> bool {
        match self {
            Self::Time(time) => envelope.at <= time,
            Self::Position(position) => envelope.position.sequence <= position.sequence,
        }
    }
}

/// Tells how it stood.
///
/// # Errors
/// When there is no such thread, or was none then; when the log does not answer.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { thread, at, last, message, deployment, json } = options;
    let log = deployment.attend_log().await?;
    let keep = message.map_or(Keep::Newest(last.into()), Keep::One);
    let standing = stand(&log, thread, at, keep).await?;
    if let Some(number) = message {
        ensure!(standing.messages.contains_key(&number), "there was no message {number} then");
    }
    let text = if json {
        serde_json::to_string_pretty(&json!({ "thread_id": thread, "as_of": standing }))?
    } else {
        told(thread, &standing)
    };
    writeln!(stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

async fn stand(log: &EventLog, thread: ThreadId, moment: Moment, keep: Keep) -> anyhow::Result<Standing> {
    let aggregate = Aggregate::Thread(thread);
    let (newest, _) = log.newest(aggregate).await?.context("there is no such thread")?;
    if let Moment::Position(Position { partition, sequence }) = moment {
        let own = log.names().partition_of(aggregate);
        ensure!(partition == own, "the thread lies in partition {own}, and that position in another");
        let end = log.end_of(own).await?;
        ensure!(sequence <= end, "partition {own} ends at {end}");
    }
    let mut standing = Standing::keeping(keep);
    let mut first = None;
    let mut take = |facts: &[Arc<Envelope>]| {
        first = first.or(facts.first().map(|fact| fact.at));
        let counting = facts.iter().take_while(|fact| moment.covers(fact));
        counting.map(|fact| standing.take(fact)).count() == facts.len()
    };
    match log.history_within(aggregate, None, FOLLOWED).await? {
        History::Since(facts) => _ = take(&facts),
        History::TooLong => {
            let mut replay = log.replay(aggregate, None).await?.context("there is no such thread")?;
            while let Some(facts) = replay.next_batch().await? {
                if !take(&facts) {
                    break;
                }
            }
        }
        History::Foreign => bail!("the links of the thread's facts are broken before {newest}"),
    }
    let first = first.context("there is no such thread")?;
    ensure!(standing.position.is_some(), "the thread was not there then: its first fact is of {}", rfc3339(first));
    Ok(standing.told())
}

fn told(thread: ThreadId, standing: &Standing) -> String {
    let kind = standing.kind.unwrap_or("not open");
    let at = standing.at.map(rfc3339).unwrap_or_default();
    let position = standing.position.map(|position| position.to_string()).unwrap_or_default();
    let mut lines = vec![format!("thread {thread} ({kind}), by its fact {position} of {at}")];
    if let Some(title) = &standing.title {
        lines.push(format!("title: {}", title.as_str().map_or("(erased)".to_owned(), printable)));
    }
    lines.push(format!("{} members, {} messages", standing.members.len(), standing.last_number));
    for (user_id, member) in &standing.members {
        let role = match member.role {
            Role::Member => "member",
            Role::Admin => "admin",
            Role::Owner => "owner",
        };
        let blocks = if standing.blocked_by.contains(user_id) { ", wants nothing from the other" } else { "" };
        let since = rfc3339(member.joined_at);
        lines.push(format!("  {user_id}  {role}, since {since}, sees from message {} on{blocks}", member.sees_from));
    }
    lines.extend(standing.messages.iter().map(|(number, message)| line(*number, message, standing)));
    lines.join("\n")
}

fn line(number: Number, message: &Message, standing: &Standing) -> String {
    let by = message.by.map(|by| by.to_string()).unwrap_or_default();
    let edited = message.edited_at.map(|at| format!(" (edited {})", rfc3339(at))).unwrap_or_default();
    let body = match message.state {
        State::Readable => printable(message.body.as_ref().and_then(|body| body.as_str()).unwrap_or_default()),
        State::Deleted => format!("(deleted {})", message.deleted_at.map(rfc3339).unwrap_or_default()),
        State::Erased => "(its author is erased)".to_owned(),
    };
    let files = if message.files > 0 { format!(" +{} files", message.files) } else { String::new() };
    let (seen, all) = (message.seen_by.len(), standing.members.len());
    let seen = if seen == all {
        String::new()
    } else {
        let who: Vec<_> = message.seen_by.iter().map(ToString::to_string).collect();
        format!("\n      only for {}", who.join(", "))
    };
    format!("{number:>6}  {}  {by}{edited}: {body}{files}{seen}", rfc3339(message.sent_at))
}
