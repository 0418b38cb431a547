use super::scan;
use crate::problem::Kind;

fn refused(json: impl AsRef<[u8]>) -> Option<Kind> {
    scan(json.as_ref()).err().map(|problem| problem.kind())
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn plain_json_passes() {
    for json in [r#"{"a":{"b":[1,-1,1.5,true,null,"é😀"]},"c":"\ud83d\ude00"}"#, "0", " [] ", r#""a""#] {
        assert_eq!(refused(json), None, "{json}");
    }
}

#[test]
fn what_is_no_json_is_malformed() {
    for json in ["", "{", r#"{"a":}"#, "[1,]", "{} {}", "NaN", "'a'", "// a\n1", "\"a\nb\"", "1e999", "\u{feff}{}"] {
        assert_eq!(refused(json), Some(Kind::Malformed), "{json:?}");
    }
}

#[test]
fn bad_utf8_is_malformed() {
    for json in [&b"\"\xff\""[..], b"{\"\xc0\xaf\":1}", b"\"\xed\xa0\x80\""] {
        assert_eq!(refused(json), Some(Kind::Malformed));
    }
}

#[test]
fn a_lone_surrogate_is_malformed_as_value_and_as_key() {
    for json in [r#""\ud800""#, r#""\udc00""#, r#"{"a":["\ud800x"]}"#, r#"{"\ud800":1}"#, r#""\ud800\ud800""#] {
        assert_eq!(refused(json), Some(Kind::Malformed), "{json}");
    }
}

#[test]
fn depth_is_bounded_at_32() {
    assert_eq!(refused(nested(32)), None);
    assert_eq!(refused(nested(33)), Some(Kind::Malformed));
    assert_eq!(refused("[".repeat(100_000)), Some(Kind::Malformed));
    assert_eq!(refused(format!("{}1{}", r#"{"a":"#.repeat(33), "}".repeat(33))), Some(Kind::Malformed));
}

#[test]
fn a_key_twice_in_one_object_is_malformed_however_it_is_spelled() {
    for json in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"b":{"a":1,"c":2,"a":3}}]"#] {
        assert_eq!(refused(json), Some(Kind::Malformed), "{json}");
    }
    assert_eq!(refused(r#"{"a":{"a":1},"b":{"a":1}}"#), None);
}

#[test]
fn a_nul_in_a_text_is_invalid() {
    assert_eq!(refused(r#"{"a":"x\u0000y"}"#), Some(Kind::Validation));
}
