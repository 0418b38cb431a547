//! The loop of `herald chat`: waits for what is typed, for frames and for the
//! time, and does what `session`, `outbox` and `known` make of them.

use super::{
    Opening,
    account::{Account, SignedOut},
    frame::{Frame, Problem},
    known::Known,
    outbox::{Outbox, Outcome, Sending},
    screen::{Lines, Screen},
    session::{After, Session, Step, after},
    wire::{Heard, Wire},
};
use anyhow::bail;
use events::{Clock, Ids};
use serde_json::{Value, json};
use std::{collections::VecDeque, future::pending, io, process::ExitCode, time::Duration};
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

/// Lines that were typed and are not in the log yet: more are not read.
const WAITING: usize = 100;
/// Receipts that come close together are told together.
const RECEIPTS: Duration = Duration::from_millis(150);
const RENEWAL_AGAIN: Duration = Duration::from_secs(5);
const LAST_WORDS: Duration = Duration::from_secs(3);

pub(super) struct Conversation {
    pub(super) account: Account,
    pub(super) screen: Screen,
    pub(super) known: Known,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    /// Where what is typed goes.
    pub(super) open: Option<Uuid>,
    /// As they were listed last.
    pub(super) listed: Vec<Uuid>,
    pub(super) ticks: bool,
    /// Messages of others that are still to be shown before the end.
    pub(super) wait_for: u32,
    /// Whether what lay there before has been loaded once.
    pub(super) has_begun: bool,
    session: Session,
    outbox: Outbox,
    wire: Option<Wire>,
    /// `None` once it has ended.
    input: Option<Lines>,
    outcome: ExitCode,
    /// Pings that were not answered.
    pings: u32,
    /// Connections in a row that did not go live.
    attempt: u32,
    /// When to connect; `None` while connected, or until somebody does something.
    connect_at: Option<Instant>,
    send_at: Option<Instant>,
    receipts_at: Option<Instant>,
}

impl Conversation {
    pub(super) fn new(account: Account, screen: Screen, wait_for: u32, ticks: bool) -> Self {
        Self {
            account,
            screen,
            known: Known::default(),
            clock: Clock::system(),
            ids: Ids::random(),
            open: None,
            listed: Vec::new(),
            ticks,
            wait_for,
            has_begun: false,
            session: Session::default(),
            outbox: Outbox::default(),
            wire: None,
            input: None,
            outcome: ExitCode::SUCCESS,
            pings: 0,
            attempt: 0,
            connect_at: Some(Instant::now()),
            send_at: None,
            receipts_at: None,
        }
    }

    /// Opens what was asked for, and goes on to the end of input.
    ///
    /// # Errors
    /// When that cannot be opened, nobody reads any more, or the session has ended.
    pub(super) async fn run(&mut self, opening: Opening) -> anyhow::Result<ExitCode> {
        match opening {
            Opening::Nothing => {}
            Opening::With(username) => self.open_with(&username).await?,
            Opening::Thread(thread_id) => self.open(thread_id).await?,
            Opening::Group(title, members) => self.begin_group(&title, &members).await?,
        }
        self.input = Some(Lines::new());
        while !self.is_done() {
            self.keep_time().await?;
            let takes_input = self.has_begun && self.outbox.len() < WAITING;
            let wakes_at = [self.connect_at, self.send_at, self.receipts_at].into_iter().flatten();
            let wakes_at = wakes_at.chain([self.account.renewal]).min().unwrap_or(self.account.renewal);
            tokio::select! {
                line = next_line(self.input.as_mut()), if takes_input => self.typed(line).await?,
                heard = hear(self.wire.as_mut()) => self.heard(heard).await?,
                () = sleep_until(wakes_at) => {}
            }
        }
        self.settle().await?;
        Ok(self.outcome)
    }

    /// Ends the session.
    pub(super) async fn leave(self) {
        self.screen.leave();
        self.account.log_out().await;
    }

    /// Sends a text into the open conversation.
    pub(super) fn send(&mut self, body: &str) -> anyhow::Result<()> {
        let Some(thread_id) = self.open else { bail!("nothing is open: /open it first, /help lists all") };
        let key = self.ids.next();
        self.known.keys.insert(key);
        self.outbox.add(Sending { key, thread_id, body: body.to_owned() });
        Ok(())
    }

    /// Tells what could not be done.
    pub(super) fn fail(&mut self, why: &str) {
        if !self.screen.is_terminal {
            self.outcome = ExitCode::FAILURE;
        }
        self.screen.complain(why);
    }

    /// Receipts are told soon.
    pub(super) fn owe(&mut self, thread_id: Uuid, number: u32, is_read: bool) {
        self.known.owe(thread_id, number, is_read);
        self.receipts_at.get_or_insert(Instant::now() + RECEIPTS);
    }

    fn is_done(&self) -> bool {
        self.input.is_none() && self.outbox.is_empty() && self.wait_for == 0 && self.has_begun
    }

    async fn typed(&mut self, line: Option<io::Result<String>>) -> anyhow::Result<()> {
        let Some(line) = line else {
            self.input = None;
            return Ok(());
        };
        if self.wire.is_none() {
            self.connect_at.get_or_insert(Instant::now());
        }
        let goes_on = self.act(&line?).await;
        match goes_on {
            Ok(true) => self.screen.ask()?,
            Ok(false) => self.input = None,
            Err(error) if is_over(&error) => return Err(error),
            Err(error) => self.fail(&format!("{error:#}")),
        }
        Ok(())
    }

