//! Alerts, their tests, the runbook and the dashboards, as they are written: they
//! name each other, metrics that there are, and commands that herald knows.

use super::conversation::{Seen, seen};
use crate::{harness::program, packages::run};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// An alert of `alerts.yml`.
pub struct Rule {
    pub name: String,
    expr: String,
    runbook: String,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("observability")
}

pub fn rules() -> Vec<Rule> {
    let alerts = fs::read_to_string(folder().join("alerts.yml")).unwrap();
    let rule = |text: &str| {
        let field = |name| {
            let value = text.lines().find_map(|line| line.trim().strip_prefix(name));
            value.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
        };
        Rule { name: text.lines().next().unwrap().to_owned(), expr: field("expr: "), runbook: field("runbook: ") }
    };
    alerts.split("- alert: ").skip(1).map(rule).collect()
}

/// What the dashboards ask: Prometheus by `expr`, Postgres by `rawSql`.
pub fn questions(by: &str) -> Vec<String> {
    let mut questions = Vec::new();
    for entry in fs::read_dir(folder().join("dashboards")).unwrap() {
        let dashboard = fs::read_to_string(entry.unwrap().path()).unwrap();
        collect(&serde_json::from_str(&dashboard).unwrap(), by, &mut questions);
    }
    questions
}

/// All texts of that name, at any depth.
fn collect(value: &Value, wanted: &str, found: &mut Vec<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(text) if name == wanted => found.push(text.to_owned()),
            _ => collect(value, wanted, found),
        }
    }
    value.as_array().into_iter().flatten().for_each(|value| collect(value, wanted, found));
}

fn runbook() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_and_alerts_ask_for_metrics_that_there_are() {
    let Seen { metrics, .. } = seen().await;
    let there: BTreeSet<_> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let of_dashboards = questions("expr");
    assert!(of_dashboards.len() >= 15, "{of_dashboards:#?}");
    for question in rules().into_iter().map(|rule| rule.expr).chain(of_dashboards) {
        let words = question.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let mut asked = words.filter(|word| ["herald_", "db_", "http_server_"].iter().any(|of| word.starts_with(of)));
        let known = |word: &str| {
            let series = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part));
            there.contains(word) || series.is_some_and(|name| there.contains(name))
        };
        let first = asked.next().unwrap_or_else(|| panic!("{question} asks for nothing of ours"));
        assert!(known(first) && asked.all(known), "{question} asks for what is not there");
    }
}

#[test]
fn each_alert_has_its_paragraph_in_the_runbook_and_each_paragraph_its_alert() {
    let runbook = runbook();
    let paragraphs: Vec<(&str, &str)> =
        runbook.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let rules = rules();
    let alerts: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(alerts, paragraphs.iter().map(|(title, _)| *title).collect());
    assert_eq!(alerts.len(), paragraphs.len(), "one is there twice");
    for (title, paragraph) in paragraphs {
        assert!(paragraph.split_whitespace().count() >= 20, "{title} says hardly anything");
    }
    for Rule { name, runbook, .. } in &rules {
        assert_eq!(*runbook, format!("docs/runbook.md#{}", name.to_lowercase()));
    }
}

#[test]
fn each_alert_is_tested_to_be_raised_and_to_end() {
    let tests = fs::read_to_string(folder().join("alerts_test.yml")).unwrap();
    let tests: Vec<(&str, &str)> = tests.split("- name: ").skip(1).map(|test| test.split_once('\n').unwrap()).collect();
    for Rule { name, .. } in rules() {
        let of_this: Vec<_> = tests.iter().filter(|(tested, _)| *tested == name).collect();
        assert!(!of_this.is_empty(), "{name} has no test");
        for (_, test) in of_this {
            let expected: Vec<_> = test.lines().filter_map(|line| line.split_once("exp_samples: ")).collect();
            let raised = format!("alertname=\"{name}\"");
            let is_raised: Vec<_> = expected.iter().map(|(_, samples)| samples.contains(&raised)).collect();
            assert_eq!(is_raised, [false, true, false], "{name}");
        }
    }
}

#[tokio::test]
async fn the_runbook_names_commands_that_herald_knows() {
    let help = run(Command::new(program()).arg("help")).await;
    let known: BTreeSet<_> = help.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let runbook = runbook();
    let named: BTreeSet<_> =
        runbook.split(['`', '\n']).filter_map(|text| text.strip_prefix("herald ")?.split(' ').next()).collect();
    assert!(named.contains("doctor") && named.contains("quarantine"), "{named:?}");
    assert!(named.is_subset(&known), "{named:?} of {known:?}");
}
