use super::{Folded, LONGEST_TERM, MOST_TERMS, Run, signs, term};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

fn folded(text: &str) -> String {
    Folded::of(text).as_str().to_owned()
}

fn terms(text: &str) -> Vec<String> {
    Folded::of(text).terms().into_iter().collect()
}

#[test]
fn case_width_and_the_marks_of_alphabets_do_not_matter() {
    for (written, looked_for) in [
        ("Café CAFÉ cafe\u{301}", "cafe cafe cafe"),
        ("Straße STRASSE", "strasse strasse"),
        ("ＨＥＲＡＬＤ　ﾃｽﾄ ｶﾞ", "herald テスト ガ"),
        ("ΟΔΟΣ οδός", "οδοσ οδοσ"),
        ("İstanbul ISTANBUL ıstanbul", "istanbul istanbul istanbul"),
        ("Łódź Ærøskøbing Œuvre", "lodz aeroskobing oeuvre"),
        ("ёлка ЕЛКА мой мои", "елка елка мой мои"),
        ("أَحْمَد احمد", "احمد احمد"),
        ("שָׁלוֹם שלום", "שלום שלום"),
        ("ﬁne ①② x²", "fine 12 x2"),
        ("co\u{ad}operate zero\u{200d}width", "cooperate zerowidth"),
    ] {
        assert_eq!(folded(written), looked_for, "{written}");
    }
}

#[test]
fn marks_that_tell_words_apart_stay() {
    assert_eq!(folded("नमस्ते दुनिया"), "नमस्ते दुनिया");
    assert_eq!(folded("が か"), "が か");
    assert_eq!(folded("한국어"), "한국어");
}

#[test]
fn what_is_no_letter_and_no_digit_stands_between_words() {
    assert_eq!(folded("  don't, a_b@example.com; 👍🏽 100% "), "don t a b example com 100");
    assert_eq!(folded("👍 … ??"), "");
}

#[test]
fn a_script_without_spaces_is_a_run_of_its_own() {
    let text = Folded::of("买iPhone手机, コーヒー");
    let runs: Vec<_> = text.runs().collect();
    let expected = [Run::Unspaced("买"), Run::Word("iphone"), Run::Unspaced("手机"), Run::Unspaced("コーヒー")];
    assert_eq!(runs, expected);
    assert_eq!(terms("我喜欢北京"), ["京", "北京", "喜欢", "我喜", "欢北"]);
    assert_eq!(terms("茶 茶"), ["茶"]);
    assert_eq!(terms("ไทย"), ["ทย", "ย", "ไท"]);
}

#[test]
fn terms_are_bounded_in_length_and_number() {
    assert_eq!(terms(&"é".repeat(90)), ["e".repeat(LONGEST_TERM)]);
    let many: Vec<String> = (0..2 * MOST_TERMS).map(|number| number.to_string()).collect();
    assert_eq!(terms(&many.join(" ")).len(), MOST_TERMS);
}

#[test]
fn each_sign_tells_where_it_comes_from() {
    let found: Vec<_> = signs("Él, ﬁ").map(|sign| (sign.at, sign.folded)).collect();
    assert_eq!(found, [(0, 'e'), (2, 'l'), (5, ' '), (5, 'f'), (5, 'i')]);
}

proptest! {
    #[test]
    fn folding_again_changes_nothing(text in "\\PC{0,40}") {
        let once = folded(&text);
        prop_assert_eq!(&folded(&once), &once);
        prop_assert!(!once.contains("  ") && once.trim() == once);
    }

    #[test]
    fn composed_or_not_it_is_the_same(text in "\\PC{0,40}") {
        let (composed, decomposed) = (text.nfc().collect::<String>(), text.nfd().collect::<String>());
        prop_assert_eq!(folded(&composed), folded(&decomposed));
    }

    #[test]
    fn each_run_is_found_by_its_terms(text in "\\PC{0,40}") {
        let text = Folded::of(&text);
        let terms = text.terms();
        for run in text.runs() {
            match run {
                Run::Word(word) => prop_assert!(terms.contains(&term(word))),
                Run::Unspaced(run) => {
                    let chars: Vec<char> = run.chars().collect();
                    for pair in chars.windows(2) {
                        prop_assert!(terms.contains(&pair.iter().collect::<String>()));
                    }
                    for one in chars {
                        prop_assert!(terms.iter().any(|term| term.starts_with(one)));
                    }
                }
            }
        }
    }
}
