use super::{Account, Limits, Problem};
use crate::{address::Client, problem::Kind};
use axum::{http::header::RETRY_AFTER, response::IntoResponse};
use events::UserId;
use std::time::Duration;
use tokio::time::advance;
use uuid::Uuid;

fn at(address: &str) -> Client {
    Client(address.parse().expect("an address"))
}

fn fail(limits: &Limits, address: &str, username: &str) -> Result<(), Problem> {
    limits.log_in(at(address), Account::named(username)).map(|_counts| ())
}

fn retry_after(refused: Result<(), Problem>) -> u64 {
    let problem = refused.expect_err("too many");
    assert_eq!(problem.kind(), Kind::TooManyRequests);
    let response = problem.into_response();
    response.headers()[RETRY_AFTER].to_str().expect("a text").parse().expect("seconds")
}

#[tokio::test(start_paused = true)]
async fn the_sixth_failure_of_an_account_waits_wherever_it_comes_from() {
    let limits = Limits::new(true);
    for host in 1..=5 {
        assert_eq!(fail(&limits, &format!("192.0.2.{host}"), "ada"), Ok(()));
    }
    // Whatever the name looks like, it is the same account.
    assert_eq!(retry_after(fail(&limits, "192.0.2.9", "ADA")), 300);
    assert_eq!(fail(&limits, "192.0.2.9", "bob"), Ok(()));
    advance(Duration::from_secs(299)).await;
    assert_eq!(retry_after(fail(&limits, "192.0.2.10", "ada")), 1);
    advance(Duration::from_secs(1)).await;
    assert_eq!(fail(&limits, "192.0.2.11", "ada"), Ok(()));
    assert_eq!(retry_after(fail(&limits, "192.0.2.12", "ada")), 300);
}

#[tokio::test(start_paused = true)]
async fn an_address_and_the_network_of_an_ipv6_address_count_as_one() {
    let limits = Limits::new(true);
    for number in 0..5 {
        assert_eq!(fail(&limits, &format!("2001:db8::{number}:7"), &format!("name{number}")), Ok(()));
    }
    assert_eq!(retry_after(fail(&limits, "2001:db8::9:9", "another")), 300);
    assert_eq!(fail(&limits, "2001:db8:0:1::7", "another"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_succeeds_does_not_count_and_forgives_nothing_else() {
    let limits = Limits::new(true);
    for _ in 0..50 {
        limits.log_in(at("192.0.2.1"), Account::named("ada")).expect("it does not count").give_back();
    }
    for _ in 0..4 {
        assert_eq!(fail(&limits, "192.0.2.1", "ada"), Ok(()));
    }
    limits.log_in(at("192.0.2.1"), Account::named("ada")).expect("the fifth").give_back();
    assert_eq!(fail(&limits, "192.0.2.1", "ada"), Ok(()));
    retry_after(fail(&limits, "192.0.2.1", "ada"));
}

#[tokio::test(start_paused = true)]
async fn sends_receipts_look_ups_and_sign_ups_have_their_rates() {
    let limits = Limits::new(true);
    let [ada, bob] = [1, 2].map(|number| UserId::from_uuid(Uuid::from_u128(number)));
    let burst = |limit: &dyn Fn() -> Result<(), Problem>| (0..1_000).take_while(|_| limit().is_ok()).count();
    assert_eq!(burst(&|| limits.send(ada)), 60);
    assert_eq!(limits.send(bob), Ok(()));
    assert_eq!(burst(&|| limits.look_up(ada)), 100);
    assert_eq!(burst(&|| limits.receipt(ada)), 300);
    assert_eq!(burst(&|| limits.sign_up(at("192.0.2.1")).map(|_counts| ())), 6);
    advance(Duration::from_secs(1)).await;
    assert_eq!(burst(&|| limits.send(ada)), 20);
    assert_eq!(burst(&|| limits.look_up(ada)), 1);
    assert_eq!(burst(&|| limits.receipt(ada)), 100);
    assert_eq!(retry_after(limits.sign_up(at("192.0.2.1")).map(|_counts| ())), 29);
    advance(Duration::from_secs(29)).await;
    assert_eq!(burst(&|| limits.sign_up(at("192.0.2.1")).map(|_counts| ())), 1);
}

#[tokio::test(start_paused = true)]
async fn turned_off_there_are_none() {
    let limits = Limits::new(false);
    for _ in 0..1_000 {
        assert_eq!(fail(&limits, "192.0.2.1", "ada"), Ok(()));
        assert_eq!(limits.send(UserId::from_uuid(Uuid::nil())), Ok(()));
        assert_eq!(limits.receipt(UserId::from_uuid(Uuid::nil())), Ok(()));
    }
    assert!(limits.flood().is_none());
}
