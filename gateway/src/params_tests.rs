use super::{FromPath, InQuery, flag, limit, number};
use crate::problem::{Kind, Problem};
use axum::{
    extract::FromRequestParts,
    http::{Request, request::Parts},
};
use events::{ThreadId, UserId, event::Number};
use futures_util::FutureExt;
use serde::Deserialize;

const ID: &str = "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<String>,
    name: String,
}

fn kind<T>(result: Result<T, Problem>) -> Option<Kind> {
    result.err().map(|problem| problem.kind())
}

fn query(query: &str) -> Result<Page, Problem> {
    let request = Request::get(format!("/?{query}")).body(()).expect("a request");
    let mut parts: Parts = request.into_parts().0;
    let page = InQuery::<Page>::from_request_parts(&mut parts, &()).now_or_never().expect("no waiting");
    page.map(|InQuery(page)| page)
}

#[test]
fn a_query_is_read() {
    let page = query("name=a%20b+c&limit=5").expect("a page");
    assert_eq!((page.name.as_str(), page.limit.as_deref()), ("a b c", Some("5")));
}

#[test]
fn a_query_is_strict() {
    assert_eq!(kind(query("name")), None);
    for refused in ["", "limit=5", "name=a&offset=1", "name=a&name=a", "name=a%00"] {
        assert_eq!(kind(query(refused)), Some(Kind::Validation), "{refused}");
    }
}

#[test]
fn an_id_is_a_uuid_in_lower_case_hyphenated_form() {
    assert_eq!(kind(UserId::from_path(&[("user_id", ID)])), None);
    let upper = ID.to_uppercase();
    let simple = ID.replace('-', "");
    let braced = format!("{{{ID}}}");
    for text in ["", "7", "me", &upper, &simple, &braced, &ID[1..]] {
        assert_eq!(kind(UserId::from_path(&[("user_id", text)])), Some(Kind::Malformed), "{text}");
    }
}

#[test]
fn a_number_in_the_path_is_digits() {
    let parse = |text| <(ThreadId, Number)>::from_path(&[("thread_id", ID), ("number", text)]);
    assert_eq!(parse("7").map(|(_, number)| number).ok(), Some(7));
    assert_eq!(parse("99999999999").map(|(_, number)| number).ok(), Some(u32::MAX));
    for text in ["-1", "+1", "1.0", "x", "0x1", " 1"] {
        assert_eq!(kind(parse(text)), Some(Kind::Malformed), "{text}");
    }
}

#[test]
fn a_page_has_1_to_100_entries() {
    assert_eq!(limit(None), Ok(50));
    assert_eq!(limit(Some("1")), Ok(1));
    assert_eq!(limit(Some("100")), Ok(100));
    for text in ["0", "101", "1e9", "1000000000", "99999999999999999999", "-1", "", "65537", "5.0"] {
        assert_eq!(kind(limit(Some(text))), Some(Kind::Validation), "{text}");
    }
}

#[test]
fn a_number_that_no_message_can_have_is_the_largest() {
    assert_eq!(number("before", None), Ok(None));
    assert_eq!(number("before", Some("12")), Ok(Some(12)));
    assert_eq!(number("before", Some("4294967295")), Ok(Some(u32::MAX)));
    assert_eq!(kind(number("before", Some("4294967296"))), Some(Kind::Validation));
    assert_eq!(kind(number("before", Some("-1"))), Some(Kind::Validation));
}

#[test]
fn a_flag_is_true_or_false() {
    assert_eq!(flag("archived", Some("true")), Ok(Some(true)));
    assert_eq!(kind(flag("archived", Some("1"))), Some(Kind::Validation));
}
