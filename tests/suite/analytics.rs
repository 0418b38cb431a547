//! `herald export`: each fact once, whatever broke it off; the questions of
//! `docs/analytics.md`, asked as they stand there; and the figures of the view of
//! that name, which answer the same.

use crate::{
    harness::{folder, program},
    packages::{self, run},
    pages::blocks,
    people::Person,
    process::Process,
};
use herald::embedded::Addresses;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// The rows of an answer, in a folder that was exported to.
async fn ask(lake: &Path, question: &str) -> Vec<Vec<Value>> {
    const PROGRAM: &str = "import duckdb, json, sys\n\
        print(json.dumps(duckdb.sql(sys.argv[1]).fetchall(), default=str))";
    let mut python = Command::new("python3");
    python.args(["-c", PROGRAM, question]).env("PYTHONPATH", packages::python("consumers").await).current_dir(lake);
    serde_json::from_str(&run(&mut python).await).unwrap()
}

fn export(data: &str, lake: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(["export", "--data", data, "--to"]).arg(lake).args(options).kill_on_drop(true);
    command
}

/// Rows whichever of both tells them: days without their hour, numbers without their kind.
fn plain(rows: &[Vec<Value>]) -> Vec<Vec<String>> {
    let cell = |cell: &Value| match cell {
        Value::String(text) => text.chars().take(10).collect(),
        Value::Number(number) => number.as_f64().unwrap().to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => cell.to_string(),
    };
    rows.iter().map(|row| row.iter().map(cell).collect()).collect()
}

/// How many facts of each type the log has, each receipt for itself.
async fn of_the_log(data: &str) -> BTreeMap<String, u64> {
    let mut events = Command::new(program());
    events.args(["events", "--data", data]);
    let mut counts = BTreeMap::new();
    for line in run(&mut events).await.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let kind = event["type"].as_str().unwrap().split('.').nth(2).unwrap().to_owned();
        *counts.entry(kind).or_default() += event["data"]["receipts"].as_array().map_or(1, |all| all.len() as u64);
    }
    counts
}

async fn of_the_lake(lake: &Path) -> BTreeMap<String, u64> {
    let counts = ask(lake, "SELECT type, count(*) FROM read_parquet('events/*/*/*.parquet') GROUP BY type").await;
    counts.into_iter().map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_u64().unwrap())).collect()
}

fn parquets(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            parquets(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_is_what_the_log_has_once_and_nobodys_name() {
    let place = folder("analytics");
    let (data, lake) = (place.join("data").display().to_string(), place.join("lake"));
    let herald = Process::start(&["--data", &data, "--durability", "unsynced"]).await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let write = async |texts: u32| {
        for text in 0..texts {
            assert_eq!(ada.write(&bob, &format!("text {text}")).await.status, StatusCode::CREATED);
        }
    };
    write(60).await;
    ada.create_group(&[&bob]).await;
    let thread_id = ada.write(&bob, "the last").await.body["thread_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/threads/{thread_id}/receipt");
    let read = bob.request(reqwest::Method::PUT, &path).json(&json!({ "delivered": 61, "read": 50 }));
    read.send().await.unwrap().error_for_status().unwrap();

    // Broken off as soon as there is a file, and what was not whole left behind.
    let mut broken = export(&data, &lake, &[]).spawn().unwrap();
    let mut found = Vec::new();
    while found.is_empty() && broken.try_wait().unwrap().is_none() {
        parquets(&lake, &mut found);
        tokio::task::yield_now().await;
    }
    broken.kill().await.unwrap();
    let stray = lake.join("events/type=message_sent/day=2000-01-01");
    fs::create_dir_all(&stray).unwrap();
    fs::write(stray.join("00000009.parquet"), "of a run that was broken off").unwrap();
    fs::write(stray.join("00000009.part"), "the same").unwrap();

    for _ in 0..2 {
        run(&mut export(&data, &lake, &[])).await;
        assert_eq!(of_the_lake(&lake).await, of_the_log(&data).await);
        write(7).await;
    }
    let said: Value = serde_json::from_str(&run(&mut export(&data, &lake, &["--json"])).await).unwrap();
    assert!(said["added"].as_u64().unwrap() >= 7, "only what is new: {said}");
    let again: Value = serde_json::from_str(&run(&mut export(&data, &lake, &["--json"])).await).unwrap();
    assert_eq!((&again["added"], &again["rows"]), (&json!(0), &said["rows"]), "nothing twice");

    let [active, messages, sizes, delays, retention] = blocks::of("docs/analytics.md", "sql").try_into().unwrap();
    let day = |rows: &[Vec<Value>]| rows.iter().map(|row| row[1].as_u64().unwrap()).sum::<u64>();
    let were_active = ask(&lake, &active).await;
    assert_eq!(were_active.last().unwrap()[2], 2, "both: {were_active:?}");
    assert_eq!(day(&ask(&lake, &messages).await), 60 + 1 + 14);
    assert_eq!(ask(&lake, &sizes).await, [[json!(2), json!(1)]]);
    let mut seen = BTreeMap::<_, u64>::new();
    for row in ask(&lake, &delays).await {
        *seen.entry(row[1].as_str().unwrap().to_owned()).or_default() += row[2].as_u64().unwrap();
    }
    assert_eq!(seen, [("delivered".to_owned(), 61), ("read".to_owned(), 50)].into());
    assert_eq!(ask(&lake, &retention).await.iter().map(|row| row[2].as_u64().unwrap()).sum::<u64>(), 2);
    let mut database = PgConnection::connect(&Addresses::of(data.as_ref()).unwrap().database_url).await.unwrap();
    let written = "SELECT coalesce(sum(messages), 0)::bigint FROM figures.daily";
    while sqlx::query_scalar::<_, i64>(written).fetch_one(&mut database).await.unwrap() < 60 + 1 + 14 {
        tokio::task::yield_now().await;
    }
    for (figures, question) in [
        ("daily.day, daily.active, monthly.active)::text FROM figures.daily JOIN figures.monthly USING (day)", active),
        (
            "day, messages, wrote, round(messages::numeric / wrote, 1))::text FROM figures.daily WHERE messages > 0",
            messages,
        ),
        ("size, groups)::text FROM figures.group_sizes", sizes),
        ("week, weeks, stayed)::text FROM figures.retention", retention),
    ] {
        let rows = AssertSqlSafe(format!("SELECT json_build_array({figures} ORDER BY 1"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut database).await.unwrap();
        let rows: Vec<Vec<Value>> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
        assert_eq!(plain(&rows), plain(&ask(&lake, &question).await));
    }

    let mut files = Vec::new();
    parquets(&lake, &mut files);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for person in [&ada, &bob] {
            let id: uuid::Uuid = person.user_id.parse().unwrap();
            assert!(!bytes.windows(16).any(|window| window == id.as_bytes()), "{}", file.display());
            assert!(!bytes.windows(36).any(|window| window == person.user_id.as_bytes()), "{}", file.display());
        }
    }
    let other = export(&data, &lake, &["--ids"]).output().await.unwrap();
    assert!(!other.status.success() && String::from_utf8_lossy(&other.stderr).contains("other names"));
    let by_id = place.join("by-id");
    run(&mut export(&data, &by_id, &["--ids"])).await;
    let actors = ask(&by_id, "SELECT DISTINCT actor FROM read_parquet('events/type=message_sent/*/*.parquet')").await;
    assert_eq!(actors, [[json!(ada.user_id)]]);
}
