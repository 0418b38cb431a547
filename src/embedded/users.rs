//! Who may log in to the embedded NATS: the users of `deploy/nats/accounts.conf`
//! and their passwords, made once and kept with the data, for its owner's eyes.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::secret;

const FILE: &str = "nats-passwords.json";

/// Rights in NATS, each with a name and a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// All of the log and its buckets: operators, and a herald of all roles.
    Herald,
    /// The roles command, query and gateway.
    Edge,
    /// The role projection.
    Projection,
    /// Whoever reads facts and nothing else.
    Consumer,
}

/// A password for each user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Passwords {
    herald: String,
    edge: String,
    projection: String,
    consumer: String,
    /// Not a user's: servers of a cluster know each other by it.
    pub(super) routes: String,
}

impl User {
    const ALL: [Self; 4] = [Self::Herald, Self::Edge, Self::Projection, Self::Consumer];

    fn name(self) -> &'static str {
        match self {
            Self::Herald => "herald",
            Self::Edge => "edge",
            Self::Projection => "projection",
            Self::Consumer => "consumer",
        }
    }
}

impl Passwords {
    /// Those of a data folder, made where there are none.
    pub(super) fn of(data: &Path) -> Result<Self, Error> {
        let path = data.join(FILE);
        let failed = |error: io::Error| Error::folder("keep", &path, &error);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Self::make().map_err(failed)?;
                let new = path.with_extension("new");
                secret::keep(&new, &serde_json::to_vec(&made).expect("passwords are plain data")).map_err(failed)?;
                fs::rename(&new, &path).map_err(failed)?;
                Ok(made)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// As `accounts.conf` names them: variables of the server's environment.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, &str)> {
        User::ALL
            .into_iter()
            .map(|user| (format!("HERALD_NATS_{}_PASSWORD", user.name().to_uppercase()), self.password(user)))
    }

    /// Addresses with commas between them, for that user.
    pub(super) fn log_in(&self, user: User, urls: &str) -> String {
        let login = format!("://{}:{}@", user.name(), self.password(user));
        urls.split(',').map(|url| url.replacen("://", &login, 1)).collect::<Vec<_>>().join(",")
    }

    fn make() -> io::Result<Self> {
        Ok(Self {
            herald: password()?,
            edge: password()?,
            projection: password()?,
            consumer: password()?,
            routes: password()?,
        })
    }

    fn password(&self, user: User) -> &str {
        match user {
            User::Herald => &self.herald,
            User::Edge => &self.edge,
            User::Projection => &self.projection,
            User::Consumer => &self.consumer,
        }
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords(..)")
    }
}

/// 128 random bits. NATS reads what begins with a digit as a number, so it begins with a letter.
pub(super) fn password() -> io::Result<String> {
    Ok(format!("p{}", secret::hex(&secret::random::<16>()?)))
}
