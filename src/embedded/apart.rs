//! The servers one by one, at ports that they keep over any number of starts:
//! for tests, which stop, kill and start them apart. Nobody guards these; each
//! ends with its handle.

use std::fs::File;
use std::path::Path;

use tokio::process::Child;

use super::guardian::Plan;
use super::nats::{self, Addresses, Place};
use super::{Error, Options, User, make_databases, plan, ports, postgres};

/// Servers that are started by hand, on a data folder of their own.
#[derive(Debug)]
pub struct Apart {
    plan: Plan,
    places: Vec<Place>,
    postgres_port: u16,
    databases: u16,
    _lock: File,
}

impl Apart {
    /// Finds or installs the servers and chooses their ports; starts none.
    pub async fn find(options: &Options) -> Result<Self, Error> {
        let (plan, lock) = plan(options).await?;
        let places = nats::places(&plan.data, plan.nats_nodes, true)?;
        let port = ports::free(1).map_err(|_| Error::PortTaken { server: "PostgreSQL".into() })?[0];
        Ok(Self { plan, places, postgres_port: port, databases: options.databases, _lock: lock })
    }

    /// Starts the nats-server of that index.
    pub async fn start_nats(&self, node: usize) -> Result<Child, Error> {
        let mut slot = None;
        nats::start(&self.plan, &self.places[node], &mut slot).await?;
        Ok(slot.expect("started above"))
    }

    /// Starts Postgres, at the first time with its databases.
    pub async fn start_postgres(&self) -> Result<Child, Error> {
        let mut slot = None;
        let server = postgres::start(&self.plan, Some(self.postgres_port), &mut slot).await?;
        make_databases(&server, self.databases).await?;
        Ok(slot.expect("started above"))
    }

    /// What the nats-servers run.
    pub fn nats_server(&self) -> &Path {
        &self.plan.nats_server
    }

    /// All nats-servers, with commas between them.
    pub fn nats_url(&self) -> String {
        self.nats_url_of(User::Herald)
    }

    /// The same for a user with other rights.
    pub fn nats_url_of(&self, user: User) -> String {
        nats::url(&self.addresses(), &self.plan.nats_passwords, user)
    }

    /// Where each nats-server tells what it does.
    pub fn nats_monitor_urls(&self) -> Vec<String> {
        self.addresses().into_iter().map(|addresses| addresses.monitor).collect()
    }

    /// Of the database `herald`; of several all, with commas between them.
    ///
    /// # Errors
    /// Before Postgres was started for the first time.
    pub fn database_url(&self) -> Result<String, Error> {
        postgres::url(&self.plan, self.postgres_port).map(|server| super::database_urls(&server, self.databases))
    }

    fn addresses(&self) -> Vec<Addresses> {
        self.places.iter().map(Place::addresses).collect()
    }
}
