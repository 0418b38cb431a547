//! Which of four places a setting is from, and what of it is shown.

use super::{Setting, mask, print, read};
use clap::{CommandFactory, Parser, Subcommand};
use std::{
    ffi::OsString,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

#[derive(Debug, Parser)]
struct Program {
    #[command(subcommand)]
    command: Option<Sub>,
    #[arg(long, env = "HERALD_TEST_LISTEN", default_value = "here", global = true)]
    listen: String,
    #[arg(long, env = "HERALD_CONFIG", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Config {
        #[arg(long, env = "HERALD_TEST_NUMBER")]
        number: Option<u16>,
        #[arg(long, env = "HERALD_TEST_MANY", value_delimiter = ',')]
        many: Vec<String>,
        /// No setting: nobody would keep it in a file.
        #[arg(long)]
        json: bool,
    },
}

/// The settings with a file of that text, and after it those arguments.
fn settings(text: &str, arguments: &[&str]) -> Result<Vec<(String, Option<String>, String)>, String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let file = std::env::temp_dir().join(format!("herald-config-{}-{count}.toml", std::process::id()));
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let words = [&["herald", "--config", path, "config"], arguments].concat();
    let read = read(Program::command(), words.iter().map(OsString::from).collect());
    let settings = read.map(|read| read.settings("config")).map_err(|error| format!("{error:#}").replace(path, "FILE"));
    fs::remove_file(&file).ok();
    let plain = |Setting { name, value, from }: Setting| (name, value, from.replace(path, "FILE"));
    settings.map(|settings| settings.into_iter().map(plain).collect())
}

fn setting(name: &str, value: Option<&str>, from: &str) -> (String, Option<String>, String) {
    (name.to_owned(), value.map(str::to_owned), from.to_owned())
}

#[test]
fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
    let found = settings("listen = 'there'\nmany = ['a', 'b']", &["--number", "7"]).unwrap();
    for expected in [
        setting("number", Some("7"), "--number"),
        setting("many", Some("a,b"), "FILE"),
        setting("listen", Some("there"), "FILE"),
    ] {
        assert!(found.contains(&expected), "{found:?}");
    }
    assert_eq!(found.len(), 3);

    let found = settings("number = 5", &["--listen", "elsewhere"]).unwrap();
    for expected in [
        setting("listen", Some("elsewhere"), "--listen"),
        setting("number", Some("5"), "FILE"),
        setting("many", None, "default"),
    ] {
        assert!(found.contains(&expected), "{found:?}");
    }
}

#[test]
fn a_file_that_holds_what_no_setting_is_is_refused_by_name() {
    for (text, complaint) in [
        ("listne = 'there'", "in FILE: there is no setting `listne`"),
        ("json = true", "there is no setting `json`"),
        ("config = 'other'", "there is no setting `config`"),
        ("[listen]\na = 1", "`listen` must be a text, a number or a list"),
        ("number = [1, 2]", "`number` takes one value"),
        ("number = 70000", "in FILE: invalid value '70000' for '--number"),
        ("number = ", "is no TOML"),
    ] {
        let said = settings(text, &[]).unwrap_err();
        assert!(said.contains(complaint), "{said}");
    }
}

#[test]
fn passwords_and_tokens_are_masked() {
    for (value, shown) in [
        (
            "postgres://herald:secret@db:5432/herald?sslmode=disable",
            "postgres://herald:***@db:5432/herald?sslmode=disable",
        ),
        ("postgres://herald@db/herald?password=secret&a=b", "postgres://herald@db/herald?password=***&a=b"),
        ("postgres://herald:se@ret:x@db/herald", "postgres://herald:***@db/herald"),
        ("nats://token@a:4222,nats://u:p@b:4222", "nats://***@a:4222,nats://u:***@b:4222"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
    ] {
        assert_eq!(mask(value), shown);
    }
}

#[test]
fn settings_are_printed_in_columns() {
    let setting = |name: &str, value: Option<&str>| Setting {
        name: name.into(),
        value: value.map(Into::into),
        from: "default".into(),
    };
    let mut printed = Vec::new();
    print(&[setting("listen", Some("here")), setting("data", None)], &mut printed).unwrap();
    assert_eq!(String::from_utf8(printed).unwrap(), "listen  here  default\ndata    -     default\n");
}
