//! For clients that poll: what a socket would have told since a cursor, by the
//! same seam, and if need be after waiting for something to happen.

use crate::{
    app::App,
    auth::Caller,
    frame::Resume,
    hub::{Ended, Heard, Outbox, Said, Seat},
    openapi::{CallerProblem, LimitProblem, QueryProblem},
    params::InQuery,
    positions::{After, AsOf},
    problem::{Kind, Problem},
    seam, shapes,
    since::Since,
};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use events::Vector;
use serde::Deserialize;
use std::{fmt::Write, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

/// Frames in one answer that carry a position: a cut lies behind the last of them.
const MOST: usize = 1_000;
/// How long a request may wait for something to happen.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    since: Option<String>,
    wait: Option<String>,
}

/// What happened, and where to go on.
#[derive(ToSchema)]
#[schema(example = json!({
    "frames": [{
        "type": "message", "thread_id": "0190b5a0-0000-7000-8000-000000000002", "number": 42,
        "key": "0190b5a0-0000-7000-8000-000000000003", "sender_id": "0190b5a0-0000-7000-8000-000000000001",
        "body": "Hello", "reply_to": null, "mentions": [], "sent_at": "2026-01-31T12:00:00.000Z", "position": "3:1289"
    }],
    "cursor": "AZC1oAAAcACAAAAAAAAAAQAAAAAAAAAAABHVE1vHhvk",
    "more": false
}))]
#[expect(dead_code, reason = "the shape of what is written from frames that are encoded already")]
pub(super) struct Synced {
    /// The frames of the socket, in the same order: ascending within each partition. `reset` where they are not to be
    /// had: reload, and go on from the cursor.
    frames: Vec<serde_json::Value>,
    /// The next `since`.
    #[schema(value_type = shapes::PageToken)]
    cursor: String,
    /// Whether there is more already.
    more: bool,
}

/// Tells what happened since a cursor: the frames that a socket is told, for clients that poll.
///
/// Without `since` nothing but the cursor of now. With `wait` the answer comes as soon as there is something to tell,
/// after that many seconds at the latest.
#[utoipa::path(get, path = "/v1/sync", tag = "socket", operation_id = "sync", security(("bearer" = [])),
    params(
        After,
        ("since" = Option<shapes::PageToken>, Query, description = "The `cursor` of the answer before"),
        ("wait" = Option<u8>, Query, description = "Seconds to wait for something to happen", maximum = 30),
    ),
    responses(
        (status = 200, description = "What happened", body = Synced,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        CallerProblem, QueryProblem, LimitProblem,
    ))]
pub(super) async fn sync(
    State(app): State<App>,
    Caller(identity): Caller,
    after: After,
    InQuery(asked): InQuery<Asked>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    after.heard(&app).await?;
    let until = Instant::now() + wait(asked.wait.as_deref())?;
    app.limits.sync(identity.user_id)?;
    let epoch = app.log.epoch();
    let answer = |said: &[Said], vector: Vector, more| answer(said, Since { epoch, vector }, more);
    let Some(since) = asked.since.map(|since| since.parse::<Since>()).transpose()? else {
        return Ok(answer(&[], app.hub.vector(), false));
    };
    let outbox = Arc::new(Outbox::default());
    let seat = app.hub.visit(identity.user_id, identity.session_id, Arc::clone(&outbox));
    // If the session ended before the hub knew of this request, accounts know by now; if later, the hub tells.
    Caller::from_request_parts(&mut parts, &app).await?;
    let resume = Resume { vector: since.vector, epoch: Some(since.epoch) };
    let heard = seam::attach(&app, &seat, identity.user_id, Some(&resume))
        .await
        .map_err(|seam::Unavailable(why)| Problem::unavailable(why))?;
    let Heard { said, vector } =
        if heard.said.is_empty() { happening(&app, &seat, &outbox, heard.vector, until).await? } else { heard };
    let end = end_of_page(&said);
    if end == said.len() {
        return Ok(answer(&said, vector, false));
    }
    let page = &said[..end];
    let mut vector = resume.vector;
    page.iter().filter_map(|said| said.position).for_each(|position| vector.raise(position));
    Ok(answer(page, vector, true))
}

/// Waits until something is told after a vector, the time is over, or the node goes.
async fn happening(
    app: &App,
    seat: &Seat,
    outbox: &Outbox,
    mut vector: Vector,
    until: Instant,
) -> Result<Heard, Problem> {
    loop {
        let told = tokio::select! {
            () = app.draining.cancelled() => false,
            told = timeout_at(until, outbox.changed()) => told.is_ok(),
        };
        match outbox.ended() {
            Some(Ended::Revoked) => return Err(Problem::new(Kind::Unauthorized, "the session was ended")),
            Some(Ended::Deaf | Ended::Lost) => return Err(Problem::unavailable("this node does not hear the log")),
            Some(Ended::Slow | Ended::Superseded) | None => {}
        }
        let Some(run) = seat.run(&vector) else {
            return Ok(Heard { said: Vec::new(), vector });
        };
        vector = run.upto().clone();
        let said = run.said();
        if !(said.is_empty() && told) {
            return Ok(Heard { said, vector });
        }
    }
}

/// Where an answer is cut, so that its cursor stands for all that is in it.
fn end_of_page(said: &[Said]) -> usize {
    let mut positioned = said.iter().enumerate().filter(|(_, said)| said.position.is_some());
    positioned.nth(MOST - 1).map_or(said.len(), |(index, _)| index + 1)
}

fn wait(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wait = text.parse().ok().filter(|_| digits).map(Duration::from_secs);
    wait.filter(|wait| *wait <= LONGEST_WAIT).ok_or_else(|| Problem::invalid("wait", "must be 0 to 30"))
}

/// The frames are JSON already: they are put together, not read again.
fn answer(said: &[Said], cursor: Since, more: bool) -> Response {
    let mut body = String::with_capacity(128 + said.iter().map(|said| said.frame.len() + 1).sum::<usize>());
    body.push_str(r#"{"frames":["#);
    for (index, said) in said.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(&said.frame);
    }
    write!(body, r#"],"cursor":"{cursor}","more":{more}}}"#).expect("a text takes all that is written to it");
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (AsOf(cursor.vector), [json], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::{MOST, Said, end_of_page};

    fn said(positions: impl IntoIterator<Item = bool>) -> Vec<Said> {
        let position = |has: bool| has.then(|| "0:1".parse().expect("a position"));
        positions.into_iter().map(|has| Said { frame: "{}".into(), position: position(has) }).collect()
    }

    #[test]
    fn a_page_ends_behind_a_frame_that_its_cursor_can_stand_for() {
        let all = |count| said(std::iter::repeat_n(true, count));
        assert_eq!(end_of_page(&all(MOST - 1)), MOST - 1);
        assert_eq!(end_of_page(&all(MOST)), MOST);
        assert_eq!(end_of_page(&all(MOST + 1)), MOST);
        let receipts_first = std::iter::repeat_n(false, MOST + 5).chain([true, true]);
        assert_eq!(end_of_page(&said(receipts_first)), MOST + 7);
        assert_eq!(end_of_page(&said(std::iter::repeat_n(false, MOST + 5))), MOST + 5);
    }
}
