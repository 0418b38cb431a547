//! Contacts: whom the caller knows, under names of their own.

use super::users::User;
use crate::{
    app::App,
    auth::Caller,
    json::JsonOrNothing,
    openapi::{BodyProblem, CallerProblem, LimitProblem, NotThere, QueryProblem},
    params::{InPath, InQuery, ListPage},
    positions::{After, AsOf, At},
    problem::Problem,
    shapes,
};
use axum::{Json as Answer, extract::State, http::StatusCode, response::IntoResponse};
use events::{UserId, text::Line};
use query::{Paged, View, directory};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A person whom the caller keeps.
#[derive(Serialize, ToSchema)]
pub(super) struct Contact {
    #[serde(flatten)]
    user: User,
    /// What the caller calls them.
    #[schema(required = true, example = "Aunt Ada")]
    alias: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Contacts {
    contacts: Vec<Contact>,
    /// The next page's `cursor`; null at the end.
    #[schema(required = true, value_type = Option<shapes::PageToken>)]
    next: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveContact {
    /// What the caller calls them, 1 to 64 characters; left out: nothing special.
    #[serde(default)]
    #[schema(example = "Aunt Ada", min_length = 1, max_length = 256)]
    alias: Option<String>,
}

impl From<directory::Contact> for Contact {
    fn from(contact: directory::Contact) -> Self {
        let directory::Contact { user, alias } = contact;
        Self { user: user.into(), alias }
    }
}

/// The caller's contacts.
#[utoipa::path(get, path = "/v1/contacts", tag = "people", operation_id = "list_contacts", security(("bearer" = [])),
    params(ListPage, After),
    responses(
        (status = 200, description = "A page of the contacts", body = Contacts,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        QueryProblem, CallerProblem,
    ))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InQuery(page): InQuery<ListPage>,
) -> Result<impl IntoResponse, Problem> {
    let (limit, cursor) = page.parse()?;
    let reader = caller.user_id();
    let answer = after.ask(&app, View::Directory, || app.views.contacts(reader, cursor, limit)).await?;
    let Paged { items, next } = answer.value;
    let contacts = items.into_iter().map(Contact::from).collect();
    Ok((AsOf(answer.as_of), Answer(Contacts { contacts, next: next.map(|next| next.to_string()) })))
}

/// Keeps somebody as a contact.
#[utoipa::path(put, path = "/v1/contacts/{user_id}", tag = "people", operation_id = "save_contact",
    security(("bearer" = [])),
    params(("user_id" = shapes::Id, Path)),
    request_body(content = Option<SaveContact>, content_type = "application/json"),
    responses(
        (status = 204, description = "Kept",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotThere, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn save(
    State(app): State<App>,
    caller: Caller,
    InPath(user_id): InPath<UserId>,
    JsonOrNothing(SaveContact { alias }): JsonOrNothing<SaveContact>,
) -> Result<impl IntoResponse, Problem> {
    let alias = alias.as_deref().map(Line::parse).transpose().map_err(|error| Problem::invalid("alias", error))?;
    app.limits.send(caller.user_id())?;
    let position = app.people.save_contact(caller.user_id(), user_id, alias.as_ref()).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}

/// Keeps somebody no longer.
#[utoipa::path(delete, path = "/v1/contacts/{user_id}", tag = "people", operation_id = "remove_contact",
    security(("bearer" = [])),
    params(("user_id" = shapes::Id, Path)),
    responses(
        (status = 204, description = "No contact any more, or never one",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        CallerProblem, LimitProblem,
    ))]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    InPath(user_id): InPath<UserId>,
) -> Result<impl IntoResponse, Problem> {
    app.limits.send(caller.user_id())?;
    let position = app.people.remove_contact(caller.user_id(), user_id).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}
