//! A fact as rows for analytics: who, when and how much, never what. Plain of
//! people and threads are pseudonyms: the same for the same, and to be told from
//! nobody's id without the key. Pure.

use events::CloudEvent;
use hmac::{Hmac, KeyInit, Mac};
use parquet_derive::ParquetRecordWriter;
use serde_json::Value;
use sha2::Sha256;
use std::str::FromStr;
use uuid::Uuid;

/// The columns, the same for all types; null where a fact does not say it.
#[derive(Debug, Clone, PartialEq, ParquetRecordWriter)]
pub(super) struct Row {
    pub(super) event_id: String,
    pub(super) partition: i32,
    pub(super) sequence: i64,
    /// Of a fact about several people, which of them: 0, 1, 2 …
    pub(super) item: i32,
    pub(super) decided_at: chrono::NaiveDateTime,
    /// Who did it.
    pub(super) actor: Option<String>,
    /// Whom it is about: the account's owner, who was added, whose receipt it is.
    pub(super) person: Option<String>,
    pub(super) thread: Option<String>,
    pub(super) number: Option<i64>,
    pub(super) delivered: Option<i64>,
    pub(super) read: Option<i64>,
    /// The members that a group begins with.
    pub(super) members: Option<i32>,
    pub(super) role: Option<String>,
    pub(super) attachments: Option<i32>,
    /// What the fact takes in the log.
    pub(super) stored_bytes: i32,
}

/// What ids become.
#[derive(Clone)]
pub(super) enum Names {
    Pseudonyms(Hmac<Sha256>),
    Plain,
}

impl Names {
    pub(super) fn keyed(key: &[u8; 32]) -> Self {
        Self::Pseudonyms(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    fn of(&self, id: Uuid) -> String {
        match self {
            Self::Plain => id.to_string(),
            Self::Pseudonyms(keyed) => {
                let hash = keyed.clone().chain_update(id.as_bytes()).finalize().into_bytes();
                uuid::Builder::from_custom_bytes(hash[..16].try_into().expect("SHA-256 has 32 bytes"))
                    .into_uuid()
                    .to_string()
            }
        }
    }
}

/// The type without kind and version, as the folder of its files is called.
pub(super) fn type_of(event: &CloudEvent) -> &str {
    let name = event.kind.strip_prefix("herald.").unwrap_or(&event.kind);
    let name = name.split_once('.').map_or(name, |(_, name)| name);
    name.rsplit_once('.').map_or(name, |(name, _)| name)
}

/// One row; of receipts, one for each.
pub(super) fn rows(event: &CloudEvent, names: &Names) -> Vec<Row> {
    let id = |value: &Value| value.as_str().and_then(|id| Uuid::from_str(id).ok()).map(|id| names.of(id));
    let field = |of: &Value, field: &str| of.get(field).cloned().unwrap_or_default();
    let number = |of: &Value, name: &str| field(of, name).as_i64();
    let count =
        |name: &str| field(&event.data, name).as_array().map(|all| i32::try_from(all.len()).unwrap_or(i32::MAX));
    let (kind, of) = event.subject.split_once('.').unwrap_or((&event.subject, ""));
    let own = |is: &str| if kind == is { id(&Value::from(of)) } else { None };
    let row = |item: usize, data: &Value| Row {
        event_id: event.id.to_string(),
        partition: i32::from(event.position.partition.0),
        sequence: i64::try_from(event.position.sequence).unwrap_or(i64::MAX),
        item: i32::try_from(item).unwrap_or(i32::MAX),
        decided_at: event.time.naive_utc(),
        actor: event.by.map(|by| names.of(by.uuid())),
        person: id(&field(data, "user_id"))
            .or_else(|| id(&field(data, "peer")))
            .or_else(|| id(&field(data, "opens")))
            .or_else(|| own("user")),
        thread: id(&field(data, "thread_id")).or_else(|| own("thread")),
        number: number(data, "number"),
        delivered: number(data, "delivered"),
        read: number(data, "read"),
        // Its creator is one of them.
        members: if type_of(event) == "group_created" { count("members").map(|others| others + 1) } else { None },
        role: field(data, "role").as_str().map(str::to_owned),
        attachments: count("attachments"),
        stored_bytes: i32::try_from(event.stored).unwrap_or(i32::MAX),
    };
    match field(&event.data, "receipts").as_array() {
        Some(receipts) => receipts.iter().enumerate().map(|(item, receipt)| row(item, receipt)).collect(),
        None => vec![row(0, &event.data)],
    }
}
