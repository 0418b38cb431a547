//! Under whom Postgres runs. It refuses root and whoever has no name, so these
//! lend it another account: a user namespace in which their own files belong to
//! nobody, or, where the kernel refuses that, root gives them to another uid.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::Error;

const NOBODY: u32 = 65534;

/// The account that Postgres runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Account {
    /// Herald's own.
    Own,
    /// Herald's own outside, nobody inside: works in folders that only root may enter.
    Namespace,
    /// An ordinary user, to whom the files are given.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// Chooses the account for a folder and gives it the folder.
    pub(super) async fn choose(folder: &Path) -> Result<Self, Error> {
        let root = rustix::process::geteuid().is_root();
        let accounts = if root { Self::for_root(folder) } else { Self::for_user().await };
        for account in accounts {
            // A candidate that cannot be given the folder is none.
            if account.own(folder).is_ok() && account.may(Access::Write, folder).await {
                return Ok(account);
            }
        }
        if !root {
            return Err(Error::folder("write to", folder, &io::ErrorKind::PermissionDenied.into()));
        }
        Err(Error::NoAccount { path: folder.to_owned() })
    }

    /// A command that runs a program under this account.
    pub(super) fn command(self, program: &Path) -> Command {
        match self {
            Self::Own => Command::new(program),
            Self::Namespace => {
                let mut command = Command::new("unshare");
                let nobody = NOBODY.to_string();
                command.args(["--user", "--map-user", &nobody, "--map-group", &nobody, "--"]).arg(program);
                command
            }
            Self::Other { uid, gid } => {
                let mut command = Command::new(program);
                command.uid(uid).gid(gid);
                command
            }
        }
    }

    /// Whether this account may write to or enter a path.
    pub(super) async fn may(self, access: Access, path: &Path) -> bool {
        let test = match access {
            Access::Write => "test -w \"$0\" && test -x \"$0\"",
            Access::Enter => "test -x \"$0\"",
        };
        let mut command = self.command(Path::new("/bin/sh"));
        command.arg("-c").arg(test).arg(path);
        succeeds(command).await.unwrap_or(false)
    }

    /// Gives a folder and all in it to this account.
    pub(super) fn own(self, folder: &Path) -> io::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Namespace => give(folder, rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
            Self::Other { uid, gid } => give(folder, uid, gid),
        }
    }

    /// Containers run under numbers that `passwd(5)` does not know.
    async fn for_user() -> Vec<Self> {
        let mut id = Command::new("id");
        id.arg("-un");
        if succeeds(id).await.unwrap_or(true) { vec![Self::Own] } else { vec![Self::Namespace, Self::Own] }
    }

    fn for_root(folder: &Path) -> Vec<Self> {
        let mut accounts = vec![Self::Namespace];
        // In somebody's home, most likely only that user gets through to the folder.
        let owners = folder.ancestors().skip(1).filter_map(|above| fs::metadata(above).ok());
        accounts.extend(
            owners.map(|above| Self::Other { uid: above.uid(), gid: above.gid() }).find(|other| !other.is_root()),
        );
        accounts.extend(fs::read_to_string("/etc/passwd").ok().and_then(|passwd| user("postgres", &passwd)));
        accounts.push(Self::Other { uid: NOBODY, gid: NOBODY });
        accounts
    }

    fn is_root(self) -> bool {
        matches!(self, Self::Other { uid: 0, .. })
    }
}

/// What an account wants of a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    Write,
    Enter,
}

/// Finds a user in the text of `passwd(5)`.
pub(super) fn user(name: &str, passwd: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        found.then_some(Account::Other { uid, gid })
    })
}

async fn succeeds(mut command: Command) -> io::Result<bool> {
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status().await?.success())
}

/// The folder itself changes hands last: its owner says that all is done.
fn give(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.uid() == uid {
        return Ok(());
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    lchown(path, Some(uid), Some(gid))
}
