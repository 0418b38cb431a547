use crate::problem::{Kind, Problem};
use axum::{
    http::{
        StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::IntoResponse,
};
use command::{
    accounts::{AccountError, WeakPassword},
    operators::OperatorError,
    people::PersonError,
    threads::ThreadError,
};
use events::{ThreadId, UserId, Vector};
use query::{Behind, View, freshness::Missing};
use uuid::Uuid;

fn told(problem: impl Into<Problem>) -> (u16, String) {
    let problem = problem.into();
    let json = serde_json::to_value(&problem).expect("plain JSON");
    assert_eq!(json["status"], problem.status().as_u16());
    (problem.status().as_u16(), json["type"].as_str().expect("a type").to_owned())
}

#[test]
fn each_refusal_has_its_status_and_type() {
    let thread_id = ThreadId::from_uuid(Uuid::nil());
    let somebody = UserId::from_uuid(Uuid::nil());
    let as_of = "0:1".parse().expect("a position");
    for (problem, status, slug) in [
        (Problem::from(AccountError::UsernameTaken), 409, "username-taken"),
        (AccountError::BadCredentials.into(), 401, "bad-credentials"),
        (AccountError::SignUpClosed.into(), 403, "sign-up-closed"),
        (AccountError::Suspended.into(), 403, "suspended"),
        (OperatorError::NotFound.into(), 404, "not-found"),
        (OperatorError::NameTaken.into(), 422, "validation"),
        (OperatorError::Conflict.into(), 503, "busy"),
        (AccountError::WeakPassword(WeakPassword::TooShort).into(), 422, "validation"),
        (AccountError::InvalidRefreshToken.into(), 401, "unauthorized"),
        (AccountError::SessionEnded.into(), 401, "unauthorized"),
        (AccountError::NoSuchSession.into(), 404, "not-found"),
        (AccountError::Busy.into(), 503, "busy"),
        (AccountError::Inconsistent("x").into(), 500, "internal"),
        (ThreadError::NotFound.into(), 404, "not-found"),
        (ThreadError::OneselfOnly.into(), 422, "validation"),
        (ThreadError::KeyReused.into(), 409, "key-reused"),
        (ThreadError::KeyUnknown { thread_id, as_of }.into(), 503, "outcome-unknown"),
        (ThreadError::NumberBeyondLast { last: 3 }.into(), 422, "validation"),
        (ThreadError::NoSuchPerson(vec![somebody]).into(), 404, "not-found"),
        (ThreadError::Blocked.into(), 403, "blocked"),
        (ThreadError::Forbidden.into(), 403, "forbidden"),
        (ThreadError::MayNotAdd(vec![somebody]).into(), 403, "may-not-add"),
        (ThreadError::LastOwner.into(), 409, "last-owner"),
        (ThreadError::Full.into(), 409, "group-full"),
        (ThreadError::IdTaken.into(), 409, "id-taken"),
        (ThreadError::Deleted.into(), 409, "message-deleted"),
        (ThreadError::NotAGroup.into(), 422, "validation"),
        (ThreadError::TooManyReactions.into(), 422, "validation"),
        (ThreadError::NotShown { as_of }.into(), 503, "outcome-unknown"),
        (PersonError::NotFound.into(), 404, "not-found"),
        (PersonError::Oneself.into(), 422, "validation"),
        (PersonError::TooMany.into(), 422, "validation"),
        (ThreadError::Conflict.into(), 503, "busy"),
        (query::Error::Unavailable("away".into()).into(), 503, "unavailable"),
        (query::Error::SetAside.into(), 503, "set-aside"),
        (query::Error::TooDear("3 s".into()).into(), 503, "unavailable"),
        (query::Error::Inconsistent("odd".into()).into(), 500, "internal"),
    ] {
        assert_eq!(told(problem), (status, format!("urn:herald:{slug}")));
    }
}

#[test]
fn a_view_that_is_behind_tells_how_far() {
    let missing = Missing { wanted: "3:12".parse().expect("a position"), applied: 7 };
    let behind = Behind { view: View::Inbox, missing: vec![missing] };
    let problem = Problem::from(query::Error::Behind(behind));
    assert_eq!(problem.kind(), Kind::ViewBehind);
    let json = serde_json::to_value(&problem).expect("plain JSON");
    assert_eq!(json["applied"].as_str().map(str::parse::<Vector>), Some("3:7".parse()));
    assert!(json["detail"].as_str().expect("a detail").contains("3:12"));
}

#[test]
fn a_cause_stays_inside() {
    let problem = Problem::from(query::Error::Inconsistent("column users.secret".into()));
    let json = serde_json::to_string(&problem).expect("plain JSON");
    assert!(!json.contains("secret"), "{json}");
}

#[test]
fn the_headers_say_what_to_do() {
    let response = Problem::unavailable("not now").into_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(RETRY_AFTER));
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let response = Problem::from(AccountError::BadCredentials).into_response();
    assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
    assert!(!Problem::not_found().into_response().headers().contains_key(RETRY_AFTER));
}
