//! NATS and the log in it: who answers, whether the promise of durability is
//! kept, whether each stream has a leader, its replicas and room, and who runs.

use super::{
    PATIENCE, Told,
    finding::{Area, Finding, bytes, causes},
};
use chrono::TimeDelta;
use events::{
    Clock, Partition, Position, Vector,
    log::{
        Durability,
        examine::{Examination, Monitored, Named, StreamState, monitored},
    },
};
use std::future::Future;
use tokio::time::timeout;

/// The oldest release of NATS that does all that a log needs.
const OLDEST: (u32, u32) = (2, 11);
const REPLICAS: usize = 3;
/// A lease that was not renewed for so long is over.
const TERM: TimeDelta = TimeDelta::seconds(12);
/// Of the room that NATS has.
const USED_WARNS: u64 = 80;
const USED_FAILS: u64 = 95;

pub(super) async fn look(urls: &str, monitors: &[String], promised: Option<Durability>) -> (Vec<Finding>, Told) {
    let (mut findings, mut told) = (Vec::new(), Told::default());
    let mut examination = None;
    for url in urls.split(',').map(str::trim) {
        match answered(Examination::begin(url)).await {
            Ok(one) => {
                findings.push(server(&one));
                examination.get_or_insert(one);
            }
            Err(why) => findings.push(
                Finding::fails(Area::Nats, why)
                    .remedy("start it, or correct --nats-url; its own log says why it ended"),
            ),
        }
    }
    let mut synced = Vec::new();
    for url in monitors {
        match monitored(url, PATIENCE).await {
            Ok(monitored) => {
                synced.push(monitored.sync_always);
                findings.extend(room(url, &monitored));
            }
            Err(error) => findings.push(
                Finding::warns(Area::Nats, format!("the monitoring at {url} does not answer: {error}"))
                    .remedy("correct --nats-monitor-url, or start that server"),
            ),
        }
    }
    let Some(examination) = examination else { return (findings, told) };
    match answered(examination.log()).await {
        Ok(Some(log)) => {
            let mut states = Vec::new();
            for partition in log.names.partitions().chain([Partition::PRESENCE]) {
                match answered(examination.stream(&log.names, partition)).await {
                    Ok(Some(state)) => states.push((partition, state)),
                    Ok(None) => findings.push(missing(&log, partition)),
                    Err(why) => findings.push(leaderless(&log, partition, &why)),
                }
            }
            findings.push(named(&log, &states));
            findings.extend(states.iter().flat_map(|(partition, state)| stream(&log, *partition, state)));
            findings.push(durability(promised, &states, &synced));
            let now = states.first().map(|(_, state)| state.ts);
            told.clock = now.map(|now| (now, Clock::system().now()));
            told.ends = Some(states.iter().map(|(partition, state)| end(*partition, state)).collect::<Vector>());
            findings.push(nodes(&examination, &log, now).await);
            let policies = log.names.bucket("POLICIES");
            if let Ok(Some(mark)) = answered(examination.record(&policies, "store")).await {
                told.mark = String::from_utf8(mark.value).ok();
            }
            told.log = Some(log);
        }
        Ok(None) => findings.push(
            Finding::fails(Area::Log, "NATS holds no log of herald's")
                .remedy("is --nats-url right? a new deployment makes one when its first node starts"),
        ),
        Err(why) => {
            findings.push(Finding::fails(Area::Log, why).remedy("without a leader of its bucket nothing starts"));
        }
    }
    (findings, told)
}

