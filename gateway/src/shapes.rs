//! The shapes that the OpenAPI document gives to what is a mere text or number in
//! JSON: ids, positions, and words of a closed list. For the document alone: what
//! is refused is decided where it is parsed, and the contract test holds both together.

use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, SchemaFormat,
        schema::{Schema, Type},
    },
};

macro_rules! shape {
    ($name:ident, $description:literal, $example:literal, |$of:ident| $shaped:expr) => {
        #[doc = $description]
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let $of = ObjectBuilder::new().schema_type(Type::String);
                $shaped.description(Some($description)).examples([$example]).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

fn uuid(of: ObjectBuilder) -> ObjectBuilder {
    of.format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}

shape!(Id, "A UUID in lower-case hyphenated form.", "0190b5a0-0000-7000-8000-000000000001", |of| {
    uuid(of).pattern(Some("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))
});

shape!(MintedId, "A UUIDv7, minted by the client.", "0190b5a0-0000-7000-8000-000000000003", |of| {
    uuid(of).pattern(Some("^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$"))
});

shape!(Position, "A place in the log, `partition:sequence`.", "3:1289", |of| {
    of.pattern(Some("^(0|[1-9][0-9]{0,4}):(0|[1-9][0-9]{0,19})$"))
});

shape!(Vector, "Positions, at most one of each partition, with commas between them.", "0:17,3:1289", |of| {
    of.pattern(Some(concat!(
        "^((0|[1-9][0-9]{0,4}):(0|[1-9][0-9]{0,19})",
        "([ \\t]*,[ \\t]*(0|[1-9][0-9]{0,4}):(0|[1-9][0-9]{0,19}))*)?$"
    )))
});

shape!(
    PageToken,
    "Where a page ends: opaque, and good for one kind of list.",
    "AgGQtaAAAHAAgAAAAAAAAAHqTw8cTt4",
    |of| { of.min_length(Some(1)) }
);

shape!(Role, "What a member of a thread may do.", "member", |of| of.enum_values(Some(["owner", "admin", "member"])));

shape!(ThreadKind, "Two people's thread, or a group.", "direct", |of| of.enum_values(Some(["direct", "group"])));

shape!(ThreadEvent, "What happened to a group.", "member_added", |of| {
    of.enum_values(Some([
        "created",
        "renamed",
        "member_added",
        "member_removed",
        "member_left",
        "role_changed",
        "picture_changed",
    ]))
});

shape!(LastSeenVisibleTo, "Who may see when one was last there.", "contacts", |of| {
    of.enum_values(Some(["everyone", "contacts", "nobody"]))
});

shape!(MayAddMe, "Who may add one to groups.", "contacts", |of| of.enum_values(Some(["everyone", "contacts"])));

shape!(ProblemType, "A stable name of what went wrong.", "urn:herald:not-found", |of| {
    of.pattern(Some("^urn:herald:[a-z]+(-[a-z]+)*$"))
});

shape!(Moment, "A moment in any offset; milliseconds are kept.", "2026-01-31T13:00:00+01:00", |of| {
    of.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
});
