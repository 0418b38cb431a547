use super::{super::wording::Wording, LENGTH, snippet};

fn cut(body: &str, text: &str) -> String {
    snippet(body, &Wording::parse(text).unwrap())
}

#[test]
fn a_short_message_is_its_own_snippet() {
    let body = "Line one\nand <b>two</b>";
    assert_eq!(cut(body, "two"), body);
}

#[test]
fn a_long_one_is_cut_between_words_around_what_was_found() {
    let filler = "some words that nobody looked for ".repeat(20);
    let body = format!("{filler}the CAFÉ in Łódź {filler}");
    for text in ["cafe", "\"cafe in lodz\"", "zebra caf"] {
        let cut = cut(&body, text);
        assert!(cut.starts_with('…') && cut.ends_with('…'), "{cut}");
        assert!(cut.contains("the CAFÉ in Łódź some words"), "{cut}");
        let length = cut.chars().count();
        assert!((LENGTH - 40..=LENGTH + 2).contains(&length), "{length}: {cut}");
        let inner = cut.trim_matches('…');
        assert!(body.contains(&format!(" {inner} ")), "{cut}");
    }
}

#[test]
fn what_is_found_at_an_end_leaves_no_room_there() {
    let body = format!("first {}last", "word ".repeat(100));
    assert!(cut(&body, "first").starts_with("first word"));
    assert!(cut(&body, "last").ends_with("word last"));
}

#[test]
fn a_text_without_spaces_is_cut_between_characters() {
    let body = format!("{}北京{}", "我喜欢".repeat(100), "สวัสดี".repeat(60));
    let cut = cut(&body, "北京");
    assert!(cut.contains("我喜欢北京สวัสดี"), "{cut}");
    assert!(cut.chars().count() <= LENGTH + 2);
}
