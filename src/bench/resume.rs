//! Sockets that were away come back all at once and are told what they missed:
//! once out of what the node remembers, and once, when it has forgotten, out of
//! the views. Each must be told exactly that, once, in order.

use super::{
    Options,
    chat::load::{self, Cast, InLog},
    floors::Floors,
    people::{self, Http, People, Person},
    progress::Progress,
    report::{Check, Columns, Each, Finding, Last, Latency, Percent, Setting, Shares, float, milliseconds},
    scan,
    socket::Socket,
    storm::Storm,
    target::Target,
    transcript::Transcript,
    usage::Usage,
};
use crate::files;
use anyhow::{Context, bail, ensure};
use events::Ids;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// So many events of a partition are more than a node remembers.
const FORGOTTEN: u64 = 9_000;
/// Groups that are made to have one in each partition.
const MOST_TRIES: usize = 2_000;

#[derive(Debug, Serialize)]
struct Report {
    settings: Settings,
    /// Out of what the node remembers.
    remembered: Resumed,
    /// Out of the views.
    from_views: Resumed,
    floors: Option<Floors>,
    check: Check,
}

#[derive(Debug, Serialize)]
struct Settings {
    #[serde(flatten)]
    setting: Setting,
    people: usize,
    sockets: usize,
    missed: u32,
    body_bytes: u16,
}

#[derive(Debug, Serialize)]
struct Resumed {
    resumes_per_second: f64,
    frames_per_second: f64,
    all_live_ms: f64,
    /// From the moment when all began to come until each was live.
    live_ms: Latency,
    us_per_resume: Each<f64>,
    servers_us_per_resume: Option<f64>,
    #[serde(flatten)]
    share: Shares,
    memory_mib: Each<f64>,
    /// Resumes a second, against bare connections that are sent as many bytes.
    of_connection: Option<f64>,
    #[serde(skip)]
    verified: u64,
    #[serde(skip)]
    faults: Vec<String>,
}

pub(super) async fn measure(options: &Options, target: &Target, progress: &Progress) -> anyhow::Result<Finding> {
    // Half of the pairs come back; the others, then, make the node forget.
    ensure!(options.users >= 4, "two pairs are needed");
    let setting = Setting::read(options, target);
    let floors = Floors::measure(options, target, progress).await?;
    progress.step("people");
    let count = usize::try_from(options.users - options.users % 4)?;
    let People { http, mut all, .. } = people::gather(count, options, target).await?;
    People::pair(&http, &mut all).await?;
    let (away, others) = all.split_at(count / 2);
    let sockets = away.len() * usize::try_from(options.each)?;
    files::ensure(u64::try_from(sockets)?)?;

    let vector = Socket::hello(target.address, &away[0].access_token, None).await?.vector;
    progress.step("writing what is missed");
    let (transcripts, partitions) = write(options, target, away).await?;
    progress.step("all come back, and are remembered");
    let floor = floors.as_ref().and_then(|floors| Some(floors.connection?.per_second));
    let remembered = come_back(options, target, away, &vector, &transcripts, floor).await?;
    progress.step("writing until the node has forgotten");
    make_forget(options, target, &http, others, &partitions).await?;
    progress.step("all come back, and are told from the views");
    let from_views = come_back(options, target, away, &vector, &transcripts, floor).await?;

    let verified = remembered.verified + from_views.verified;
    let faults = [&remembered.faults[..], &from_views.faults].concat();
    let report = Report {
        settings: Settings { setting, people: away.len(), sockets, missed: options.missed, body_bytes: options.body },
        remembered,
        from_views,
        floors,
        check: Check::of(verified, faults),
    };
    Finding::of(&report, &report.check)
}

/// What each is told of their conversation, and in which partitions that lies.
async fn write(
    options: &Options,
    target: &Target,
    people: &[Person],
) -> anyhow::Result<(Vec<Transcript>, BTreeSet<usize>)> {
    let cast = pairs(options, target, people).await?.at_most(usize::try_from(options.missed / 2)?);
    let all = u64::try_from(people.len())? * u64::from(options.missed / 2);
    let (mut written, mut partitions) = (0, BTreeSet::new());
    let enough = |acknowledged: &[InLog]| {
        written += u64::try_from(acknowledged.len()).unwrap_or(u64::MAX);
        partitions.extend(acknowledged.iter().map(|message| message.partition));
        written >= all
    };
    let outcomes = load::write(cast, enough).await?;
    let faults: Vec<_> = outcomes.iter().flat_map(|outcome| outcome.faults.clone()).collect();
    ensure!(faults.is_empty(), "what is missed was told wrongly: {}", faults.join("; "));
    Ok((outcomes.into_iter().map(|outcome| outcome.told).collect(), partitions))
}

