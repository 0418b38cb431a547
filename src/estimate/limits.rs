//! What gives way first as more people come: for each thing that does not grow
//! by adding machines, how many people a day it carries. Pure.

use super::{
    costs::Costs,
    demand::People,
    plan::{Machine, Plan, tail_bytes, tail_us},
};
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Limit {
    /// People a day.
    pub(crate) dau: f64,
    pub(crate) what: &'static str,
    pub(crate) remedy: &'static str,
}

/// The share of a gateway that may go into reading what concerns others.
const OVERHEAD: f64 = 0.25;
/// Gateways beyond which each event is sent to too many who have nobody to tell.
const GATEWAYS: f64 = 20.0;
/// Changes of presence in one fact a second of one gateway: a payload's 512 KiB over 40 bytes.
const PRESENCE: f64 = 13_000.0;

type Check = fn(&People, &Costs, &Machine) -> bool;

const LIMITS: [(&str, &str, Check); 6] = [
    (
        "each of more than 20 gateways reads the whole log",
        "a router for each partition, that forwards to who has asked for a thread",
        |people, costs, machine| {
            let plan = Plan::of(people, costs, machine);
            plan.edge.machines.is_none_or(|machines| machines > GATEWAYS)
        },
    ),
    (
        "reading the whole log takes a quarter of a gateway's cores",
        "larger gateways, or routers",
        |people, costs, machine| tail_us(people, costs) > machine.cores * machine.full * 1e6 * OVERHEAD,
    ),
    (
        "reading the whole log takes a quarter of a gateway's network",
        "a faster network, or routers",
        |people, costs, machine| tail_bytes(people, costs) > machine.network * machine.full / 8.0 * 1e9 * OVERHEAD,
    ),
    (
        "256 partitions take no more appends",
        "more partitions: a new log, as their number is fixed at creation",
        |people, costs, machine| people.at_peak().messages > 256.0 * costs.stream_per_second * machine.full,
    ),
    (
        "the subjects of a sixteenth of all partitions fill a NATS node",
        "more NATS nodes, each with fewer partitions",
        |people, costs, machine| {
            people.subjects() / 16.0 * costs.subject_bytes > machine.memory * 0.5 * f64::from(1 << 30)
        },
    ),
    (
        "the one stream of presence takes no more changes from a gateway",
        "presence in partitions, as the log",
        |people, costs, machine| {
            let plan = Plan::of(people, costs, machine);
            plan.edge.machines.is_none_or(|gateways| plan.peak.hellos * 2.0 / gateways > PRESENCE)
        },
    ),
];

const MOST: f64 = 1e11;

/// All limits, the first that is hit first.
pub(crate) fn limits(people: &People, costs: &Costs, machine: &Machine) -> Vec<Limit> {
    let mut limits: Vec<_> = LIMITS
        .iter()
        .map(|&(what, remedy, is_hit)| {
            let hit = |dau: f64| is_hit(&people.with_dau(dau), costs, machine);
            let (mut carried, mut not) = (1.0_f64, MOST);
            if !hit(not) {
                carried = not;
            }
            // Halved until it is known to a thousandth.
            while not / carried > 1.001 {
                let between = (carried * not).sqrt();
                *(if hit(between) { &mut not } else { &mut carried }) = between;
            }
            Limit { dau: carried, what, remedy }
        })
        .collect();
    limits.sort_by(|one, other| one.dau.total_cmp(&other.dau));
    limits
}
