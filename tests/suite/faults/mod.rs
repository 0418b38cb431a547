//! Faults: a deployment of real processes, hurt by a schedule that a seed
//! decides, under load. A run that fails tells its seed and what happened:
//! `HERALD_SEED=… cargo test --test suite faults::` runs it again.

mod builds;
mod check;
mod gateways;
mod keys;
mod leaks;
mod ledger;
mod load;
mod long;
mod races;
mod rebuild;
mod redeploy;
mod reshard;
mod restored;
mod revoked;
mod rig;
mod runs;
mod slow;
mod story;
mod watcher;
