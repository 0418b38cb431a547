//! What one of each thing costs: measured where it can be, else assumed, and
//! said which. `herald bench --calibrate` writes a file of them for the machine
//! at hand; what that leaves out holds as it is here.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// Where a figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    Measured,
    Assumed,
}

/// A figure with what it means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Described {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) value: f64,
    pub(crate) source: Source,
}

macro_rules! costs {
    ($($source:ident $name:ident = $value:literal, $meaning:literal;)+) => {
        /// One of each.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct Costs {
            /// On what they were measured.
            pub(crate) machine: String,
            $(#[doc = $meaning] pub(crate) $name: f64,)+
        }

        impl Default for Costs {
            fn default() -> Self {
                Self { machine: MACHINE.to_owned(), $($name: $value,)+ }
            }
        }

        impl Costs {
            pub(crate) fn described(&self) -> Vec<Described> {
                vec![$(Described {
                    name: stringify!($name),
                    meaning: $meaning,
                    value: self.$name,
                    source: Source::$source,
                },)+]
            }
        }
    };
}

/// What the figures below were measured on.
const MACHINE: &str = "two cores of an EPYC, load generator beside it";

costs! {
    Measured message_edge_us = 66.0, "CPU of herald for a message from one to another: decided, appended, told to both, projected, µs";
    Measured message_nats_us = 25.0, "CPU of NATS for it, one copy, µs";
    Measured message_postgres_us = 58.0, "CPU of Postgres for it in all views, µs";
    Measured delivery_us = 5.6, "CPU of herald for each further one who is told, µs";
    Measured hello_edge_us = 212.0, "CPU of herald for a socket's hello, µs";
    Measured hello_postgres_us = 142.0, "CPU of Postgres for it, µs";
    Measured connection_kib = 7.4, "memory of herald for a connection that is held, KiB";
    Measured log_in_us = 19_000.0, "CPU of herald for a log-in: one hash of a password, µs";
    Measured read_us = 400.0, "CPU of Postgres for a page of history or of the inbox, µs";
    Measured tail_edge_us = 5.0, "CPU of who reads an event of the log, µs";
    Measured tail_nats_us = 2.7, "CPU of NATS for each who reads it, µs";
    Measured message_log_bytes = 169.0, "bytes of the log for a message of 30 characters, compressed, one copy";
    Measured timeline_bytes = 249.0, "bytes of `timeline` for it, indexes included";
    Measured search_bytes = 1_278.0, "bytes of `search` for it";
    Measured wal_bytes = 385.0, "bytes of Postgres' own log for it";
    Measured subject_bytes = 180.0, "memory of NATS for a subject (a person or a thread), one copy";
    Measured stream_per_second = 46_000.0, "appends a second that one partition takes, three copies";
    Measured replicated_nats_us = 34.0, "CPU of all NATS nodes for a message, three copies, µs";
    Measured rebuild_per_second = 55_000.0, "events a second that a rebuild applies, for each core";
    Assumed receipt_log_bytes = 80.0, "bytes of the log for one watermark of one person, compressed, one copy";
    Assumed frame_bytes = 300.0, "bytes on the network for a frame to a client";
    Assumed head_bytes = 400.0, "bytes of the views for a person's place in a thread";
}

impl Costs {
    /// # Errors
    /// When the file is not there, or says something else.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path);
        text.map_err(Into::into).and_then(|text| Self::parse(&text)).with_context(|| path.display().to_string())
    }

    /// # Errors
    /// When it is no JSON, names what no cost is called, or a figure that is not above 0.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let costs: Self = serde_json::from_str(text)?;
        for Described { name, value, .. } in costs.described() {
            ensure!(value.is_finite() && value > 0.0, "{name} must be above 0, and is {value}");
        }
        Ok(costs)
    }
}
