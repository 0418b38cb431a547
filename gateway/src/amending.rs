//! Changing what was written, for REST and sockets alike: the message as the
//! caller sees it in the `timeline` view is what is decided on.

use crate::{
    app::App,
    positions::{ask, deadline},
    problem::Problem,
};
use command::threads::{Amend, Amended, Amendment, Shown, ShownMessage, ThreadError};
use events::{Emoji, Position, ThreadId, Timestamp, UserId, event::Number, text::Body};
use query::{View, timeline::Message};

/// How often the view is asked before the caller is sent away to ask again.
const ATTEMPTS: u32 = 4;

/// A message's text as it is now.
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(crate) struct Edited {
    pub(crate) body: Body,
    pub(crate) position: Position,
    /// `None` where it said so from the first on.
    pub(crate) edited_at: Option<Timestamp>,
}

/// Replaces a message's text.
///
/// # Errors
/// 422 for a text that may not be, and as [`amend`].
pub(crate) async fn edit(
    app: &App,
    by: UserId,
    thread_id: ThreadId,
    number: Number,
    body: &str,
) -> Result<Edited, Problem> {
    let body = Body::parse(body).map_err(|error| Problem::invalid("body", error))?;
    app.limits.send(by)?;
    let mentions = app.accounts.named_in(body.as_str()).await?;
    let change = Amendment::Edit { body: body.clone(), mentions };
    let (Amended { position, at }, edited_before) = settle(app, by, thread_id, number, change).await?;
    Ok(Edited { body, position, edited_at: at.or(edited_before) })
}

/// Changes a message; what is so already stays so.
///
/// # Errors
/// What the thread refuses, 429; technical ones.
pub(crate) async fn amend(
    app: &App,
    by: UserId,
    thread_id: ThreadId,
    number: Number,
    change: Amendment,
) -> Result<Amended, Problem> {
    app.limits.send(by)?;
    Ok(settle(app, by, thread_id, number, change).await?.0)
}

/// What became of it, and when the message had been edited before.
async fn settle(
    app: &App,
    by: UserId,
    thread_id: ThreadId,
    number: Number,
    change: Amendment,
) -> Result<(Amended, Option<Timestamp>), Problem> {
    let (mut shown, mut edited_at) = (None, None);
    for _ in 0..ATTEMPTS {
        let amend = Amend { by, thread_id, number, change: change.clone(), shown: shown.take() };
        let as_of = match app.threads.amend(amend).await {
            Ok(amended) => return Ok((amended, edited_at)),
            Err(ThreadError::NotShown { as_of }) => as_of,
            Err(refusal) => return Err(refusal.into()),
        };
        let question = || app.views.message(by, thread_id, number);
        let found = ask(app, View::Timeline, &as_of.into(), deadline(), question).await?;
        edited_at = found.value.as_ref().and_then(|message| message.edited_at);
        let message = found.value.map(|message| shown_message(message, by));
        shown = Some(Shown { as_of: found.as_of.get(as_of.partition), message });
    }
    Err(Problem::unavailable("the thread is changing too fast, try again"))
}

fn shown_message(message: Message, by: UserId) -> ShownMessage {
    let Message { sender_id, body, deleted_at, reactions, attachments, .. } = message;
    let attachments = attachments.into_iter().map(|file| file.attachment_id).collect();
    let mine = reactions.into_iter().filter(|(_, people)| people.contains(&by));
    let reacted = mine.filter_map(|(emoji, _)| emoji.parse::<Emoji>().ok()).collect();
    ShownMessage { author: sender_id, body, deleted: deleted_at.is_some(), reacted, attachments }
}
