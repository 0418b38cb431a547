//! People who come and go while others watch them, what that costs beside a
//! message, and a storm: all come back within seconds while some write.

mod report;
mod watchers;

use super::{
    Options,
    chat::{
        check,
        load::{self, Cast, Moved},
    },
    people::{self, People, Person},
    progress::Progress,
    report::{Check, Each, Finding, Latency, Setting, float, milliseconds},
    socket::Socket,
    storm::Storm,
    target::Target,
    usage::Usage,
};
use crate::files;
use events::Partition;
use report::{Changes, Flaps, Report, Settings, StormOf};
use std::{collections::VecDeque, time::Duration};
use tokio::time::{Instant, sleep};
use watchers::Watchers;

/// Those who come and go, at the most: as many as one socket watches; and those who watch, at the most.
const MOVERS: usize = 500;
const WATCHERS: usize = 200;
/// Those who write meanwhile, and how much, in messages a second.
const WRITERS: usize = 20;
const RATE: u32 = 500;
/// How often the movers come and go, and flap.
const ROUNDS: usize = 3;
/// The grace of who has gone, and until that is told.
const GONE: Duration = Duration::from_secs(6);
/// How long is looked at what is used when nothing happens, at the most.
const QUIET: u64 = 5;
/// As long as those are asked to wait, at the most, who are all sent away at once.
const SPREAD: u64 = 5;
/// From the storm's beginning until nothing of it is left, at the most.
const STORM: u64 = 10;

pub(super) async fn measure(options: &Options, target: &Target, progress: &Progress) -> anyhow::Result<Finding> {
    let setting = Setting::read(options, target);
    let users = usize::try_from(options.users)?;
    files::ensure(u64::from(options.users) * u64::from(options.each))?;
    progress.step("people");
    let mut people = people::gather(users + 2 * WRITERS, options, target).await?;
    let mut late = people.split_off(users + WRITERS);
    let mut early = people.split_off(users);
    People::pair(&people.http, &mut early).await?;
    People::pair(&people.http, &mut late).await?;
    let (movers, others) = people.all.split_at(MOVERS.min(users / 2));
    let watchers = &others[..WATCHERS.min(others.len())];
    progress.step("nothing happens");
    let stage = Stage { target, movers, quiet: quiet(options, target).await };

    let writing = Options { rate: Some(RATE), warm_up: 1, seconds: options.seconds.min(STORM), ..options.clone() };
    let cast = Cast::pairs(&writing, target, &early).await?;
    let alone = load::run(&writing, target, cast, progress).await?;
    progress.step("they come and go");
    let seen_by_one = stage.come_and_go(&watchers[..1]).await?;
    let seen_by_all = stage.come_and_go(watchers).await?;
    progress.step("they come back at once");
    let flaps = stage.flap(&watchers[..1]).await?;
    progress.step("all come back while some write");
    let owners: Vec<Person> = (0..options.each).flat_map(|_| people.all.iter().cloned()).collect();
    let writing = Options { seconds: STORM.min(2 * options.seconds), ..writing };
    let cast = Cast::pairs(&writing, target, &late).await?;
    let (meanwhile, storm, mut faults) = all_come_back(&writing, target, &owners, cast).await?;

    progress.step("checking the views");
    let mut verified = seen_by_one.frames + seen_by_all.frames + u64::try_from(owners.len())?;
    for (writers, moved) in [(&early, &alone), (&late, &meanwhile)] {
        let check = check::run(target, &people.http, writers, 2, moved, progress).await?;
        verified += check.verified;
        faults.extend(check.faults);
    }
    faults.extend(flaps.faults());
    let settings = Settings { setting, movers: movers.len(), watchers: watchers.len(), rate: RATE };
    let report = Report {
        settings,
        us_per_message: stage.us(&alone),
        message_ms: Latency::of(&alone.delivery),
        seen_by_one,
        seen_by_all,
        flaps,
        storm,
        check: Check::of(verified, faults),
    };
    Finding::of(&report, &report.check)
}

/// Where it happens, and what is used there while nothing does, in CPU seconds a second.
struct Stage<'a> {
    target: &'a Target,
    movers: &'a [Person],
    quiet: Each<f64>,
}