/// What was answered in time, or why not.
async fn answered<T, E: std::error::Error>(asking: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match timeout(PATIENCE, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(causes(&error)),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

fn server(examination: &Examination) -> Finding {
    let server = examination.server();
    let of = server.cluster.map_or_else(|| "alone".to_owned(), |cluster| format!("in the cluster `{cluster}`"));
    let what = format!("{} answers, version {}, {of}", server.name, server.version);
    let mut numbers = server.version.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or_default());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if version < OLDEST {
        Finding::fails(Area::Nats, what).remedy(format!("herald needs {}.{} or newer", OLDEST.0, OLDEST.1))
    } else {
        Finding::ok(Area::Nats, what)
    }
}

fn room(url: &str, monitored: &Monitored) -> Option<Finding> {
    let (used, most) = (monitored.used_store?, monitored.max_store.filter(|most| *most > 0)?);
    let percent = used.saturating_mul(100) / most;
    let what = format!("{url}: {percent} % of the {} that it may store are used", bytes(most));
    let remedy = "raise `max_file_store` in its configuration, or give it a larger disk: a full one refuses messages";
    Some(match percent {
        percent if percent >= USED_FAILS => Finding::fails(Area::Nats, what).remedy(remedy),
        percent if percent >= USED_WARNS => Finding::warns(Area::Nats, what).remedy(remedy),
        _ => Finding::ok(Area::Nats, what),
    })
}

fn named(log: &Named, states: &[(Partition, StreamState)]) -> Finding {
    let (events, size) = states
        .iter()
        .fold((0, 0), |(events, size), (_, StreamState { state, .. })| (events + state.messages, size + state.bytes));
    let what =
        format!("{} partitions, {events} events, {} uncompressed, epoch {}", log.partitions, bytes(size), log.epoch);
    if log.restoring {
        Finding::fails(Area::Log, what)
            .remedy("a restore is under way or was cut off: wait, or `herald restore --anew`")
    } else {
        Finding::ok(Area::Log, what)
    }
}

fn missing(log: &Named, partition: Partition) -> Finding {
    let stream = log.names.stream(partition);
    if partition == Partition::PRESENCE {
        return Finding::warns(Area::Log, format!("the stream {stream} is not there"))
            .remedy("the next node that starts makes it");
    }
    Finding::fails(Area::Log, format!("the stream {stream} is lost"))
        .remedy("stop all nodes before one makes it anew, and restore a backup")
}

fn leaderless(log: &Named, partition: Partition, why: &str) -> Finding {
    Finding::fails(Area::Log, format!("the stream {} does not answer: {why}", log.names.stream(partition)))
        .remedy("it has no leader: start the servers that hold its replicas")
}

fn stream(log: &Named, partition: Partition, state: &StreamState) -> Vec<Finding> {
    let name = log.names.stream(partition);
    let mut findings = Vec::new();
    let StreamState { config, state, cluster, .. } = state;
    for peer in cluster.iter().flat_map(|group| &group.replicas).filter(|peer| peer.offline || !peer.current) {
        let how = if peer.offline { "is away" } else { "is behind" };
        findings.push(
            Finding::warns(Area::Log, format!("a replica of {name} on {} {how}", peer.name))
                .remedy("start that server, and stop no other one before it has caught up"),
        );
    }
    if config.storage != "file" {
        findings.push(Finding::fails(Area::Log, format!("{name} lies in memory")).remedy("restore it into files"));
    }
    if let Some(most) = u64::try_from(config.max_bytes).ok().filter(|most| state.bytes > most / 100 * USED_WARNS) {
        findings.push(
            Finding::warns(Area::Log, format!("{name} may hold {} and has {}", bytes(most), bytes(state.bytes)))
                .remedy("raise its `max_bytes` (`nats stream edit`): a full one refuses messages"),
        );
    }
    if partition == Partition::PRESENCE {
        return findings;
    }
    if state.messages != state.last_seq || state.first_seq > 1 {
        let what = format!("{name} has gaps: {} events up to {}", state.messages, state.last_seq);
        findings.push(Finding::fails(Area::Log, what).remedy("events are lost: stop all nodes and restore a backup"));
    }
    if !config.deny_delete || !config.deny_purge || config.discard != "new" {
        findings.push(
            Finding::fails(Area::Log, format!("{name} is not protected against deletion"))
                .remedy("`nats stream edit` it back: deny_delete, deny_purge, discard: new"),
        );
    }
    findings
}

fn durability(promised: Option<Durability>, states: &[(Partition, StreamState)], synced: &[bool]) -> Finding {
    let replicas = states.iter().map(|(_, state)| state.config.num_replicas).min().unwrap_or_default();
    let synced = !synced.is_empty() && synced.iter().all(|synced| *synced);
    let found = match (replicas >= REPLICAS, synced) {
        (true, _) => Durability::Replicated,
        (false, true) => Durability::Fsync,
        (false, false) => Durability::Unsynced,
    };
    let kept = match promised {
        Some(Durability::Fsync) => synced,
        Some(Durability::Replicated) => replicas >= REPLICAS,
        Some(Durability::Unsynced) => true,
        None => found != Durability::Unsynced,
    };
    let what = format!(
        "what is acknowledged is `{found}`: {replicas} replicas, {}",
        if synced { "synced before" } else { "not known to be synced before" }
    );
    match (kept, promised) {
        (true, _) => Finding::ok(Area::Log, what),
        (false, Some(promised)) => Finding::fails(Area::Log, format!("{what}; promised is `{promised}`")).remedy(
            "set `sync_interval: always` in NATS' `jetstream` block, or run three servers; give --nats-monitor-url",
        ),
        (false, None) => Finding::warns(Area::Log, what)
            .remedy("a power cut may take acknowledged messages: `sync_interval: always`, or three servers"),
    }
}

async fn nodes(examination: &Examination, log: &Named, now: Option<events::Timestamp>) -> Finding {
    let leases = match answered(examination.records(&log.names.bucket("GATEWAYS"))).await {
        Ok(leases) => leases,
        Err(why) => return Finding::fails(Area::Nodes, format!("who runs is not known: {why}")),
    };
    let late = |at: events::Timestamp| now.is_some_and(|now| now - at > TERM);
    let lapsed = leases.iter().filter(|lease| late(lease.at)).count();
    let what = format!("{} nodes serve clients", leases.len() - lapsed);
    match (leases.len() - lapsed, lapsed) {
        (0, _) => Finding::fails(Area::Nodes, "no node serves clients").remedy("start one: `herald serve`"),
        (_, 0) => Finding::ok(Area::Nodes, what),
        (_, lapsed) => Finding::warns(Area::Nodes, format!("{what}; {lapsed} died and are not seen to yet"))
            .remedy("it passes within seconds where a node with the role `command` runs"),
    }
}

fn end(partition: Partition, state: &StreamState) -> Position {
    Position { partition, sequence: state.state.last_seq }
}
