use super::{InvalidWording, Terms, Wording};
use events::words::Folded;
use proptest::prelude::*;

fn parsed(text: &str) -> Wording {
    Wording::parse(text).unwrap()
}

/// What SQL's LIKE does with patterns that have no wild card but at their ends.
fn is_like(text: &str, pattern: &str) -> bool {
    format!(" {text} ").contains(pattern.strip_prefix('%').unwrap().strip_suffix('%').unwrap())
}

/// Whether a message is a hit, as the statement decides it.
fn finds(text: &str, body: &str) -> bool {
    let wording = parsed(text);
    let folded = Folded::of(body);
    let (terms, looked_up) = (folded.terms(), wording.terms());
    let others = wording.others(&looked_up);
    let is_one_term = wording.is_one_term();
    terms.iter().any(|term| (&looked_up.first..=&looked_up.last).contains(&term))
        && others.iter().all(|term| terms.contains(term))
        && (is_one_term || wording.patterns().iter().all(|pattern| is_like(folded.as_str(), pattern)))
}

#[test]
fn all_words_have_to_be_there_and_the_last_may_go_on() {
    let body = "The café in Łódź opens at ten o'clock";
    for text in
        ["cafe", "CAFÉ lodz", "lodz cafe", "op", "ten o'cl", "at o", "clock the", "\"cafe in\"", "\"at ten\" caf"]
    {
        assert!(finds(text, body), "{text}");
    }
    for text in
        ["caf lodz", "tens", "\"cafe at\"", "\"opens at te\"", "clock cafes", "lock", "o'clo the", "\"the caf\""]
    {
        assert!(!finds(text, body), "{text}");
    }
}

#[test]
fn a_script_without_spaces_is_found_by_any_piece() {
    for text in
        ["北京", "京", "我", "喜欢北京", "欢北", "iphone 我", "\"北京\"", "iPh", "\"iphone 我喜欢\"", "手机iphone"]
    {
        assert!(finds(text, "买手机iPhone，我喜欢北京"), "{text}");
    }
    for text in ["京北", "喜北", "京 上", "\"我 iphone\"", "hone"] {
        assert!(!finds(text, "买手机iPhone，我喜欢北京"), "{text}");
    }
    assert!(finds("วัสด", "สวัสดีครับ") && finds("コーヒ", "ホットコーヒーを"));
}

#[test]
fn operators_are_taken_out_and_other_colons_are_not() {
    let wording = parsed("lunch FROM:@Ada before:2026-02-01 after:2026-01-30 re:thai");
    assert_eq!(wording.from.as_deref(), Some("Ada"));
    assert_eq!(wording.until.unwrap().to_rfc3339(), "2026-02-01T00:00:00+00:00");
    assert_eq!(wording.since.unwrap().to_rfc3339(), "2026-01-31T00:00:00+00:00");
    assert_eq!(wording.patterns(), ["% lunch %", "% re thai%"]);
    assert_eq!(parsed("\"from:ada\"").patterns(), ["% from ada %"]);
    assert_eq!(parsed("lun from:ada").patterns(), ["% lun%"]);
}

#[test]
fn what_is_not_closed_is_quoted_to_the_end_and_quotes_may_be_curly() {
    assert_eq!(parsed("“see you” \"to morrow").patterns(), ["% see you %", "% to morrow %"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    use InvalidWording::{NoDate, NoWord, Nothing, TooLong, TooMany, Twice};
    for (text, error) in [
        ("", NoWord),
        (" \u{3000}\n", NoWord),
        ("!!! 👍 \"…\"", NoWord),
        ("from:ada before:2026-01-31", NoWord),
        ("a from:", Nothing("from")),
        ("a from:b from:c", Twice("from")),
        ("a before:2026-01-31 before:2026-01-31", Twice("before")),
        ("a before:", NoDate("before")),
        ("a before:2026-02-30", NoDate("before")),
        ("a after:31.1.2026", NoDate("after")),
        ("a after:2026-1-31", NoDate("after")),
        ("a after:+026-01-31", NoDate("after")),
        ("a after:0000-01-31", NoDate("after")),
        (&"a ".repeat(17), TooMany),
        (&"a".repeat(1_025), TooLong),
    ] {
        assert_eq!(Wording::parse(text), Err(error), "{text}");
    }
    assert!(Wording::parse(&"a ".repeat(16)).is_ok());
}

#[test]
fn the_longest_word_is_looked_up_and_the_last_only_where_it_is_alone() {
    let one = |text: &str| Terms { first: text.to_owned(), last: text.to_owned() };
    let wording = parsed("of the philharmonic orchestr");
    assert_eq!((wording.terms(), wording.is_one_term()), (one("philharmonic"), false));
    assert_eq!(wording.others(&wording.terms()), ["of", "the"]);
    let wording = parsed("Orch");
    let beginning = Terms { first: "orch".to_owned(), last: format!("orch{}", char::MAX) };
    assert_eq!((wording.terms(), wording.is_one_term()), (beginning, true));
    assert!(parsed("\"word\"").is_one_term() && !parsed(&"w".repeat(50)).is_one_term());
}

#[test]
fn a_long_word_is_told_from_one_that_only_begins_like_it() {
    let (one, other) = ("a".repeat(60), format!("{}b", "a".repeat(59)));
    for text in [one.clone(), format!("\"{one}\""), "a".repeat(55), "a".repeat(48), "a".repeat(47)] {
        assert!(finds(&text, &one), "{text}");
    }
    for text in [other.clone(), format!("\"{other}\""), format!("\"{}\"", "a".repeat(48))] {
        assert!(!finds(&text, &one), "{text}");
    }
}

proptest! {
    #[test]
    fn a_message_is_found_by_each_word_each_beginning_and_each_phrase(
        body in "[a-zé北京ก-ฮ]{1,5}([ ,.\n]{1,2}[a-zA-Zßø喜欢ひカ한Ωж0-9]{1,9}){0,6}",
        from in 0..40_usize, length in 1..40_usize,
    ) {
        let folded = Folded::of(&body);
        for run in folded.runs() {
            let run = run.as_str();
            prop_assert!(finds(&format!("\"{run}\""), &body), "{run} in {body}");
            for (end, _) in run.char_indices().skip(1).chain([(run.len(), ' ')]) {
                prop_assert!(finds(&run[..end], &body), "{} in {}", &run[..end], body);
            }
        }
        let words: Vec<&str> = body.split_whitespace().collect();
        let from = from.min(words.len() - 1);
        let phrase = words[from..].iter().take(length).copied().collect::<Vec<_>>().join(" ");
        if Folded::of(&phrase).runs().next().is_some() {
            prop_assert!(finds(&format!("\"{phrase}\""), &body), "\"{phrase}\" in {body}");
            prop_assert!(finds(&phrase, &body), "{phrase} in {body}");
        }
    }

    #[test]
    fn whatever_somebody_types_is_a_wording_or_refused(text in "\\PC{0,60}") {
        if let Ok(wording) = Wording::parse(&text) {
            prop_assert!(!wording.terms().first.is_empty() && !wording.patterns().is_empty());
        }
    }
}
