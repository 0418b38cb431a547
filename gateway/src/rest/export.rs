//! All that is held about the caller, as lines of JSON that say what they are.
//! Streamed page by page: memory is bounded, and who reads slowly holds nothing up.

use super::{
    contacts::Contact,
    history::Entry,
    oneself::{Me, oneself},
    sessions::Session,
    threads,
    users::User,
};
use crate::{
    app::App,
    auth::Caller,
    frame::Attached,
    held::LINES,
    openapi::{CallerProblem, LimitProblem},
    places::Place,
    positions::{After, AsOf, both},
    problem::Problem,
    shapes,
    time::Time,
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderValue,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::IntoResponse,
};
use command::accounts::Identity;
use events::{ThreadId, UserId, event::Number};
use futures_util::stream;
use query::{
    Cursor, Paged, View,
    held::{Deed, Kept, Stretch},
    timeline::{self, Page},
};
use serde::Serialize;
use std::time::Duration;
use tokio::{sync::mpsc, time::timeout};

const PAGE: u16 = 100;
/// Chunks that wait for who reads.
const WAITING: usize = 2;
/// How long somebody may take to read it all.
const LONGEST: Duration = Duration::from_mins(30);

/// A line: what it is, and in which thread.
#[derive(Serialize)]
struct Told<'a, T> {
    line: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<ThreadId>,
    #[serde(flatten)]
    held: T,
}

#[derive(Serialize)]
struct Membership {
    member: bool,
    joined_at: Option<Time>,
    delivered: Option<Number>,
    delivered_at: Option<Time>,
    read: Option<Number>,
    read_at: Option<Time>,
    muted_until: Option<Time>,
    archived: bool,
    pinned: bool,
}

#[derive(Serialize)]
struct Done {
    what: String,
    time: Time,
    number: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Serialize)]
struct Head {
    user_id: UserId,
    time: Time,
    /// What each line is.
    lines: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct End {
    lines: u64,
}

/// Why an export ends before its end.
enum Cut {
    /// Nobody reads it any more.
    Left,
    /// Its causes are in the process's log.
    Failed,
}

impl From<Problem> for Cut {
    fn from(_: Problem) -> Self {
        Self::Failed
    }
}

impl From<query::Error> for Cut {
    fn from(error: query::Error) -> Self {
        Problem::from(error).into()
    }
}

/// Tells all that is held about the caller.
///
/// Lines of JSON (NDJSON). Each says in `line` what it is; the first, `export`, what that means, and the last is `end`: an
/// export without it was cut off. One at a time for each person.
#[utoipa::path(get, path = "/v1/me/export", tag = "accounts", operation_id = "export_me", security(("bearer" = [])),
    params(After),
    responses(
        (status = 200, description = "The lines", body = String, content_type = "application/x-ndjson",
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen at least"))),
        CallerProblem, LimitProblem,
    ))]
pub(super) async fn export(State(app): State<App>, caller: Caller, after: After) -> Result<impl IntoResponse, Problem> {
    let reader = caller.user_id();
    let place = app.exports.take(reader)?;
    let me = oneself(&app, &after, reader).await?;
    let kept = after.ask(&app, View::Inbox, || app.views.kept(reader, None, 1)).await?;
    let timeline =
        after.ask(&app, View::Timeline, || app.views.deeds(reader, ThreadId::direct(reader, reader), 0, 1)).await?;
    let as_of = both(&both(&me.as_of, &kept.as_of), &timeline.as_of);
    app.accounts.note_export(&caller.0).await?;
    let (sender, chunks) = mpsc::channel(WAITING);
    let chunks = stream::unfold(chunks, async |mut chunks| chunks.recv().await.map(|chunk| (chunk, chunks)));
    let teller = Teller { app: app.clone(), identity: caller.0, sender, chunk: Vec::new(), lines: 0 };
    app.sockets.spawn(tell(app.clone(), me.value, teller, place));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"herald-export.ndjson\"")),
    ];
    Ok((AsOf(as_of), headers, Body::from_stream(chunks)))
}

async fn tell(app: App, me: Me, mut teller: Teller, _place: Place) {
    let told = tokio::select! {
        told = timeout(LONGEST, tell_all(&app, me, &mut teller)) => told.unwrap_or(Err(Cut::Failed)),
        () = app.draining.cancelled() => Err(Cut::Failed),
    };
    if let Err(Cut::Failed) = told {
        // The connection breaks: what was told is not taken for all.
        teller.sender.send(Err(std::io::ErrorKind::Other.into())).await.ok();
    }
}

async fn tell_all(app: &App, me: Me, teller: &mut Teller) -> Result<(), Cut> {
    let identity = teller.identity;
    let reader = identity.user_id;
    let lines = LINES.iter().map(|(kind, what)| ((*kind).to_owned(), (*what).into())).collect();
    teller.line("export", Head { user_id: reader, time: Time(app.clock.now()), lines }).await?;
    teller.line("user", me).await?;
    for device in app.accounts.sessions(reader).await.map_err(Problem::from)?.1 {
        teller.line("session", Session::new(device, &identity)).await?;
    }
    for upload in app.attachments.all_unused(reader).await.map_err(Problem::from)? {
        teller.line("upload", Attached::from(&upload)).await?;
    }
    people(app, reader, teller).await?;
    inbox(app, reader, teller).await?;
    places(app, reader, teller).await?;
    let lines = teller.lines;
    teller.line("end", End { lines }).await?;
    teller.flush().await
}

