//! Things with an id and a name.

/// A kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Thing {
    User,
    Queue,
    WrapUpCode,
    Division,
}

/// A thing with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) thing: Thing,
    pub(super) id: String,
    pub(super) name: String,
    /// Of users: `active`, `inactive` or `deleted`.
    pub(super) state: &'static str,
}

impl Named {
    /// Returns what every organisation has: the agent, wrap-up code and division of the conversations that say
    /// nothing else.
    pub(super) fn usual() -> Vec<Self> {
        let named = |thing, id: &str, name: &str| Self {
            thing,
            id: id.to_owned(),
            name: name.to_owned(),
            state: "active",
        };
        vec![
            named(Thing::User, "a0000000-0000-4000-8000-0000000000a1", "Agent One"),
            named(Thing::WrapUpCode, "a0000000-0000-4000-8000-0000000000f1", "Done"),
            named(Thing::Division, "d0000000-0000-4000-8000-000000000001", "Home"),
        ]
    }
}
