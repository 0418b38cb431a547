//! What reading has shown, beside the bare statements.

use crate::bench::report::{Check, Columns, Each, Latency, Percent, Setting};
use serde::Serialize;
use std::fmt;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) settings: Settings,
    pub(super) history: Read,
    pub(super) history_at_once: Read,
    pub(super) inbox: Read,
    pub(super) inbox_at_once: Read,
    pub(super) presence: Read,
    pub(super) presence_at_once: Read,
    pub(super) check: Check,
}

#[derive(Debug, Serialize)]
pub(super) struct Settings {
    #[serde(flatten)]
    pub(super) setting: Setting,
    pub(super) readers: usize,
    pub(super) threads: usize,
    pub(super) page: usize,
    pub(super) body_bytes: u16,
    pub(super) at_once: u32,
}

/// A kind of page, so many at once.
#[derive(Debug, Serialize)]
pub(super) struct Read {
    pub(super) rest: Runs,
    pub(super) sql: Option<Runs>,
    /// Answers a second, against those of the bare statement.
    pub(super) of_sql: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Runs {
    pub(super) per_second: f64,
    pub(super) ms: Latency,
    /// CPU microseconds for each.
    pub(super) us_each: Each<f64>,
    #[serde(skip)]
    pub(super) answers: u64,
    #[serde(skip)]
    pub(super) wrong: u64,
}

impl Read {
    pub(super) fn new(rest: Runs, sql: Option<Runs>) -> Self {
        let of_sql = sql.as_ref().map(|sql| rest.per_second / sql.per_second);
        Self { rest, sql, of_sql }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { setting, readers, threads, page, body_bytes, at_once } = &self.settings;
        writeln!(f, "{setting}")?;
        writeln!(f, "{readers} readers of {threads} threads, pages of {page}, {body_bytes} B a message")?;
        writeln!(f, "\n                       a second    of SQL    p50 ms       p99     p99.9       max")?;
        let many = |what: &str| format!("{what}, {at_once} at once");
        let kinds = [
            ("history".to_owned(), &self.history),
            (many("history"), &self.history_at_once),
            ("inbox".to_owned(), &self.inbox),
            (many("inbox"), &self.inbox_at_once),
            ("presence".to_owned(), &self.presence),
            (many("presence"), &self.presence_at_once),
        ];
        for (name, Read { rest, sql, of_sql }) in &kinds {
            writeln!(f, "{name:<20}{:>11.0}{:>10}{}", rest.per_second, Percent(*of_sql), rest.ms)?;
            if let Some(sql) = sql {
                writeln!(f, "  bare SQL          {:>11.0}{:>10}{}", sql.per_second, "", sql.ms)?;
            }
        }
        writeln!(f, "\nCPU µs each              herald      NATS  Postgres     bench")?;
        for (name, Read { rest, sql, .. }) in &kinds {
            writeln!(f, "{name:<20}{:>11}", Columns(rest.us_each, 1))?;
            if let Some(sql) = sql {
                writeln!(f, "  bare SQL          {:>11}", Columns(sql.us_each, 1))?;
            }
        }
        self.check.told("answers, each as it was taken apart before").fmt(f)
    }
}
