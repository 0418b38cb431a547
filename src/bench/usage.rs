//! What processes have used, as the kernel counts it under `/proc`: their CPU
//! time, and the memory that is theirs. Postgres is all of its processes.

use super::target::Pids;
use std::{fs, time::Duration};

/// What a server has used since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) cpu: Duration,
    /// Resident bytes; of what several share, each has its part.
    pub(super) memory: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) herald: Option<Sample>,
    pub(super) nats: Option<Sample>,
    pub(super) postgres: Option<Sample>,
    pub(super) bench: Option<Sample>,
}

/// What `/proc/<pid>/stat` tells, in clock ticks.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own: u64,
    /// Of its children that have ended.
    ended: u64,
}

impl Usage {
    pub(super) fn read(pids: Pids) -> Self {
        Self {
            herald: pids.herald.and_then(one),
            nats: pids.nats.and_then(one),
            postgres: pids.postgres.and_then(with_children),
            bench: one(std::process::id()),
        }
    }
}

fn one(pid: u32) -> Option<Sample> {
    Some(Sample { cpu: time(stat(pid)?.own), memory: memory(pid)? })
}

fn with_children(parent: u32) -> Option<Sample> {
    loop {
        let Stat { own, ended, .. } = stat(parent)?;
        let (mut ticks, mut memory) = (own + ended, memory(parent)?);
        let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for pid in pids {
            if let Some(child) = stat(pid).filter(|child| child.parent == parent) {
                ticks += child.own;
                memory += self::memory(pid).unwrap_or(0);
            }
        }
        // A child that was collected meanwhile would be counted twice, or not at all.
        if stat(parent)?.ended == ended {
            return Some(Sample { cpu: time(ticks), memory });
        }
    }
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Stat> {
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let mut times = fields.skip(9).map_while(|field| field.parse::<u64>().ok());
    Some(Stat { parent, own: times.next()? + times.next()?, ended: times.next()? + times.next()? })
}

fn time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second().max(1))
}

fn memory(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
    let shared = rollup.as_deref().and_then(|rollup| kilobytes(rollup, "Pss:"));
    let alone = || kilobytes(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:");
    shared.or_else(alone).map(|kilobytes| kilobytes * 1_024)
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Stat, kilobytes, parse};

    #[test]
    fn a_name_may_hold_what_separates() {
        let stat = "42 (a) (b c) S 7 42 42 0 -1 4194304 1 2 3 4 100 20 3 4 20 0 1 0 999 0 0";
        assert_eq!(parse(stat), Some(Stat { parent: 7, own: 120, ended: 7 }));
        assert_eq!(parse("nothing"), None);
    }

    #[test]
    fn memory_is_told_in_kilobytes() {
        assert_eq!(kilobytes("Rss:  12 kB\nPss:     1234 kB\nPss_Dirty: 5 kB\n", "Pss:"), Some(1_234));
    }
}
