//! Ids, names, texts, positions and subjects: what parses, and what is refused.

use crate::{
    Aggregate, Emoji, GatewayId, Partition, Position, ThreadId, UserId, Vector,
    id::InvalidId,
    name::{InvalidUsername, Username},
    subject::Names,
    text::{Body, InvalidText, Line},
};
use proptest::prelude::*;
use std::collections::HashSet;
use uuid::Uuid;

#[test]
fn an_id_is_a_uuid_in_lower_case_hyphenated_form() {
    let good = "0190c0de-0000-7000-8000-00000000000a";
    assert!(good.parse::<UserId>().is_ok());
    for bad in [&good.to_uppercase(), "0190c0de00007000800000000000000a", &format!("{{{good}}}"), "", "x"] {
        assert_eq!(bad.parse::<UserId>(), Err(InvalidId::NotAUuid), "{bad}");
    }
    assert!(UserId::parse_minted(good).is_ok());
    assert_eq!(UserId::parse_minted("0190c0de-0000-4000-8000-00000000000a"), Err(InvalidId::NotVersion7));
}

#[test]
fn a_direct_thread_is_the_same_from_either_side() {
    let (one, other) = (UserId::from_uuid(Uuid::from_u128(1)), UserId::from_uuid(Uuid::from_u128(2)));
    assert_eq!(ThreadId::direct(one, other), ThreadId::direct(other, one));
    assert_eq!(ThreadId::direct(one, other).to_string(), "d73547a9-af9c-519e-b0c0-ba0021b33202");
    assert_eq!(ThreadId::direct(one, other).uuid().get_version_num(), 5);
}

#[test]
fn usernames_are_folded_before_they_are_judged() {
    for (typed, canonical) in
        [("Ada", "ada"), ("ＡＤＡ", "ada"), ("zoë", "zoë"), ("ZOE\u{308}", "zoë"), ("名前です", "名前です")]
    {
        assert_eq!(Username::parse(typed).map(|name| name.as_str().to_owned()).as_deref(), Ok(canonical), "{typed}");
    }
    let table = [
        ("ab", InvalidUsername::Length),
        ("", InvalidUsername::Character),
        (&"a".repeat(33), InvalidUsername::Length),
        ("a b c", InvalidUsername::Character),
        ("ad\u{202e}min", InvalidUsername::Character),
        ("ad\u{200b}a", InvalidUsername::Character),
        ("a\0b", InvalidUsername::Character),
        ("\u{430}dmin", InvalidUsername::MixedScripts),
        ("Admin", InvalidUsername::Reserved),
        ("ａｄｍｉｎ", InvalidUsername::Reserved),
    ];
    for (typed, refused) in table {
        assert_eq!(Username::parse(typed), Err(refused), "{typed:?}");
    }
}

#[test]
fn names_that_look_alike_are_one_claim() {
    let claim = |typed| Username::parse(typed).unwrap().claim();
    assert_eq!(claim("paypal"), claim("PayPal"));
    assert_eq!(claim("paypa1"), claim("paypal"));
    assert_ne!(claim("paypal"), claim("paypol"));
}

#[test]
fn a_body_has_1_to_32_768_bytes_and_no_control_characters() {
    assert_eq!(Body::parse(""), Err(InvalidText::Empty));
    assert!(Body::parse(&"x".repeat(32_768)).is_ok());
    assert_eq!(Body::parse(&"x".repeat(32_769)), Err(InvalidText::TooManyBytes(32_768)));
    for bad in ["\0", "a\u{7}", "\u{85}", "\r\n"] {
        assert_eq!(Body::parse(bad), Err(InvalidText::ControlCharacter), "{bad:?}");
    }
    assert_eq!(Body::parse("e\u{301}\n\t").unwrap().as_str(), "é\n\t");
    assert_eq!(Line::parse(" \u{3000}"), Err(InvalidText::Empty));
    assert_eq!(Line::parse(&"é".repeat(65)), Err(InvalidText::TooManyCharacters(64)));
    assert_eq!(Line::parse(" Ada ").unwrap().as_str(), "Ada");
}

