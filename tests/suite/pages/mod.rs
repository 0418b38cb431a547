//! The pages for newcomers, followed word for word: what they say to type is
//! typed, and what they say is shown is waited for.

pub mod blocks;
mod terminals;

use crate::{harness::folder, process::free_address};
use std::fs;
use terminals::Terminals;

/// What is not run here: it needs a fault, fails on purpose, or is about ids of another log. Other tests have most of it.
const LEFT_OUT: [&str; 11] = [
    "docs/operating.md: $ herald doctor",
    "docs/operating.md: $ herald restore --from backups/2026-11-24 --keys-from keys/later --data elsewhere",
    "docs/operating.md: $ herald as-of --thread 01a20fd1-32f3-7195-ab52-79ea173bd41a --at 3:150",
    "docs/operating.md: $ herald as-of --thread 01a20fd1-32f3-7195-ab52-79ea173bd41a --at 2026-11-01T00:00:00Z",
    "docs/operating.md: $ herald rebuild timeline --check",
    "docs/operating.md: $ herald quarantine",
    "docs/operating.md: $ herald reshard --to postgres://…@a/herald,postgres://…@b/herald,postgres://…@c/herald --pace 20000",
    "docs/operating.md: herald serve --operator-listen 10.0.0.5:8081 …     # or HERALD_OPERATOR_LISTEN, or operator_listen in the file",
    "docs/operating.md: $ herald operator add Eve",
    "docs/operating.md: $ curl -H \"Authorization: Bearer $TOKEN\" http://10.0.0.5:8081/operator/v1/reports",
    "docs/operating.md: $ herald audit user bob",
];

/// Follows pages one after the other in one folder.
async fn follow(name: &str, pages: &[&str]) {
    let (folder, address) = (folder(name), free_address().to_string());
    let mut terminals = Terminals::open(&folder, &address).await;
    for page in pages {
        let left_out = terminals.follow(page).await;
        let expected: Vec<_> = LEFT_OUT.into_iter().filter(|left_out| left_out.starts_with(page)).collect();
        assert_eq!(left_out, expected, "what a page does not run is listed here");
    }
    drop(terminals);
    fs::remove_dir_all(folder).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_works_word_for_word() {
    follow("tutorial", &["docs/tutorial.md"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_as_its_page_shows_it() {
    follow("contract", &["docs/contract.md"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_the_guide_misses_nothing_and_operators_see_what_their_page_shows() {
    follow("clients", &["docs/clients.md", "docs/operating.md"]).await;
}
