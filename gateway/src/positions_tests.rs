use super::{HERALD_AFTER, asked_for, both};
use crate::problem::Kind;
use axum::http::{HeaderMap, HeaderValue};
use events::{Vector, subject::Names};

fn after(values: &[&'static str]) -> Result<String, Kind> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(HERALD_AFTER, HeaderValue::from_static(value));
    }
    asked_for(&headers, &Names::new("", 4)).map(|after| after.to_string()).map_err(|problem| problem.kind())
}

#[test]
fn a_vector_of_the_deployment_is_taken() {
    assert_eq!(after(&[]), Ok(String::new()));
    assert_eq!(after(&["3:1289"]), Ok("3:1289".to_owned()));
    assert_eq!(after(&["3:1289, 0:17"]), Ok("0:17,3:1289".to_owned()));
}

#[test]
fn what_is_no_vector_of_the_deployment_is_refused() {
    for refused in ["1", "a:b", "1:-1", "1:2,1:3", "1:2;2:3", "4:1", "1:99999999999999999999", "01:2"] {
        assert_eq!(after(&[refused]), Err(Kind::InvalidPosition), "{refused}");
    }
    assert_eq!(after(&["1:1", "2:2"]), Err(Kind::InvalidPosition));
}

#[test]
fn two_views_have_seen_what_both_have() {
    let vector = |text: &str| -> Vector { text.parse().expect("a vector") };
    assert_eq!(both(&vector("0:5,1:7"), &vector("0:6,1:2")), vector("0:5,1:2"));
    assert_eq!(both(&vector("0:5"), &vector("1:7")), vector("0:0"));
}