/// Others write until so much has happened in those partitions.
async fn make_forget(
    options: &Options,
    target: &Target,
    http: &Http,
    people: &[Person],
    partitions: &BTreeSet<usize>,
) -> anyhow::Result<()> {
    let writers = groups_in(http, people, partitions).await?;
    let cast = pairs(options, target, &writers).await?;
    let mut left: BTreeMap<usize, u64> = partitions.iter().map(|&partition| (partition, FORGOTTEN)).collect();
    let enough = |acknowledged: &[InLog]| {
        for message in acknowledged {
            if let Some(left) = left.get_mut(&message.partition) {
                *left = left.saturating_sub(1);
            }
        }
        left.values().all(|left| *left == 0)
    };
    load::write(cast, enough).await.map(drop)
}

/// People two by two, of whom each pair writes in another one of those partitions: where a group lies shows in what is
/// written there.
async fn groups_in(http: &Http, people: &[Person], partitions: &BTreeSet<usize>) -> anyhow::Result<Vec<Person>> {
    let (mut writers, mut missing, ids) = (Vec::new(), partitions.clone(), Ids::random());
    for pair in people.chunks_exact(2).cycle().take(MOST_TRIES) {
        if missing.is_empty() {
            return Ok(writers);
        }
        let thread_id = http.create_group(pair).await?;
        let position = http.write(&pair[0], &thread_id, ids.next(), "where is this?").await?;
        let (partition, _) = scan::position(position.as_bytes()).context("a position")?;
        if missing.remove(&partition) {
            writers.extend(pair.iter().map(|person| person.writing_in(&thread_id)));
        }
    }
    bail!("there are too many partitions")
}

async fn pairs(options: &Options, target: &Target, people: &[Person]) -> anyhow::Result<Cast> {
    Cast::pairs(&Options { rate: None, ..options.clone() }, target, people).await
}

async fn come_back(
    options: &Options,
    target: &Target,
    people: &[Person],
    vector: &str,
    expected: &[Transcript],
    floor: Option<f64>,
) -> anyhow::Result<Resumed> {
    let sockets: Vec<Person> = (0..options.each).flat_map(|_| people.iter().cloned()).collect();
    let mut storm = Storm::new(target.address, sockets.len());
    let before = Usage::read(target.pids);
    let took = storm.come(&sockets, Some(vector)).await?;
    let after = Usage::read(target.pids);
    let passed = storm.pass().await?;
    let (mut verified, mut faults) = (0, passed.faults);
    for (index, told) in passed.told.iter().enumerate() {
        let expected = &expected[index % people.len()];
        if told.messages == expected.messages && told.digest() == expected.digest() {
            verified += told.messages;
        } else {
            faults.push(format!(
                "socket {index} was told {} messages up to {}, not {} up to {}",
                told.messages, told.last_number, expected.messages, expected.last_number
            ));
        }
    }
    let (seconds, count) = (took.as_secs_f64(), float(u64::try_from(sockets.len())?));
    let used = Each::cpu(&before, &after);
    let us_per_resume = used.scaled(1_000_000.0 / count);
    Ok(Resumed {
        resumes_per_second: count / seconds,
        frames_per_second: float(verified) / seconds,
        all_live_ms: milliseconds(took),
        live_ms: Latency::of(&passed.live),
        us_per_resume,
        servers_us_per_resume: us_per_resume.servers(),
        share: Shares::of(used, seconds),
        memory_mib: Each::memory(&after),
        of_connection: floor.map(|floor| count / seconds / floor),
        verified,
        faults,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { setting, people, sockets, missed, body_bytes } = &self.settings;
        writeln!(f, "{setting}")?;
        writeln!(
            f,
            "{sockets} sockets of {people} people at once, {missed} messages of {body_bytes} B missed by each"
        )?;
        for (from, resumed) in [("what the node remembers", &self.remembered), ("the views", &self.from_views)] {
            writeln!(f, "\nout of {from}")?;
            writeln!(f, "resumes a second    {:>11.0}", resumed.resumes_per_second)?;
            writeln!(f, "frames a second     {:>11.0}", resumed.frames_per_second)?;
            writeln!(f, "all live after, ms  {:>11.0}", resumed.all_live_ms)?;
            writeln!(f, "                            p50       p99     p99.9       max")?;
            writeln!(f, "{:<20}{}", "hello to live, ms", resumed.live_ms)?;
            writeln!(f, "                         herald      NATS  Postgres     bench   servers")?;
            let (us, servers) = (resumed.us_per_resume, resumed.servers_us_per_resume);
            writeln!(f, "CPU µs a resume     {:>11}{}", Columns(us, 0), Last(servers, 0))?;
            writeln!(f, "memory, MiB         {:>11}", Columns(resumed.memory_mib, 1))?;
            writeln!(f, "{}", resumed.share)?;
            if resumed.of_connection.is_some() {
                writeln!(f, "of bare connections with as many bytes: {}", Percent(resumed.of_connection))?;
            }
        }
        if let Some(floors) = &self.floors {
            write!(f, "{floors}")?;
        }
        self.check.told("missed messages, each told once to every socket, in order").fmt(f)
    }
}