    async fn heard(&mut self, heard: Heard) -> anyhow::Result<()> {
        match heard {
            Heard::Frame(frame) => self.take(frame).await,
            Heard::Ended(code, reason) => self.lost(code, &reason),
        }
    }

    async fn take(&mut self, frame: Frame) -> anyhow::Result<()> {
        let mut steps = VecDeque::from(self.session.handle(frame));
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Load(vector) => match self.load(&vector).await {
                    Ok(()) => steps.extend(self.session.loaded()),
                    Err(error) if is_over(&error) => return Err(error),
                    Err(error) => return self.lost(None, &format!("{error:#}")),
                },
                Step::Show(Frame { position, what }) => {
                    // Whatever is looked up for it has to have seen it.
                    self.account.has_seen(&position.into_iter().collect());
                    self.show(what).await?;
                    self.session.shown(position);
                }
                Step::Answer(id, answer) => self.answered(id, answer)?,
                Step::Live => {
                    (self.attempt, self.has_begun) = (0, true);
                    self.outbox.live();
                    self.screen.ask()?;
                }
                Step::Pong => self.pings = 0,
            }
        }
        Ok(())
    }

    fn answered(&mut self, id: Uuid, answer: Result<u32, Problem>) -> anyhow::Result<()> {
        match self.outbox.answered(id, answer) {
            Outcome::Sent(_, number) if self.ticks => self.screen.show(&format!("sent {number}"))?,
            Outcome::Sent(..) | Outcome::Strange => {}
            Outcome::Refused(Sending { body, .. }, Problem { title, detail, .. }) => {
                let why = if detail.is_empty() { title } else { detail };
                self.fail(&format!("“{}” was not sent: {why}", crate::operate::printable(&body)));
            }
            Outcome::Again(after) => self.send_at = Some(Instant::now() + after),
        }
        Ok(())
    }

    /// Does what is due.
    async fn keep_time(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.account.renewal <= now {
            self.renew().await?;
        }
        if is_due(self.connect_at) {
            self.connect_at = None;
            match Wire::open(self.account.url(), &mut self.session, self.account.token()).await {
                Ok(wire) => self.wire = Some(wire),
                Err(error) => self.lost(None, &format!("{error:#}"))?,
            }
        }
        if is_due(self.send_at) {
            self.send_at = None;
            self.outbox.again();
        }
        if is_due(self.receipts_at) && self.wire.is_some() {
            self.receipts_at = None;
            for receipt in self.known.receipts() {
                self.say(&receipt).await?;
            }
        }
        while let Some(send) = self.outbox.next() {
            self.say(&send).await?;
        }
        Ok(())
    }

    async fn renew(&mut self) -> anyhow::Result<()> {
        match self.account.renew().await {
            Ok(()) => {
                let refresh = json!({ "type": "refresh", "token": self.account.token() });
                self.say(&refresh).await
            }
            Err(error) if is_over(&error) => Err(error),
            Err(_) => {
                self.account.renewal = Instant::now() + RENEWAL_AGAIN;
                Ok(())
            }
        }
    }

    /// Says something, if there is a connection.
    async fn say(&mut self, frame: &Value) -> anyhow::Result<()> {
        let Some(wire) = &mut self.wire else { return Ok(()) };
        match wire.say(frame).await {
            Ok(()) => Ok(()),
            Err(error) => self.lost(None, &format!("{error:#}")),
        }
    }

    /// The connection has ended; whether and when to come back depends on why.
    fn lost(&mut self, code: Option<u16>, reason: &str) -> anyhow::Result<()> {
        self.wire = None;
        self.outbox.cut();
        let chance = f64::from(self.ids.next().as_fields().1) / f64::from(u16::MAX);
        let now = Instant::now();
        let mut next = after(code, reason, self.attempt, chance);
        if next == After::Sleep && self.input.is_none() {
            next = After::Wait(Duration::ZERO);
        }
        if self.attempt == 0 && self.screen.is_terminal && matches!(next, After::Wait(_)) {
            self.screen.complain(&format!("away: {reason}"));
        }
        self.attempt += 1;
        match next {
            After::Wait(wait) => self.connect_at = Some(now + wait),
            After::Renew => {
                self.connect_at = Some(now);
                self.account.renewal = now;
            }
            After::Sleep => self.screen.complain("away until you type something: nothing was done for long"),
            After::GiveUp => bail!("herald closed the socket: {} {reason}", code.unwrap_or_default()),
        }
        Ok(())
    }

    /// Waits until herald has heard all that was said.
    async fn settle(&mut self) -> anyhow::Result<()> {
        for receipt in self.known.receipts() {
            self.say(&receipt).await?;
        }
        self.pings += 1;
        self.say(&json!({ "type": "ping" })).await?;
        let heard = async {
            while self.pings > 0 && self.wire.is_some() {
                let heard = hear(self.wire.as_mut()).await;
                self.heard(heard).await?;
            }
            Ok(())
        };
        timeout(LAST_WORDS, heard).await.unwrap_or(Ok(()))
    }
}

/// Whether there is no use in going on.
fn is_over(error: &anyhow::Error) -> bool {
    error.is::<io::Error>() || error.is::<SignedOut>()
}

async fn next_line(input: Option<&mut Lines>) -> Option<io::Result<String>> {
    match input {
        Some(input) => input.next().await,
        None => pending().await,
    }
}

async fn hear(wire: Option<&mut Wire>) -> Heard {
    match wire {
        Some(wire) => wire.next().await,
        None => pending().await,
    }
}
