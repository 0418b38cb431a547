//! The pages for newcomers, followed word for word: what they say to type is
//! typed, and what they say is shown is waited for.

pub mod blocks;
mod terminals;

use crate::{harness::folder, process::free_address};
use blocks::Block;
use std::{fs, path::Path};
use terminals::Terminals;

/// What is not run here: it needs a fault, fails on purpose, or is about ids of another log. Other tests have most of it.
const LEFT_OUT: [&str; 14] = [
    "README.md: cargo test              # all tests, on real servers that they start themselves",
    "README.md: herald serve --nats-url nats://… --nats-monitor-url http://… --database-url postgres://…",
    "README.md: cargo test --test suite faults::long -- --ignored --nocapture --test-threads 1",
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
async fn follow(name: &str, pages: &[&str], settings: &[(&str, &str)]) {
    let (folder, address) = (folder(name), free_address().to_string());
    let mut terminals = Terminals::open(&folder, &address, settings).await;
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
    follow("tutorial", &["docs/tutorial.md"], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_as_its_page_shows_it() {
    follow("contract", &["docs/contract.md"], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_the_guide_misses_nothing_and_operators_see_what_their_page_shows() {
    follow("clients", &["docs/clients.md", "docs/operating.md"], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_first_page_promises_to_work_does() {
    // The people of the demo sign up from one address.
    follow("readme", &["README.md"], &[("HERALD_RATE_LIMITS", "off")]).await;
}

/// What pages that other tests are about have in blocks of a shell: whoever adds one says here why it is not followed.
#[test]
fn no_page_has_commands_that_are_neither_followed_nor_known() {
    const KNOWN: [&str; 7] = [
        // Tests of their own run these, with rights and addresses of a test's.
        "docs/analytics.md: herald export --to lake                                   # of the herald that runs here, on ./data",
        "docs/analytics.md: CREATE ROLE herald_figures;",
        "docs/consumers.md: herald events --credentials        # nats://consumer:…@127.0.0.1:4222, of the herald that runs on ./data",
        "docs/consumers.md: herald events                                       # all that is in the log",
        "docs/push.md: export HERALD_PUSH_SECRET=whsec_$(openssl rand -base64 32)",
        // Of alerts that were raised, and of a Prometheus that its reader has.
        "docs/runbook.md: herald doctor",
        "docs/runbook.md: prometheus --config.file=observability/prometheus.yml --web.listen-address=127.0.0.1:9091",
    ];
    const FOLLOWED: [&str; 5] =
        ["README.md", "docs/tutorial.md", "docs/contract.md", "docs/clients.md", "docs/operating.md"];
    let docs = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    let mut pages: Vec<_> = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().display())).collect();
    let is_page = |page: &String| Path::new(page).extension().is_some_and(|extension| extension == "md");
    pages.retain(|page| is_page(page) && !FOLLOWED.contains(&page.as_str()));
    pages.sort();
    let is_of_a_shell = |block: &Block| {
        ["sh", "console", ""].contains(&block.language.as_str())
            && !block.text.starts_with("POST ")
            && !block.text.contains('▶')
    };
    let commands = pages.iter().flat_map(|page| {
        let blocks = blocks::blocks(page).into_iter().filter(is_of_a_shell);
        blocks.map(move |block| format!("{page}: {}", block.text.lines().next().unwrap_or_default()))
    });
    assert_eq!(commands.collect::<Vec<_>>(), KNOWN);
}
