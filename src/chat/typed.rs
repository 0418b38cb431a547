//! What somebody types, line by line: a text, or a command after a slash.

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed<'a> {
    Nothing,
    /// To be sent.
    Text(&'a str),
    Help,
    Quit,
    Threads,
    Members,
    Who,
    Ticks,
    /// A place in the list, a title or a username.
    Open(&'a str),
    Group {
        usernames: Vec<&'a str>,
        title: &'a str,
    },
    Add(&'a str),
    History(u32),
    /// And why it will not do.
    Wrong(String),
}

/// Lines of a history, unless told otherwise.
const HISTORY: u32 = 20;
/// Of one page of the contract.
pub(super) const MOST: u32 = 100;

pub(super) const HELP: [&str; 11] = [
    "/threads            conversations, the newest first",
    "/open NAME          one of them, by its place in the list, its title, or somebody's username",
    "/group A,B TITLE    a new group with those people",
    "/add USERNAME       adds somebody to this group",
    "/members            who is in this conversation",
    "/who                who of them is here",
    "/history [NUMBER]   what was written last",
    "/ticks              tells how far your messages have come, or no longer",
    "/help               this",
    "/quit               ends, as the end of input does",
    "//                  a message that begins with a slash",
];

/// Reads a line.
pub(super) fn read(line: &str) -> Typed<'_> {
    let line = line.trim();
    if line.is_empty() {
        return Typed::Nothing;
    }
    let Some(command) = line.strip_prefix('/') else { return Typed::Text(line) };
    if command.starts_with('/') {
        return Typed::Text(command);
    }
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    match (name, rest) {
        ("help", "") => Typed::Help,
        ("quit", "") => Typed::Quit,
        ("threads", "") => Typed::Threads,
        ("members", "") => Typed::Members,
        ("who", "") => Typed::Who,
        ("ticks", "") => Typed::Ticks,
        ("open", name) if !name.is_empty() => Typed::Open(name.strip_prefix('@').unwrap_or(name)),
        ("add", name) if !name.is_empty() => Typed::Add(name.strip_prefix('@').unwrap_or(name)),
        ("group", rest) => group(rest),
        ("history", "") => Typed::History(HISTORY),
        ("history", number) => match number.parse() {
            Ok(number @ 1..=MOST) => Typed::History(number),
            Ok(_) | Err(_) => Typed::Wrong(format!("/history takes a number from 1 to {MOST}")),
        },
        (name, _) => Typed::Wrong(format!("/{name} is not understood so: /help lists what is")),
    }
}

fn group(rest: &str) -> Typed<'_> {
    match rest.split_once(char::is_whitespace) {
        Some((names, title)) => Typed::Group { usernames: usernames(names), title: title.trim() },
        None => Typed::Wrong("/group takes usernames with commas between them, and a title".to_owned()),
    }
}

/// A list of people.
pub(super) fn usernames(names: &str) -> Vec<&str> {
    let names = names.split(',').map(str::trim);
    names.map(|name| name.strip_prefix('@').unwrap_or(name)).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Typed, read};

    #[test]
    fn a_line_is_a_text_or_a_command() {
        for (line, expected) in [
            ("", Typed::Nothing),
            ("   \t", Typed::Nothing),
            (" Hello, Bob ", Typed::Text("Hello, Bob")),
            ("//etc is a folder", Typed::Text("/etc is a folder")),
            ("/quit", Typed::Quit),
            ("/open 2", Typed::Open("2")),
            ("/open @bob", Typed::Open("bob")),
            ("/open River crossing", Typed::Open("River crossing")),
            (
                "/group bob,@cyd Trip to the sea",
                Typed::Group { usernames: vec!["bob", "cyd"], title: "Trip to the sea" },
            ),
            ("/history", Typed::History(20)),
            ("/history 3", Typed::History(3)),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_not_sent_as_a_text() {
        for line in ["/open", "/add ", "/group bob", "/history 0", "/history 101", "/quit now", "/qiut"] {
            assert!(matches!(read(line), Typed::Wrong(_)), "{line}");
        }
    }
}