impl Stage<'_> {
    /// All come, one after the other, and go at once; over and over.
    async fn come_and_go(&self, watchers: &[Person]) -> anyhow::Result<Changes> {
        let mut watchers = Watchers::watch(self.target.address, watchers, self.movers).await?;
        let measured = Measured::begin(self.target);
        let mut frames = 0;
        for _ in 0..ROUNDS {
            let sockets = self.come(&watchers).await?;
            watchers.told_came(self.movers).await?;
            drop(sockets);
            watchers.told_went(self.movers).await?;
            frames += watchers.forget();
        }
        let changes = 2 * ROUNDS * self.movers.len();
        Ok(Changes {
            us_per_change: measured.end(self, changes),
            came_to_told_ms: Latency::of(&watchers.latency()),
            frames,
        })
    }

    /// All are here, and each loses their connection and comes back before anybody notices: alone, and while another
    /// device of theirs stays.
    async fn flap(&self, watchers: &[Person]) -> anyhow::Result<Flaps> {
        let mut watchers = Watchers::watch(self.target.address, watchers, self.movers).await?;
        let mut sockets = self.come(&watchers).await?;
        watchers.told_came(self.movers).await?;
        // That those have gone who watched before is told by then.
        sleep(GONE).await;
        watchers.forget();
        let before = self.facts().await?;
        let alone = self.come_back(&mut sockets).await?;
        let others = self.come(&watchers).await?;
        let beside = self.come_back(&mut sockets).await?;
        let facts = self.facts().await?.zip(before).map(|(after, before)| after - before);
        drop(others);
        Ok(Flaps {
            us_each: alone,
            us_each_beside: beside,
            count: 2 * ROUNDS * self.movers.len(),
            facts,
            frames: watchers.forget(),
        })
    }

    async fn come(&self, watchers: &Watchers) -> anyhow::Result<VecDeque<Socket>> {
        let mut sockets = VecDeque::with_capacity(self.movers.len());
        for mover in self.movers {
            watchers.comes(mover);
            sockets.push_back(Socket::hello(self.target.address, &mover.access_token, None).await?);
        }
        Ok(sockets)
    }

    async fn come_back(&self, sockets: &mut VecDeque<Socket>) -> anyhow::Result<Each<f64>> {
        let measured = Measured::begin(self.target);
        for _ in 0..ROUNDS {
            for mover in self.movers {
                drop(sockets.pop_front());
                sockets.push_back(Socket::hello(self.target.address, &mover.access_token, None).await?);
            }
        }
        Ok(measured.end(self, ROUNDS * self.movers.len()))
    }

    /// How many facts of presence the log has, where that can be known.
    async fn facts(&self) -> anyhow::Result<Option<u64>> {
        Ok(match &self.target.log {
            Some(log) => Some(log.end_of(Partition::PRESENCE).await?),
            None => None,
        })
    }

    /// CPU microseconds for a message.
    fn us(&self, moved: &Moved) -> Each<f64> {
        let Moved { first, last, usage: [start, stop, _], .. } = moved;
        let used = Each::cpu(start, stop).less(self.quiet.scaled(float(last.at - first.at) / 1_000_000.0));
        used.scaled(1_000_000.0 / float((last.acknowledged - first.acknowledged).max(1)))
    }
}

/// What has been used since then.
struct Measured {
    began: Instant,
    usage: Usage,
}

impl Measured {
    fn begin(target: &Target) -> Self {
        Self { began: Instant::now(), usage: Usage::read(target.pids) }
    }

    /// CPU microseconds for each of so many, beyond what is used when nothing happens.
    fn end(self, stage: &Stage<'_>, count: usize) -> Each<f64> {
        let used = Each::cpu(&self.usage, &Usage::read(stage.target.pids));
        let beyond = used.less(stage.quiet.scaled(self.began.elapsed().as_secs_f64()));
        beyond.scaled(1_000_000.0 / float(u64::try_from(count.max(1)).unwrap_or(u64::MAX)))
    }
}

async fn quiet(options: &Options, target: &Target) -> Each<f64> {
    let (began, before) = (Instant::now(), Usage::read(target.pids));
    sleep(Duration::from_secs(QUIET.min(options.seconds))).await;
    Each::cpu(&before, &Usage::read(target.pids)).scaled(1.0 / began.elapsed().as_secs_f64())
}

/// All are connected, lose their connections at once, and come back spread over a few seconds while some write.
async fn all_come_back(
    writing: &Options,
    target: &Target,
    owners: &[Person],
    writers: Cast,
) -> anyhow::Result<(Moved, StormOf, Vec<String>)> {
    let mut before = Storm::new(target.address, usize::try_from(writing.at_once)?);
    before.come_within(Duration::ZERO, owners).await?;
    let mut faults = before.pass().await?.faults;
    let mut storm = Storm::new(target.address, owners.len());
    let silent = Progress::silent();
    let coming = async {
        // What is measured of the writers begins then.
        sleep(Duration::from_secs(writing.warm_up)).await;
        storm.come_within(Duration::from_secs(SPREAD.min(writing.seconds)), owners).await
    };
    let (moved, took) = tokio::join!(load::run(writing, target, writers, &silent), coming);
    let (moved, took) = (moved?, took?);
    let passed = storm.pass().await?;
    faults.extend(passed.faults);
    let of_storm = StormOf {
        sockets: owners.len(),
        all_live_ms: milliseconds(took),
        live_ms: Latency::of(&passed.live),
        message_ms: Latency::of(&moved.delivery),
    };
    Ok((moved, of_storm, faults))
}
