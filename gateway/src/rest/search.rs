//! Search: messages that the caller may see, by their words.

use crate::{
    app::App,
    auth::Caller,
    openapi::{CallerProblem, LimitProblem, NotThere, QueryProblem},
    params::{self, InQuery},
    positions::{After, AsOf, both},
    problem::Problem,
    shapes,
    time::Time,
};
use axum::{Json as Answer, extract::State, response::IntoResponse};
use events::{ThreadId, UserId, Vector, name::Username};
use query::{
    Paged, View,
    search::{self, Search, Wording},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A message that was found.
#[derive(Serialize, ToSchema)]
pub(super) struct Hit {
    #[schema(value_type = shapes::Id)]
    thread_id: ThreadId,
    number: u32,
    #[schema(value_type = shapes::Id)]
    sender_id: UserId,
    sent_at: Time,
    /// About 160 characters around what was found; plain text.
    snippet: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Hits {
    /// Newest first.
    hits: Vec<Hit>,
    /// The next page's `cursor`; null at the end.
    #[schema(required = true, value_type = Option<shapes::PageToken>)]
    next: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchPage {
    /// Words that all have to be there, "phrases", and the beginning of a word as the last one: at least one word and
    /// at most 16. Case, width and the accents of alphabets do not matter. `from:username` or `from:me` for one
    /// person's messages; `before:2026-01-31` and `after:2026-01-31` for days (UTC), that one not included. Of a message
    /// with more than 1,024 different words the first ones are found.
    #[param(min_length = 1, max_length = 1024, example = "lunch from:ada")]
    q: String,
    /// In one thread.
    #[param(value_type = Option<shapes::Id>)]
    thread_id: Option<String>,
    /// 1 to 100, 50 unless told otherwise.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: Option<String>,
    /// The `next` of the page before, of the same search.
    #[param(value_type = Option<shapes::PageToken>)]
    cursor: Option<String>,
}

impl From<search::Hit> for Hit {
    fn from(hit: search::Hit) -> Self {
        let search::Hit { thread_id, number, sender_id, sent_at, snippet } = hit;
        Self { thread_id, number, sender_id, sent_at: Time(sent_at), snippet }
    }
}

/// Finds messages by their words, in the caller's threads and since their latest joining.
#[utoipa::path(get, path = "/v1/search", tag = "messages", operation_id = "search", security(("bearer" = [])),
    params(SearchPage, After),
    responses(
        (status = 200, description = "A page of what was found", body = Hits,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        NotThere, QueryProblem, CallerProblem, LimitProblem,
    ))]
pub(super) async fn find(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InQuery(page): InQuery<SearchPage>,
) -> Result<impl IntoResponse, Problem> {
    let limit = params::limit(page.limit.as_deref())?;
    let cursor = params::cursor(page.cursor.as_deref())?;
    let thread_id = page.thread_id.as_deref().map(|text| params::id("thread_id", text)).transpose()?;
    let wording = Wording::parse(&page.q).map_err(|error| Problem::invalid("q", error))?;
    let reader = caller.user_id();
    app.limits.search(reader)?;
    let _place = app.searches.wait(reader).await?;
    let (sender_id, known) = sender(&app, &after, reader, wording.from.as_deref()).await?;
    let search = Search { wording, thread_id, sender_id };
    let answer = after.ask(&app, View::Search, || app.views.search(reader, &search, cursor, limit)).await?;
    let Paged { items, next } = answer.value.ok_or_else(Problem::not_found)?;
    let hits = items.into_iter().map(Hit::from).collect();
    let as_of = known.map_or(answer.as_of.clone(), |known| both(&known, &answer.as_of));
    Ok((AsOf(as_of), Answer(Hits { hits, next: next.map(|next| next.to_string()) })))
}

/// Who is meant, and what the answer to that has seen. Whom there is not has written nothing.
async fn sender(
    app: &App,
    after: &After,
    reader: UserId,
    from: Option<&str>,
) -> Result<(Option<UserId>, Option<Vector>), Problem> {
    let nobody = UserId::from_uuid(Uuid::nil());
    let Some(from) = from else { return Ok((None, None)) };
    if from.eq_ignore_ascii_case("me") {
        return Ok((Some(reader), None));
    }
    let Ok(username) = Username::parse(from) else { return Ok((Some(nobody), None)) };
    let found = after.ask(app, View::Directory, || app.views.named(username.as_str())).await?;
    Ok((Some(found.value.unwrap_or(nobody)), Some(found.as_of)))
}
