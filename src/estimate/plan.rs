//! What it takes: machines by role, from the demand, what one of each thing
//! costs, and what a machine has. Pure; a role's machines are counted for the
//! busiest second, disks for all years.

use super::{
    costs::Costs,
    demand::{DAY, People, Rates, factor, share},
};
use clap::Args;
use serde::Serialize;

/// A machine of the kind that is counted, and how full it may be.
#[derive(Debug, Clone, PartialEq, Args, Serialize)]
pub(crate) struct Machine {
    /// Cores of a machine.
    #[arg(long, default_value = "32", value_name = "NUMBER", value_parser = factor)]
    pub(crate) cores: f64,
    /// Its memory, GiB.
    #[arg(long, default_value = "128", value_name = "GIB", value_parser = factor)]
    pub(crate) memory: f64,
    /// Its disks, TB.
    #[arg(long, default_value = "30", value_name = "TB", value_parser = factor)]
    pub(crate) disk: f64,
    /// Its network, Gbit a second, each way.
    #[arg(long, default_value = "25", value_name = "GBIT", value_parser = factor)]
    pub(crate) network: f64,
    /// How much of any of them may be used in the busiest second.
    #[arg(long, default_value = "0.6", value_name = "SHARE", value_parser = share)]
    pub(crate) full: f64,
    /// Copies of the log.
    #[arg(long, default_value = "3", value_name = "NUMBER", value_parser = factor)]
    pub(crate) replicas: f64,
    /// Copies of each database of views, standbys included.
    #[arg(long, default_value = "1", value_name = "NUMBER", value_parser = factor)]
    pub(crate) standbys: f64,
    /// Leaves out `search`, by far the largest view.
    #[arg(long)]
    pub(crate) no_search: bool,
}

