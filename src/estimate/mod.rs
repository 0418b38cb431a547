//! `herald estimate`: what a deployment of so many people takes, from what one
//! of each thing costs here. Says what is measured and what is assumed, and what
//! gives way first. Asks nobody: no log, no views.

mod costs;
mod demand;
mod limits;
mod page;
mod plan;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use costs::Costs;

use anyhow::Context;
use clap::Args;
use costs::Described;
use demand::{People, Seed};
use limits::Limit;
use plan::{Machine, Plan};
use serde::Serialize;
use std::{
    fs,
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    people: People,
    #[command(flatten)]
    machine: Machine,
    /// What one of each thing costs: a file that `herald bench --calibrate` has written. Without it, what was measured
    /// for Herald's own documentation.
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
    /// Writes a page with plots too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// All that is known of it: printed for people, as JSON or as a page.
#[derive(Debug, Serialize)]
struct Estimate {
    people: People,
    machine: Machine,
    seed: Seed,
    plan: Plan,
    limits: Vec<Limit>,
    /// How it grows, from a thousandth of the people to ten times as many.
    growth: Vec<Grown>,
    measured_on: String,
    costs: Vec<Described>,
}

#[derive(Debug, Serialize)]
struct Grown {
    dau: f64,
    edge: Option<f64>,
    nats: Option<f64>,
    postgres: Option<f64>,
    terabytes: f64,
}

/// Steps of the growth for each tenfold.
const STEPS: i32 = 4;

impl Estimate {
    fn of(people: People, machine: Machine, costs: &Costs) -> Self {
        let grown = |step: i32| {
            let dau = people.dau * 10_f64.powf(f64::from(step) / f64::from(STEPS));
            let plan = Plan::of(&people.with_dau(dau), costs, &machine);
            let [edge, nats, postgres] = plan.roles().map(|role| role.machines);
            Grown { dau, edge, nats, postgres, terabytes: plan.log_terabytes + plan.view_terabytes }
        };
        Self {
            seed: people.seed(),
            plan: Plan::of(&people, costs, &machine),
            limits: limits::limits(&people, costs, &machine),
            growth: (-3 * STEPS..=STEPS).map(grown).collect(),
            measured_on: costs.machine.clone(),
            costs: costs.described(),
            people,
            machine,
        }
    }
}

/// # Errors
/// When a file cannot be read or written.
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { people, machine, costs, html, json } = options;
    let costs = costs.as_deref().map(Costs::read).transpose()?.unwrap_or_default();
    let estimate = Estimate::of(people, machine, &costs);
    if let Some(path) = html {
        fs::write(&path, page::page(&estimate)).with_context(|| format!("{}", path.display()))?;
    }
    if json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&estimate)?)?;
    } else {
        write!(stdout(), "{estimate}")?;
    }
    Ok(ExitCode::SUCCESS)
}
