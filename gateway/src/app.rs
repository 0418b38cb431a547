//! What every handler holds: the rooms behind the edge and the edge's settings.
//! A clone is cheap and shares everything.

use crate::{address::Proxy, hub::Hub, limits::Limits, places::Places, problem::Problem, readiness::Progress};
use command::{accounts::Accounts, attachments::Attachments, people::People, threads::Threads};
use events::{Clock, EventLog};
use query::Views;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A node that has heard nothing from the log for so long cannot know who was removed or revoked.
pub const DEAF_AFTER: Duration = Duration::from_secs(5);

/// Uploads at once, for all and for each: about 2 MiB of memory for one.
const UPLOADS: usize = 128;
const UPLOADS_EACH: usize = 4;

/// Downloads at once, for all and for each: about 2 MiB of memory for one.
const DOWNLOADS: usize = 256;
const DOWNLOADS_EACH: usize = 8;

/// Searches at once, for all and for each: few, as each may take seconds of Postgres.
const SEARCHES: usize = 64;
const SEARCHES_EACH: usize = 2;

/// Exports at once, for all.
const EXPORTS: usize = 16;

/// People who are told at once what they missed: a few statements each.
const ARRIVALS: usize = 8;

/// What an operator may set at the edge.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Origins, as `https://chat.example`, whose pages may open sockets beside the node's own.
    pub allowed_origins: Vec<String>,
    /// Whether clients are kept to their rates.
    pub rate_limits: bool,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Proxy>,
    /// How long somebody may do nothing over a socket; `None`: as long as they like.
    pub idle_close: Option<Duration>,
}

/// The rooms behind the edge.
#[derive(Clone)]
pub struct App {
    pub accounts: Accounts,
    pub threads: Threads,
    pub people: People,
    pub attachments: Attachments,
    pub views: Views,
    pub hub: Hub,
    pub log: EventLog,
    pub clock: Clock,
    pub settings: Arc<Settings>,
    /// Cancelled when the node stops: sockets close 1012.
    pub draining: CancellationToken,
    /// The open sockets, which outlive their requests; a drain waits for them.
    pub sockets: TaskTracker,
    pub(crate) progress: Progress,
    pub(crate) limits: Arc<Limits>,
    pub(crate) uploads: Places,
    pub(crate) exports: Places,
    pub(crate) downloads: Places,
    pub(crate) searches: Places,
    /// Turns of those who are told what they missed.
    pub(crate) arrivals: Arc<Semaphore>,
}

impl App {
    pub fn new(
        accounts: Accounts,
        threads: Threads,
        views: Views,
        hub: Hub,
        log: EventLog,
        clock: Clock,
        settings: Settings,
    ) -> Self {
        // Who is not kept to rates may do all at once.
        let each = |each, all| if settings.rate_limits { each } else { all };
        Self {
            accounts,
            people: threads.people(),
            attachments: threads.attachments(),
            threads,
            views,
            hub,
            log,
            clock,
            limits: Arc::new(Limits::new(settings.rate_limits)),
            draining: CancellationToken::new(),
            sockets: TaskTracker::new(),
            progress: Progress::default(),
            uploads: Places::new(UPLOADS, each(UPLOADS_EACH, UPLOADS)),
            exports: Places::new(EXPORTS, 1),
            downloads: Places::new(DOWNLOADS, each(DOWNLOADS_EACH, DOWNLOADS)),
            searches: Places::new(SEARCHES, SEARCHES_EACH),
            arrivals: Arc::new(Semaphore::new(ARRIVALS)),
            settings: Arc::new(settings),
        }
    }

    /// Refuses to vouch for anybody while the log is not heard.
    ///
    /// # Errors
    /// 503, at boot until the tail has caught up, and once it is silent.
    pub fn hearing(&self) -> Result<(), Problem> {
        if !self.hub.ready() {
            return Err(Problem::unavailable("this node is still reading the log"));
        }
        if self.log.silent_for() >= DEAF_AFTER {
            return Err(Problem::unavailable("this node does not hear the log"));
        }
        Ok(())
    }
}