async fn people(app: &App, reader: UserId, teller: &mut Teller) -> Result<(), Cut> {
    let mut cursor: Option<Cursor> = None;
    loop {
        let Paged { items, next } = app.views.contacts(reader, cursor, PAGE).await?.value;
        for contact in items {
            teller.line("contact", Contact::from(contact)).await?;
        }
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    loop {
        let Paged { items, next } = app.views.blocks(reader, cursor, PAGE).await?.value;
        for blocked in items {
            teller.line("block", User::from(blocked)).await?;
        }
        cursor = next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// The threads that there are for the reader, as their inbox shows them.
async fn inbox(app: &App, reader: UserId, teller: &mut Teller) -> Result<(), Cut> {
    for archived in [false, true] {
        let mut cursor: Option<Cursor> = None;
        loop {
            let answer = app.views.threads(reader, archived, cursor, PAGE).await?;
            let Paged { items, next } = answer.value;
            let (_, threads) = threads::with_peers(app, &After::nothing(), answer.as_of, reader, items).await?;
            for thread in threads {
                teller.line("thread", thread).await?;
            }
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// Where the reader is and was, and what they see, wrote and did there.
async fn places(app: &App, reader: UserId, teller: &mut Teller) -> Result<(), Cut> {
    let mut after = None;
    loop {
        let places = app.views.kept(reader, after, PAGE).await?.value;
        let Some(last) = places.last().map(|kept| kept.thread_id) else { return Ok(()) };
        for kept in places {
            let thread_id = kept.thread_id;
            let is_member = kept.is_member;
            teller.line_in("membership", thread_id, Membership::from(kept)).await?;
            let shown_from = if is_member { history(app, reader, thread_id, teller).await? } else { None };
            own_messages(app, reader, thread_id, shown_from, teller).await?;
            deeds(app, reader, thread_id, teller).await?;
        }
        after = Some(last);
    }
}

/// What the reader sees of a thread; the number of the first message of it.
async fn history(app: &App, reader: UserId, thread_id: ThreadId, teller: &mut Teller) -> Result<Option<Number>, Cut> {
    let mut first = None;
    let mut place = timeline::Place { number: 0, sequence: 0 };
    loop {
        // `None`: they have left it meanwhile.
        let page = app.views.history(reader, thread_id, Page::After(place), PAGE).await?.value.unwrap_or_default();
        let Some(last) = page.last() else { return Ok(first) };
        place = last.place();
        for entry in page {
            let line = match &entry {
                timeline::Entry::Message(message) => {
                    first.get_or_insert(message.number);
                    "message"
                }
                timeline::Entry::Notice(_) => "notice",
            };
            teller.line_in(line, thread_id, Entry::from(entry)).await?;
        }
    }
}

/// What the reader wrote in a thread and is not shown there: before they left it, or joined it again.
async fn own_messages(
    app: &App,
    reader: UserId,
    thread_id: ThreadId,
    shown_from: Option<Number>,
    teller: &mut Teller,
) -> Result<(), Cut> {
    let mut after = 0;
    loop {
        let Stretch { items, looked } = app.views.own_messages(reader, thread_id, after, PAGE).await?.value;
        for message in items {
            if shown_from.is_some_and(|from| message.number >= from) {
                return Ok(());
            }
            teller.line_in("message", thread_id, Entry::Message(message.into())).await?;
        }
        match looked.and_then(|looked| Number::try_from(looked).ok()) {
            Some(looked) if shown_from.is_none_or(|from| looked < from) => after = looked,
            Some(_) | None => return Ok(()),
        }
    }
}

async fn deeds(app: &App, reader: UserId, thread_id: ThreadId, teller: &mut Teller) -> Result<(), Cut> {
    let mut after = 0;
    loop {
        let Stretch { items, looked } = app.views.deeds(reader, thread_id, after, PAGE).await?.value;
        for Deed { at, number, kind, user_id, detail, sequence: _ } in items {
            teller.line_in("deed", thread_id, Done { what: kind, time: Time(at), number, user_id, detail }).await?;
        }
        let Some(looked) = looked else { return Ok(()) };
        after = looked;
    }
}

impl From<Kept> for Membership {
    fn from(kept: Kept) -> Self {
        let Kept {
            is_member, joined_at, delivered, delivered_at, read, read_at, muted_until, archived, pinned, ..
        } = kept;
        Self {
            member: is_member,
            joined_at: joined_at.map(Time),
            delivered,
            delivered_at: delivered_at.map(Time),
            read,
            read_at: read_at.map(Time),
            muted_until: muted_until.map(Time),
            archived,
            pinned,
        }
    }
}

/// Gathers lines into chunks for whoever reads them.
struct Teller {
    app: App,
    identity: Identity,
    sender: mpsc::Sender<Result<Bytes, std::io::Error>>,
    chunk: Vec<u8>,
    lines: u64,
}

impl Teller {
    const CHUNK: usize = 16 << 10;

    async fn line(&mut self, line: &str, held: impl Serialize) -> Result<(), Cut> {
        self.write(&Told { line, thread_id: None, held }).await
    }

    async fn line_in(&mut self, line: &str, thread_id: ThreadId, held: impl Serialize) -> Result<(), Cut> {
        self.write(&Told { line, thread_id: Some(thread_id), held }).await
    }

    async fn write(&mut self, line: &impl Serialize) -> Result<(), Cut> {
        serde_json::to_writer(&mut self.chunk, line).expect("a line is plain data");
        self.chunk.push(b'\n');
        self.lines += 1;
        if self.chunk.len() < Self::CHUNK { Ok(()) } else { self.flush().await }
    }

    /// Hands on what was gathered, as long as its reader is still let in.
    async fn flush(&mut self) -> Result<(), Cut> {
        self.app.hearing()?;
        if self.app.accounts.has_ended(self.identity.session_id) {
            return Err(Cut::Failed);
        }
        let chunk = std::mem::take(&mut self.chunk);
        self.sender.send(Ok(chunk.into())).await.map_err(|_| Cut::Left)
    }
}
