//! How many files this process may have open, sockets included: as many as it is
//! allowed to, and not the few that most systems begin with.

use anyhow::ensure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process has open besides its clients' connections.
const OWN: u64 = 256;

/// Raises the limit as far as the system lets.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is not allowed, the former limit stays, and says so when it is met.
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
}

/// Whether so many connections may be open.
///
/// # Errors
/// When the system does not allow it, with the remedy.
pub(crate) fn ensure(connections: u64) -> anyhow::Result<()> {
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    ensure!(
        connections.saturating_add(OWN) <= allowed,
        "{connections} sockets need more than the {allowed} open files that this process may have: raise `ulimit -Hn`"
    );
    Ok(())
}