#[test]
fn positions_have_one_text_form() {
    let vector: Vector = "0:17,3:1289".parse().unwrap();
    assert_eq!(vector.to_string(), "0:17,3:1289");
    assert_eq!("".parse::<Vector>(), Ok(Vector::default()));
    for bad in ["3", "3:", ":3", "3:x", "3:-1", "03:1", "3:01", "+3:1", "1:1,1:2", "1:1,", "70000:1", "1:1;2:2"] {
        assert!(bad.parse::<Vector>().is_err(), "{bad}");
    }
}

#[test]
fn a_vector_covers_what_it_has_reached_where_the_other_looks() {
    let vector = |text: &str| text.parse::<Vector>().unwrap();
    assert!(vector("0:5,1:3").covers(&vector("0:5")));
    assert!(vector("0:5,1:3").covers(&vector("")));
    assert!(!vector("0:5,1:3").covers(&vector("1:4")));
    assert!(!vector("0:5").covers(&vector("1:1")));
    let mut raised = vector("0:5");
    raised.raise(Position { partition: Partition(0), sequence: 3 });
    assert_eq!(raised, vector("0:5"));
}

#[test]
fn what_two_vectors_have_both_seen_is_the_lower_where_both_look_and_all_where_one_does() {
    let vector = |text: &str| text.parse::<Vector>().unwrap();
    assert_eq!(vector("0:5,1:3").with_lower(&vector("1:2,2:7")), vector("0:5,1:2,2:7"));
    assert_eq!(vector("0:5").with_lower(&Vector::default()), vector("0:5"));
    assert_eq!(vector("0:5,1:3,2:7").within(&vector("0:0,2:9")), vector("0:5,2:7"));
    assert!(vector("0:0").names(Partition(0)) && !vector("0:0").names(Partition(1)));
}

proptest! {
    #[test]
    fn subjects_are_parsed_back(id: u128, partitions in 1_u16..64, prefixed: bool) {
        let names = Names::new(if prefixed { "t1" } else { "" }, partitions);
        let id = Uuid::from_u128(id);
        let partition = names.partition(id);
        for aggregate in [
            Aggregate::User(UserId::from_uuid(id)),
            Aggregate::Thread(ThreadId::from_uuid(id)),
            Aggregate::Receipts(partition),
            Aggregate::Deployment,
            Aggregate::Gateway(GatewayId::from_uuid(id)),
        ] {
            let subject = names.subject(aggregate);
            prop_assert_eq!(names.parse(&subject), Some(aggregate));
            prop_assert_eq!(names.parse(&format!("{subject}.more")), None);
            prop_assert_eq!(Names::new("other", partitions).parse(&subject), None);
        }
    }

    #[test]
    fn vectors_are_parsed_back(positions: Vec<(u16, u64)>) {
        let vector: Vector =
            positions.into_iter().map(|(p, sequence)| Position { partition: Partition(p), sequence }).collect();
        prop_assert_eq!(vector.to_string().parse::<Vector>(), Ok(vector));
    }

    #[test]
    fn no_text_panics_a_parser(text: String) {
        let _ = (Username::parse(&text), Body::parse(&text), Line::parse(&text), text.parse::<Vector>());
    }
}

#[test]
fn ids_spread_over_all_partitions_and_stay_where_they_are() {
    let names = Names::new("", 4);
    let of = |id: u128| names.partition(Uuid::from_u128(id)).0;
    assert_eq!([of(1), of(2), of(3), of(4)], PINNED);
    assert_eq!((0..100).map(of).collect::<HashSet<_>>().len(), 4);
}

/// The hash is part of the storage format.
const PINNED: [u16; 4] = [3, 0, 2, 0];

#[test]
fn an_emoji_is_one_sequence_in_its_full_form() {
    for (typed, told) in [("👍", "👍"), ("👍🏽", "👍🏽"), ("❤", "❤️"), ("❤️", "❤️"), ("👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"), ("🇩🇪", "🇩🇪")]
    {
        assert_eq!(typed.parse::<Emoji>().as_ref().map(Emoji::as_str), Ok(told), "{typed}");
    }
    for bad in ["", "a", "👍👍", "👍 ", ":+1:", "\u{200d}", "🏽a", "1", "#"] {
        assert!(bad.parse::<Emoji>().is_err(), "{bad}");
    }
}
