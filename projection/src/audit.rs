//! `audit`: who did what to whom and when, as far as it is of account: log-ins and
//! their ends, membership and roles, deletions, exports, reports, and what operators
//! do and read. Messages are not deeds.

use crate::projection::Projection;
use events::{
    Aggregate, DeploymentEvent, Envelope, Event, Partition, Text, ThreadEvent, ThreadId, Timestamp, UserEvent, UserId,
    event::{Number, Role},
};
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Audit {
    pub(crate) deeds: Vec<Deed>,
    pub(crate) reports: BTreeMap<(Partition, u64), Report>,
    /// What was seen to of reports that came before this batch.
    pub(crate) resolved: Vec<(Matter, Resolved)>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Deed {
    pub(crate) at: Timestamp,
    pub(crate) partition: Partition,
    pub(crate) sequence: u64,
    pub(crate) place: u32,
    pub(crate) aggregate_id: Option<Uuid>,
    pub(crate) by: Option<UserId>,
    pub(crate) user_id: Option<UserId>,
    pub(crate) kind: &'static str,
    pub(crate) detail: Option<String>,
}

/// What a report is about, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Matter {
    pub(crate) reporter: UserId,
    pub(crate) thread_id: ThreadId,
    pub(crate) number: Number,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) matter: Matter,
    pub(crate) at: Timestamp,
    pub(crate) reason: Text,
    pub(crate) resolved: Option<Resolved>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) at: Timestamp,
    pub(crate) by: Option<UserId>,
    pub(crate) resolution: Text,
}

