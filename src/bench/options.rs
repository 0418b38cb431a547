//! What the bench is asked to do, each bounded: a run ends, and fits into memory.

use clap::{Args, ValueEnum};
use std::{fmt, path::PathBuf};

/// The fewest bytes that hold a moment and a count.
pub(super) const SMALLEST_BODY: u16 = 20;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// People write to each other over sockets, two by two.
    Chat,
    /// One writes into a group, all others hear it; a few write to each other meanwhile.
    Group,
    /// Sockets say hello, and then nothing.
    Idle,
    /// Sockets that were away come back all at once.
    Resume,
    /// Pages of history and of the inbox, and who is online, over REST.
    Reads,
    /// People come and go while others watch; then all come back while some write.
    Presence,
    /// The views made anew from a log that is filled first.
    Rebuild,
    /// People and threads that hardly say anything: what each of them takes.
    Subjects,
}

/// Loads herald, measures, and checks that nothing is lost or wrong.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[arg(value_enum, default_value_t = Work::Chat)]
    pub work: Work,
    /// A running herald to load, `http://127.0.0.1:8080`; without it, one is started and stopped again.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The NATS of the running herald: needed for the views' latency and the size of the log.
    #[arg(long, value_name = "URL", requires = "url")]
    pub nats_url: Option<String>,
    /// The Postgres of the running herald: needed for the size of the views, and what reads cost bare.
    #[arg(long, value_name = "URL", requires = "url")]
    pub database_url: Option<String>,
    /// The process of the running herald, whose CPU time and memory are told.
    #[arg(long, value_name = "PID", requires = "url")]
    pub herald_pid: Option<u32>,
    /// The process of its nats-server.
    #[arg(long, value_name = "PID", requires = "url")]
    pub nats_pid: Option<u32>,
    /// The process of its Postgres.
    #[arg(long, value_name = "PID", requires = "url")]
    pub postgres_pid: Option<u32>,
    /// Lets the load go to another machine.
    #[arg(long, requires = "url")]
    pub anywhere: bool,
    /// Where a herald that is started keeps its data, which then stays; else it is temporary.
    #[arg(long, value_name = "FOLDER", conflicts_with = "url")]
    pub keep: Option<PathBuf>,
    /// The people: of a group its members (500), of idle sockets and of presence their owners (2000), of reads the readers (16).
    #[arg(
        long,
        default_value = "200",
        default_value_ifs = [("work", "group", "500"), ("work", "idle", "2000"), ("work", "presence", "2000"), ("work", "reads", "16")],
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(2..=10_000)
    )]
    pub users: u32,
    /// Keeps the people of a run, and the tokens that they log in with, for the next one on the same herald: their sign-up costs more than the load.
    #[arg(long, value_name = "FILE")]
    pub people: Option<PathBuf>,
    /// idle, resume, presence: the sockets of each person.
    #[arg(long, default_value_t = 5, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=5))]
    pub each: u32,
    /// resume: how many messages each socket has missed.
    #[arg(long, default_value_t = 100, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(2..=5_000))]
    pub missed: u32,
    /// rebuild: how many messages the log is filled with; subjects: how many people, and as many threads.
    #[arg(long, default_value_t = 500_000, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(100..=50_000_000))]
    pub events: u64,
    /// idle, presence, reads: hellos or requests under way at once.
    #[arg(long, default_value_t = 16, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub at_once: u32,
    /// How many messages each writer has under way: sent, and not both acknowledged and told.
    #[arg(long, default_value_t = 16, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub window: u32,
    /// Messages a second over all people, sent on time whatever becomes of them; replaces the window. Beside a group, of those who write to each other (100).
    #[arg(
        long,
        default_value_if("work", "group", "100"),
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=200_000)
    )]
    pub rate: Option<u32>,
    /// The bytes of a message's text.
    #[arg(long, default_value_t = 100, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(i64::from(SMALLEST_BODY)..=4_096))]
    pub body: u16,
    /// How long is measured.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=200))]
    pub seconds: u64,
    /// How long the load runs before.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=30))]
    pub warm_up: u64,
    /// Instead of one work, several with loads of their own: what one of each thing costs here, for `herald estimate --costs`.
    #[arg(long, value_name = "FILE")]
    pub calibrate: Option<PathBuf>,
    /// Instead of one work, what so many people and threads take, and then ten times as many in ten times the partitions: whether
    /// it grows as `herald estimate` reckons.
    #[arg(long, value_name = "NUMBER", conflicts_with = "calibrate", value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    pub tenfold: Option<u64>,
    /// Leaves out what the servers do bare.
    #[arg(long)]
    pub no_floors: bool,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("none is hidden");
        f.write_str(value.get_name())
    }
}
