//! What a person at a terminal sees while the bench runs; nobody else sees it.

use super::chat::load::Counts;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

const FRAME: Duration = Duration::from_millis(120);

pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new() -> Self {
        let bar = if stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("a template of ours"));
        bar.enable_steady_tick(FRAME);
        Self(bar)
    }

    /// Of what runs beside something else.
    pub(super) fn silent() -> Self {
        Self(ProgressBar::hidden())
    }

    pub(super) fn step(&self, doing: &str) {
        self.0.set_message(doing.to_owned());
    }

    /// How fast it went between two looks.
    pub(super) fn rates(&self, doing: &str, so_far: Duration, of: Duration, before: &Counts, now: &Counts) {
        let micros = (now.at - before.at).max(1);
        let rate = |before: u64, now: u64| (now - before) * 1_000_000 / micros;
        self.0.set_message(format!(
            "{doing} {:>3}/{} s: {}/s sent, {}/s acknowledged, {}/s delivered, {}/s projected",
            so_far.as_secs(),
            of.as_secs(),
            rate(before.sent, now.sent),
            rate(before.acknowledged, now.acknowledged),
            rate(before.delivered, now.delivered),
            rate(before.projected, now.projected),
        ));
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