/// A kind of deed, whom else it concerns, and what there is to say of it.
type Told = (&'static str, Vec<UserId>, Option<String>);

impl Projection for Audit {
    fn concerns(event: &Event) -> bool {
        told(event).is_some()
    }

    fn project(&mut self, envelope: &Envelope) {
        if let (Aggregate::User(reporter), Event::User(event)) = (envelope.aggregate, &envelope.event) {
            self.report(envelope, reporter, event);
        }
        let Some((kind, people, detail)) = told(&envelope.event) else { return };
        let aggregate_id = match (envelope.aggregate, &envelope.event) {
            (_, Event::Deployment(DeploymentEvent::ThreadAudited { thread_id })) => Some(thread_id.uuid()),
            (Aggregate::User(user_id), _) => Some(user_id.uuid()),
            (Aggregate::Thread(thread_id), _) => Some(thread_id.uuid()),
            (Aggregate::Receipts(_) | Aggregate::Gateway(_) | Aggregate::Deployment, _) => None,
        };
        let (position, at, by) = (envelope.position, envelope.at, envelope.by);
        let people: Vec<_> = if people.is_empty() { vec![None] } else { people.into_iter().map(Some).collect() };
        self.deeds.extend((0..).zip(people).map(|(place, user_id)| Deed {
            at,
            partition: position.partition,
            sequence: position.sequence,
            place,
            aggregate_id,
            by,
            user_id,
            kind,
            detail: detail.clone(),
        }));
    }

    fn is_empty(&self) -> bool {
        let Self { deeds, reports, resolved } = self;
        deeds.is_empty() && reports.is_empty() && resolved.is_empty()
    }
}

impl Audit {
    fn report(&mut self, envelope: &Envelope, reporter: UserId, event: &UserEvent) {
        let at = envelope.at;
        if let UserEvent::MessageReported { thread_id, number, reason } = event {
            let matter = Matter { reporter, thread_id: *thread_id, number: *number };
            let report = Report { matter, at, reason: reason.clone(), resolved: None };
            self.reports.insert((envelope.position.partition, envelope.position.sequence), report);
        } else if let UserEvent::ReportResolved { thread_id, number, reason } = event {
            let matter = Matter { reporter, thread_id: *thread_id, number: *number };
            let resolved = Resolved { at, by: envelope.by, resolution: reason.clone() };
            let here = self.reports.values_mut().find(|report| report.matter == matter && report.resolved.is_none());
            match here {
                Some(report) => report.resolved = Some(resolved),
                None => self.resolved.push((matter, resolved)),
            }
        }
    }
}

/// What is of account in a fact.
fn told(event: &Event) -> Option<Told> {
    match event {
        Event::User(event) => of_person(event),
        Event::Thread(event) => in_thread(event),
        Event::Deployment(event) => Some(of_deployment(event)),
        Event::Receipts(_) | Event::Presence(_) => None,
    }
}

fn of_person(event: &UserEvent) -> Option<Told> {
    let none = Vec::new;
    Some(match event {
        UserEvent::SignedUp { .. } => ("signed_up", none(), None),
        UserEvent::SessionOpened { device, .. } => ("session_opened", none(), device.as_ref().and_then(plain)),
        UserEvent::SessionRevoked { session_id } => ("session_revoked", none(), Some(session_id.to_string())),
        UserEvent::PasswordChanged { ends, .. } => {
            ("password_changed", none(), Some(format!("{} sessions ended", ends.len())))
        }
        UserEvent::DataExported {} => ("data_exported", none(), None),
        UserEvent::MessageReported { thread_id, number, .. } => {
            ("message_reported", none(), Some(format!("{number} in {thread_id}")))
        }
        UserEvent::ReportResolved { thread_id, number, .. } => {
            ("report_resolved", none(), Some(format!("{number} in {thread_id}")))
        }
        UserEvent::Suspended { reason, .. } => ("suspended", none(), plain(reason)),
        UserEvent::Restored { reason } => ("restored", none(), plain(reason)),
        UserEvent::ProfileChanged { .. }
        | UserEvent::PictureChanged { .. }
        | UserEvent::ContactSaved { .. }
        | UserEvent::ContactRemoved { .. }
        | UserEvent::ThreadSettingsChanged { .. } => return None,
    })
}

fn in_thread(event: &ThreadEvent) -> Option<Told> {
    Some(match event {
        ThreadEvent::DirectOpened { peer } | ThreadEvent::MessageSent { opens: Some(peer), .. } => {
            ("direct_opened", vec![*peer], None)
        }
        ThreadEvent::GroupCreated { members, .. } => ("group_created", members.clone(), None),
        ThreadEvent::MemberAdded { user_id, role, .. } => ("member_added", vec![*user_id], Some(named(*role))),
        ThreadEvent::MemberRemoved { user_id, .. } => ("member_removed", vec![*user_id], None),
        ThreadEvent::MemberLeft { .. } => ("member_left", Vec::new(), None),
        ThreadEvent::RoleChanged { user_id, role, .. } => ("role_changed", vec![*user_id], Some(named(*role))),
        ThreadEvent::MessageDeleted { number, .. } => ("message_deleted", Vec::new(), Some(number.to_string())),
        ThreadEvent::PeerBlocked { peer } => ("peer_blocked", vec![*peer], None),
        ThreadEvent::PeerUnblocked { peer } => ("peer_unblocked", vec![*peer], None),
        ThreadEvent::MessageSent { opens: None, .. }
        | ThreadEvent::MessageEdited { .. }
        | ThreadEvent::ReactionAdded { .. }
        | ThreadEvent::ReactionRemoved { .. }
        | ThreadEvent::Renamed { .. }
        | ThreadEvent::PictureChanged { .. } => return None,
    })
}

fn of_deployment(event: &DeploymentEvent) -> Told {
    match event {
        DeploymentEvent::OperatorAdded { name } => ("operator_added", Vec::new(), plain(name)),
        DeploymentEvent::OperatorRemoved {} => ("operator_removed", Vec::new(), None),
        DeploymentEvent::SignUpClosed { reason } => ("sign_up_closed", Vec::new(), plain(reason)),
        DeploymentEvent::SignUpOpened { reason } => ("sign_up_opened", Vec::new(), plain(reason)),
        DeploymentEvent::UserAudited { user_id } => ("user_audited", vec![*user_id], None),
        DeploymentEvent::ThreadAudited { .. } => ("thread_audited", Vec::new(), None),
    }
}

fn plain(text: &Text) -> Option<String> {
    text.as_str().map(str::to_owned)
}

fn named(role: Role) -> String {
    let name = match role {
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Owner => "owner",
    };
    name.to_owned()
}
