use super::{parse, plain_json};
use crate::problem::Kind;
use axum::http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only their reading is tested")]
struct Letter {
    to: String,
    number: Option<u32>,
    lines: Option<Vec<Line>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only their reading is tested")]
struct Line {
    text: String,
}

/// The kind of problem and the field at fault.
fn refused(json: &str) -> (Kind, String) {
    let problem = parse::<Letter>(json.as_bytes()).expect_err(json);
    let told = serde_json::to_value(&problem).expect("plain JSON");
    (problem.kind(), told["errors"][0]["field"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_body_of_the_expected_shape_is_read() {
    parse::<Letter>(br#"{"to":"a","number":null,"lines":[{"text":"b"}]}"#).expect("a letter");
}

#[test]
fn the_field_at_fault_is_named() {
    for (json, field) in [
        ("{}", "to"),
        (r#"{"to":1}"#, "to"),
        (r#"{"to":null}"#, "to"),
        (r#"{"to":"a","from":"b"}"#, "from"),
        (r#"{"to":"a","number":-1}"#, "number"),
        (r#"{"to":"a","number":4294967296}"#, "number"),
        (r#"{"to":"a","number":1.5}"#, "number"),
        (r#"{"to":"a","lines":[{"text":"b"},{}]}"#, "lines[1].text"),
        (r#"{"to":"a","lines":[{"text":"b","size":1}]}"#, "lines[0].size"),
        (r#"["a",null,null]"#, "body"),
        ("1", "body"),
    ] {
        assert_eq!(refused(json), (Kind::Validation, field.to_owned()), "{json}");
    }
}

#[test]
fn a_fault_is_told_in_short() {
    let long = "ü".repeat(100_000);
    for json in [format!(r#"{{"{long}":1}}"#), format!(r#"{{"to":"a","number":"{long}"}}"#)] {
        let problem = serde_json::to_string(&parse::<Letter>(json.as_bytes()).expect_err("invalid"));
        assert!(problem.expect("plain JSON").len() < 4_000);
    }
}

#[test]
fn what_cannot_be_read_is_malformed_before_its_shape_is_looked_at() {
    assert_eq!(refused(r#"{"to":"a","to":"b"}"#).0, Kind::Malformed);
    assert_eq!(refused(r#"{"from":"\ud800"}"#).0, Kind::Malformed);
}

#[test]
fn only_plain_json_is_taken() {
    let headers = |pairs: &[_]| -> HeaderMap {
        pairs.iter().map(|(name, value): &(_, &str)| (name, HeaderValue::from_str(value).expect("ascii"))).fold(
            HeaderMap::new(),
            |mut headers, (name, value)| {
                headers.insert(name, value);
                headers
            },
        )
    };
    for taken in ["application/json", "Application/JSON", "application/json; charset=utf-8"] {
        plain_json(&headers(&[(CONTENT_TYPE, taken)])).expect(taken);
    }
    for refused in ["", "text/plain", "application/jsonp", "application/x-www-form-urlencoded"] {
        let problem = plain_json(&headers(&[(CONTENT_TYPE, refused)])).expect_err(refused);
        assert_eq!(problem.kind(), Kind::UnsupportedMediaType);
    }
    plain_json(&headers(&[(CONTENT_TYPE, "application/json"), (CONTENT_ENCODING, "gzip")])).expect_err("gzip");
}
