//! One thing that was looked at: how it is, and what to do about it.

use crate::operate::printable;
use serde::Serialize;
use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Ok,
    /// It works, and may not for long, or was not looked at.
    Warn,
    /// A promise is not kept, or something does not answer.
    Fail,
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Area {
    Nats,
    Log,
    Nodes,
    Postgres,
    Views,
    Clock,
    Disk,
    Files,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) area: Area,
    pub(super) verdict: Verdict,
    what: String,
    remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(area: Area, what: impl AsRef<str>) -> Self {
        Self::new(area, Verdict::Ok, what)
    }

    pub(super) fn warns(area: Area, what: impl AsRef<str>) -> Self {
        Self::new(area, Verdict::Warn, what)
    }

    pub(super) fn fails(area: Area, what: impl AsRef<str>) -> Self {
        Self::new(area, Verdict::Fail, what)
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    fn new(area: Area, verdict: Verdict, what: impl AsRef<str>) -> Self {
        Self { area, verdict, what: printable(what.as_ref()), remedy: None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
        };
        let area = match self.area {
            Area::Nats => "nats",
            Area::Log => "log",
            Area::Nodes => "nodes",
            Area::Postgres => "postgres",
            Area::Views => "views",
            Area::Clock => "clock",
            Area::Disk => "disk",
            Area::Files => "files",
        };
        write!(f, "{verdict:<4}  {area:<8}  {}", self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n                → {remedy}"),
            None => Ok(()),
        }
    }
}

/// An error with its causes, as one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line = format!("{line}: {cause}");
        next = cause.source();
    }
    line
}

/// Bytes as a person reads them.
pub(super) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
