//! Settings, read in one place: what a flag says, else the environment, else
//! the file, else the default. The file is TOML, one key for each setting,
//! spelled as its flag. Shows what holds and why; never shows a secret.

use anyhow::{Context, bail};
use clap::{Arg, ArgMatches, Command, builder::OsStr, error::ContextKind, error::ContextValue, parser::ValueSource};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{self, Write},
    path::PathBuf,
};
use toml::{Table, Value};

const FLAG: &str = "--config";
const VARIABLE: &str = "HERALD_CONFIG";
const MASK: &str = "***";
/// What the name of a setting ends with that is shown to nobody.
const SECRET: &str = "secret";

/// What was read: the settings as clap has them, and the file that some are from.
pub(crate) struct Read {
    pub(crate) matches: ArgMatches,
    command: Command,
    file: Option<File>,
}

/// A setting as it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// `None`: nothing is set, and nothing is the default.
    pub(crate) value: Option<String>,
    /// A flag, a variable, a file, or `default`.
    pub(crate) from: String,
}

struct File {
    path: PathBuf,
    values: BTreeMap<String, Vec<String>>,
}

/// Reads all settings that a command line knows. Ends the process where clap has something to tell.
///
/// # Errors
/// When the file cannot be read, or holds what no setting is.
pub(crate) fn read(command: Command, arguments: Vec<OsString>) -> anyhow::Result<Read> {
    let file = path(&arguments).map(|path| File::read(path, &command)).transpose()?;
    let mut command = match &file {
        Some(file) => file.underlay(command),
        None => command,
    };
    match command.try_get_matches_from_mut(arguments) {
        Ok(matches) => Ok(Read { matches, command, file }),
        Err(error) => match file.filter(|file| file.says(&error)) {
            Some(file) => bail!("in {}: {}", file.path.display(), error.to_string().trim_start_matches("error: ")),
            None => error.exit(),
        },
    }
}

impl Read {
    /// The settings of a sub-command that takes them all, in the order of its help.
    pub(crate) fn settings(&self, name: &str) -> Vec<Setting> {
        let command = self.command.find_subcommand(name);
        let matches = self.matches.subcommand_matches(name);
        let (Some(command), Some(matches)) = (command, matches) else { return Vec::new() };
        command.get_arguments().filter_map(|arg| self.setting(arg, matches)).collect()
    }

    fn setting(&self, arg: &Arg, matches: &ArgMatches) -> Option<Setting> {
        let (name, variable) = (key(arg)?, arg.get_env()?);
        let id = arg.get_id().as_str();
        let value = matches.get_raw(id).map(|values| {
            let masked = |value: &str| if name.ends_with(SECRET) { MASK.to_owned() } else { mask(value) };
            let values: Vec<_> = values.map(|value| masked(&value.to_string_lossy())).collect();
            values.join(",")
        });
        let file = || self.file.as_ref().filter(|file| file.values.contains_key(&name));
        let from = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => format!("--{}", arg.get_long()?),
            Some(ValueSource::EnvVariable) => variable.to_string_lossy().into_owned(),
            _ => file().map_or_else(|| "default".to_owned(), |file| file.path.display().to_string()),
        };
        Some(Setting { name, value, from })
    }
}

/// Prints settings for a person, in columns.
///
/// # Errors
/// When nobody reads them.
pub(crate) fn print(settings: &[Setting], mut to: impl Write) -> io::Result<()> {
    let shown = |setting: &Setting| setting.value.clone().unwrap_or_else(|| "-".to_owned());
    let widest = |of: &dyn Fn(&Setting) -> usize| settings.iter().map(of).max().unwrap_or(0);
    let (names, values) = (widest(&|setting| setting.name.len()), widest(&|setting| shown(setting).chars().count()));
    for setting in settings {
        writeln!(to, "{:names$}  {:values$}  {}", setting.name, shown(setting), setting.from)?;
    }
    Ok(())
}

/// What is secret in a URL: passwords, and a token that stands alone before the host.
pub(crate) fn mask(value: &str) -> String {
    // Several URLs may be given, with commas between them.
    value.split(',').map(mask_url).collect::<Vec<_>>().join(",")
}

fn mask_url(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = match authority.rsplit_once('@') {
        None => authority.to_owned(),
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            None if scheme.starts_with("postgres") => authority.to_owned(),
            None => format!("{MASK}@{host}"),
        },
    };
    let parameter = |parameter: &str| match parameter.split_once('=') {
        Some((name, _)) if name.contains("password") => format!("{name}={MASK}"),
        Some(_) | None => parameter.to_owned(),
    };
    let query = query.map(|query| format!("?{}", query.split('&').map(parameter).collect::<Vec<_>>().join("&")));
    format!("{scheme}://{authority}{path}{}", query.unwrap_or_default())
}

/// Where the file is, before anything else can be read.
#[expect(clippy::disallowed_methods, reason = "this is the one place where settings are read")]
fn path(arguments: &[OsString]) -> Option<PathBuf> {
    let mut words = arguments.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == FLAG {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix(FLAG)?.strip_prefix('=')) {
            return Some(path.into());
        }
    }
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

/// The key in the file of an argument that is a setting: one that a variable can give as well.
fn key(arg: &Arg) -> Option<String> {
    let long = arg.get_long().filter(|long| format!("--{long}") != FLAG)?;
    arg.get_env().map(|_| long.replace('-', "_"))
}

fn keys(command: &Command, known: &mut BTreeMap<String, bool>) {
    for arg in command.get_arguments() {
        if let Some(key) = key(arg) {
            known.insert(key, arg.get_value_delimiter().is_some());
        }
    }
    command.get_subcommands().for_each(|command| keys(command, known));
}

impl File {
    fn read(path: PathBuf, command: &Command) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(&path).with_context(|| {
            format!("the configuration {shown} cannot be read: correct {FLAG} or {VARIABLE}, or leave it out")
        })?;
        let table: Table = text.parse().with_context(|| format!("the configuration {shown} is no TOML"))?;
        let mut known = BTreeMap::new();
        keys(command, &mut known);
        let mut values = BTreeMap::new();
        for (key, value) in table {
            let Some(many) = known.get(&key) else {
                bail!("in {shown}: there is no setting `{key}`; `herald config` lists them all");
            };
            let value =
                words(value).with_context(|| format!("in {shown}: `{key}` must be a text, a number or a list"))?;
            if value.len() != 1 && !many {
                bail!("in {shown}: `{key}` takes one value");
            }
            values.insert(key, value);
        }
        Ok(Self { path, values })
    }

    /// Lays the file's values under a command line, in the place of defaults.
    fn underlay(&self, command: Command) -> Command {
        let command = command.mut_args(|arg| match key(&arg).and_then(|key| self.values.get(&key)) {
            Some(values) => arg.default_values(values.iter().map(OsStr::from)),
            None => arg,
        });
        command.mut_subcommands(|command| self.underlay(command))
    }

    /// Whether it is a value of this file that clap complains of.
    fn says(&self, error: &clap::Error) -> bool {
        let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return false };
        let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else { return false };
        let flag = argument.split_whitespace().next().unwrap_or_default().trim_start_matches('-');
        self.values.get(&flag.replace('-', "_")).is_some_and(|values| values.contains(value))
    }
}

fn words(value: Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Integer(number) => Some(vec![number.to_string()]),
        Value::Float(number) => Some(vec![number.to_string()]),
        Value::Boolean(flag) => Some(vec![flag.to_string()]),
        Value::Array(values) => {
            let words = values.into_iter().map(words).collect::<Option<Vec<_>>>()?;
            Some(words.concat())
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
