use super::{Estimate, Options, costs::Costs, demand::number, page::page};
use clap::{Args, Command, FromArgMatches};

fn asked(arguments: &str) -> Options {
    let command = Options::augment_args(Command::new("estimate").no_binary_name(true));
    let matches = command.try_get_matches_from(arguments.split_whitespace()).unwrap();
    Options::from_arg_matches(&matches).unwrap()
}

fn estimate(arguments: &str, costs: &Costs) -> Estimate {
    let Options { people, machine, .. } = asked(arguments);
    Estimate::of(people, machine, costs)
}

#[test]
fn the_seeds_own_figures_come_out() {
    let seed = estimate("--dau 100M --messages-per-user 20 --peak 5 --body 30 --years 5", &Costs::default()).seed;
    for (figure, expected) in [
        // Which the seed rounds to 20 K.
        (seed.messages_a_second, 100e6 * 20.0 / 86_400.0),
        // 100 K.
        (seed.messages_a_second_at_peak, 115_740.740_740_741),
        (seed.gigabytes_a_day, 60.0),
        // About 100 TB.
        (seed.terabytes, 109.5),
    ] {
        assert!((figure / expected - 1.0).abs() < 1e-9, "{figure} for {expected}");
    }
}

#[test]
fn ten_times_the_people_write_ten_times_as_much() {
    let costs = Costs::default();
    let (few, many) = (estimate("--dau 1M", &costs).plan, estimate("--dau 10M", &costs).plan);
    for (few, many) in [
        (few.log_terabytes, many.log_terabytes),
        (few.view_terabytes, many.view_terabytes),
        (few.subjects, many.subjects),
        (few.peak.messages, many.peak.messages),
        // A message costs the same.
        (few.us_a_message, 10.0 * many.us_a_message),
    ] {
        assert!((many / few - 10.0).abs() < 1e-6, "{few} {many}");
    }
}

#[test]
fn more_people_never_take_fewer_machines() {
    let estimate = estimate("", &Costs::default());
    let of = |role: Option<f64>| role.unwrap_or(f64::INFINITY);
    for pair in estimate.growth.windows(2) {
        for (fewer, more) in
            [(pair[0].edge, pair[1].edge), (pair[0].nats, pair[1].nats), (pair[0].postgres, pair[1].postgres)]
        {
            assert!(of(fewer) <= of(more), "{pair:?}");
        }
    }
}

#[test]
fn a_gateway_that_does_nothing_but_read_the_log_is_a_limit_and_not_a_number() {
    let costs = Costs { tail_edge_us: 1e6, ..Costs::default() };
    let estimate = estimate("--dau 1B", &costs);
    assert_eq!(estimate.plan.edge.machines, None);
    assert_eq!(estimate.plan.machines(), None);
    assert!(estimate.to_string().contains('∞'));
}

#[test]
fn limits_are_told_the_first_first_and_what_was_passed_is_said_to_be() {
    let estimate = estimate("--dau 100M --cores 2 --memory 4 --network 1", &Costs::default());
    assert!(estimate.limits.is_sorted_by(|one, other| one.dau <= other.dau));
    assert!(estimate.limits[0].dau < 100e6, "{:?}", estimate.limits[0]);
    assert!(estimate.to_string().contains("reached: "));
}

#[test]
fn what_is_measured_here_replaces_what_was_measured_elsewhere() {
    let costs = Costs::parse(r#"{"machine":"<here>","message_edge_us":660.0}"#).unwrap();
    assert_eq!(costs, Costs { machine: "<here>".to_owned(), message_edge_us: 660.0, ..Costs::default() });
    let page = page(&estimate("", &costs));
    assert!(page.contains("&lt;here&gt;") && !page.contains("<here>"));
    for wrong in [r#"{"message_edge_us":0}"#, r#"{"no_such_us":1}"#, "nothing", r#"{"message_edge_us":-1}"#] {
        assert!(Costs::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn numbers_take_units() {
    for (text, value) in [("20", 20.0), ("0.5", 0.5), ("100K", 1e5), ("1.5M", 1.5e6), ("2B", 2e9), ("0", 0.0)] {
        assert_eq!(number(text), Ok(value), "{text}");
    }
    for text in ["", "M", "-1", "1e400", "NaN", "inf", "1,000", "10 M", "1MM", "é"] {
        assert!(number(text).is_err(), "{text}");
    }
}
