//! An estimate as a table for a terminal.

use super::{Estimate, costs::Source, plan::Part};
use std::fmt;

/// A number with three digits that count, and its unit of a thousand.
pub(super) struct Short(pub(super) f64);

pub(super) struct Bytes(pub(super) f64);

/// So many machines, or that no number of them would do.
pub(super) struct Machines(pub(super) Option<f64>);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")];
        let (unit, name) = units.into_iter().find(|(unit, _)| self.0 >= *unit).unwrap_or((1.0, ""));
        let shown = self.0 / unit;
        let decimals = match shown {
            _ if shown >= 100.0 || shown.fract() == 0.0 => 0,
            _ if shown >= 10.0 => 1,
            _ => 2,
        };
        f.pad(&format!("{shown:.decimals$}{}{name}", if name.is_empty() { "" } else { " " }))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}B", Short(self.0)))
    }
}

impl fmt::Display for Machines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.map_or_else(|| "∞".to_owned(), |machines| format!("{machines:.0}")))
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { people, machine, seed, plan, limits, measured_on, costs, .. } = self;
        writeln!(
            f,
            "{} people a day, {} messages each, {} characters",
            Short(people.dau),
            people.messages_per_user,
            people.body
        )?;
        writeln!(f, "\nThe texts alone")?;
        line(f, "messages a second, average", Short(seed.messages_a_second), "")?;
        line(
            f,
            "messages a second, peak",
            Short(seed.messages_a_second_at_peak),
            &format!("{} times the average", people.peak),
        )?;
        line(f, "a day", Bytes(seed.gigabytes_a_day * 1e9), "")?;
        line(f, &format!("in {} years", people.years), Bytes(seed.terabytes * 1e12), "")?;

        writeln!(f, "\nWhat it takes")?;
        line(f, "sockets at the peak", Short(plan.peak.connections), "")?;
        line(f, "CPU a message, all servers", Short(plan.us_a_message), "µs")?;
        let copies = format!("{} copies", machine.replicas);
        line(f, "log a day", Bytes(plan.log_bytes_a_day), &copies)?;
        line(f, &format!("log in {} years", people.years), Bytes(plan.log_terabytes * 1e12), &copies)?;
        line(f, "views a day", Bytes(plan.view_bytes_a_day), "")?;
        line(f, &format!("views in {} years", people.years), Bytes(plan.view_terabytes * 1e12), "")?;
        line(f, "partitions", Short(plan.partitions), "")?;
        line(f, "people and threads, as subjects", Short(plan.subjects), "")?;
        if let Some(hours) = plan.rebuild_hours {
            line(f, "all views made anew", Short(hours), "hours")?;
        }

        writeln!(
            f,
            "\nMachines of {} cores, {} GiB, {} TB, {} Gbit/s, {} % full at the peak",
            machine.cores,
            machine.memory,
            machine.disk,
            machine.network,
            machine.full * 100.0
        )?;
        for role in plan.roles() {
            let parts: Vec<_> =
                role.by.iter().map(|Part { part, machines }| format!("{part} {}", Machines(*machines))).collect();
            let note = format!("bound by {} ({})", role.bound(), parts.join(", "));
            line(f, role.name, Machines(role.machines), &note)?;
        }
        line(f, "together", Machines(plan.machines()), "")?;

        writeln!(f, "\nWhat gives way first as more people come")?;
        for limit in limits {
            let reached = if limit.dau <= people.dau { "reached: " } else { "" };
            line(f, &format!("at {}", Short(limit.dau)), "", &format!("{reached}{}; {}", limit.what, limit.remedy))?;
        }

        writeln!(f, "\nMeasured on {measured_on}, unless said to be assumed")?;
        for cost in costs {
            let assumed = if cost.source == Source::Assumed { "assumed: " } else { "" };
            line(f, cost.name, Short(cost.value), &format!("{assumed}{}", cost.meaning))?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, what: &str, figure: impl fmt::Display, note: &str) -> fmt::Result {
    let figure = figure.to_string();
    writeln!(f, "{}", format!("  {what:<34}{figure:>10}  {note}").trim_end())
}