/// Machines of one role, and which of their parts asks for so many.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Role {
    pub(crate) name: &'static str,
    /// `None`: no number of them would do.
    pub(crate) machines: Option<f64>,
    /// How many each part asks for.
    pub(crate) by: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Part {
    pub(crate) part: &'static str,
    pub(crate) machines: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Plan {
    pub(crate) peak: Rates,
    /// Gateways and commands.
    pub(crate) edge: Role,
    pub(crate) nats: Role,
    pub(crate) postgres: Role,
    pub(crate) partitions: f64,
    pub(crate) subjects: f64,
    pub(crate) log_bytes_a_day: f64,
    pub(crate) log_terabytes: f64,
    pub(crate) view_bytes_a_day: f64,
    pub(crate) view_terabytes: f64,
    /// Hours that a rebuild of all views takes, every shard with its own cores.
    pub(crate) rebuild_hours: Option<f64>,
    /// CPU of all servers for a message, µs.
    pub(crate) us_a_message: f64,
}

/// Partitions a deployment starts with, at least.
const FEWEST_PARTITIONS: f64 = 16.0;
const FEWEST_NATS: f64 = 3.0;
/// What NATS and Postgres need beside what is counted: their caches of files.
const MEMORY_FOR_STATE: f64 = 0.5;

impl Machine {
    fn cpu(&self) -> f64 {
        self.cores * self.full * 1e6
    }

    fn bytes_a_second(&self) -> f64 {
        self.network * self.full / 8.0 * 1e9
    }

    fn state(&self) -> f64 {
        self.memory * MEMORY_FOR_STATE * f64::from(1 << 30)
    }

    /// CPU of NATS for a message, all copies, µs.
    fn append_us(&self, costs: &Costs) -> f64 {
        if self.replicas > 1.0 { costs.replicated_nats_us.max(costs.message_nats_us) } else { costs.message_nats_us }
    }
}

/// Bytes of a message in the log: what is not its text, and its text.
pub(crate) fn message_log_bytes(people: &People, costs: &Costs) -> f64 {
    (costs.message_log_bytes + (people.body - 30.0)).max(1.0)
}

/// Bytes a second that each reader of the whole log is sent.
pub(crate) fn tail_bytes(people: &People, costs: &Costs) -> f64 {
    let peak = people.at_peak();
    // The log is compressed on disk, not on its way: about twice as much.
    2.0 * (peak.messages * message_log_bytes(people, costs) + peak.receipts * costs.receipt_log_bytes)
}

/// Events a second that each reader of the whole log takes apart: watermarks come coalesced.
pub(crate) fn tail_us(people: &People, costs: &Costs) -> f64 {
    let peak = people.at_peak();
    peak.messages * costs.tail_edge_us + peak.receipts * costs.tail_edge_us / 20.0
}

impl Plan {
    pub(crate) fn of(people: &People, costs: &Costs, machine: &Machine) -> Self {
        let peak = people.at_peak();
        let day = people.rates(1.0);
        let log_bytes_a_day = DAY
            * (day.messages * message_log_bytes(people, costs) + day.receipts * costs.receipt_log_bytes)
            * machine.replicas;
        let a_view_message =
            costs.timeline_bytes + (people.body - 30.0) + if machine.no_search { 0.0 } else { costs.search_bytes };
        let view_bytes_a_day = DAY * day.messages * a_view_message * machine.standbys;
        let days = people.years * 365.0;
        let log_terabytes = log_bytes_a_day * days / 1e12;
        let places = people.dau * people.threads * costs.head_bytes * machine.standbys;
        let view_terabytes = (view_bytes_a_day * days + places) / 1e12;

        let edge = edge(people, costs, machine, &peak);
        let postgres = postgres(people, costs, machine, &peak, view_terabytes);
        let readers = edge.machines.unwrap_or(f64::INFINITY) + postgres.machines.unwrap_or(f64::INFINITY);
        let nats = nats(people, costs, machine, &peak, log_terabytes, readers);
        let events = people.kept().0;
        let rebuild_hours =
            postgres.machines.map(|machines| events / (costs.rebuild_per_second * machine.cores * machines) / 3_600.0);
        Self {
            peak,
            edge,
            nats,
            postgres,
            partitions: partitions(&peak, costs, machine),
            subjects: people.subjects(),
            log_bytes_a_day,
            log_terabytes,
            view_bytes_a_day,
            view_terabytes,
            rebuild_hours,
            us_a_message: costs.message_edge_us
                + machine.append_us(costs)
                + costs.message_postgres_us
                + peak.further_deliveries / peak.messages.max(f64::MIN_POSITIVE) * costs.delivery_us,
        }
    }

    pub(crate) fn machines(&self) -> Option<f64> {
        self.roles().map(|role| role.machines).into_iter().sum()
    }

    pub(crate) fn roles(&self) -> [&Role; 3] {
        [&self.edge, &self.nats, &self.postgres]
    }
}

/// The next power of two that takes the busiest second.
fn partitions(peak: &Rates, costs: &Costs, machine: &Machine) -> f64 {
    let appends = peak.messages / (costs.stream_per_second * machine.full);
    appends.log2().ceil().exp2().max(FEWEST_PARTITIONS)
}

/// Each gateway reads the whole log, whoever is connected to it: that is taken from what it has for others.
fn edge(people: &People, costs: &Costs, machine: &Machine, peak: &Rates) -> Role {
    let work = peak.messages * costs.message_edge_us
        + peak.further_deliveries * costs.delivery_us
        + peak.hellos * costs.hello_edge_us
        + peak.log_ins * costs.log_in_us;
    let frames = (2.0 * peak.messages + peak.further_deliveries + peak.receipts * people.connected) * costs.frame_bytes;
    let connections = peak.connections * costs.connection_kib * 1_024.0;
    Role::of(
        "edge",
        1.0,
        [
            ("cpu", work, machine.cpu() - tail_us(people, costs)),
            ("memory", connections, machine.state()),
            ("network", frames, machine.bytes_a_second() - tail_bytes(people, costs)),
        ],
    )
}

fn nats(people: &People, costs: &Costs, machine: &Machine, peak: &Rates, terabytes: f64, readers: f64) -> Role {
    let read = peak.messages * costs.tail_nats_us * readers;
    Role::of(
        "nats",
        FEWEST_NATS,
        [
            ("cpu", peak.messages * machine.append_us(costs) + read, machine.cpu()),
            ("memory", people.subjects() * costs.subject_bytes * machine.replicas, machine.state()),
            ("network", tail_bytes(people, costs) * (readers + machine.replicas - 1.0), machine.bytes_a_second()),
            ("disk", terabytes, machine.disk * machine.full),
        ],
    )
}

fn postgres(people: &People, costs: &Costs, machine: &Machine, peak: &Rates, terabytes: f64) -> Role {
    let work =
        peak.messages * costs.message_postgres_us + peak.hellos * costs.hello_postgres_us + peak.reads * costs.read_us;
    let wal = peak.messages * costs.wal_bytes * (machine.standbys - 1.0);
    Role::of(
        "postgres",
        1.0,
        [
            ("cpu", work * machine.standbys, machine.cpu()),
            ("network", tail_bytes(people, costs) + wal, machine.bytes_a_second()),
            ("disk", terabytes, machine.disk * machine.full),
        ],
    )
}

impl Role {
    /// So many that each part's demand fits into what the machines have of it.
    fn of<const N: usize>(name: &'static str, fewest: f64, parts: [(&'static str, f64, f64); N]) -> Self {
        let by = parts.map(|(part, demand, supply)| {
            let machines = (supply > 0.0 && demand.is_finite()).then(|| (demand / supply).ceil());
            Part { part, machines }
        });
        let machines = by.iter().try_fold(fewest, |most, part| part.machines.map(|machines| machines.max(most)));
        Self { name, machines, by: by.to_vec() }
    }

    /// The part that asks for most.
    pub(crate) fn bound(&self) -> &'static str {
        let most = |part: &&Part| part.machines.unwrap_or(f64::INFINITY);
        let bound = self.by.iter().max_by(|one, other| most(one).total_cmp(&most(other)));
        bound.map_or("", |part| part.part)
    }
}
