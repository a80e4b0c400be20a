use super::{Lease, Object};

/// What the host asks of a path, or (renew, revoke, rollback) of the mount.
/// `Unknown` keeps the name of whatever a newer host sends: it is refused, never guessed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    Create,
    Read,
    Update,
    Patch,
    Delete,
    List,
    Help,
    Renew,
    Revoke,
    Rollback,
    Unknown(String),
}

impl From<&str> for Operation {
    fn from(name: &str) -> Self {
        match name {
            "create" => Self::Create,
            "read" => Self::Read,
            "update" => Self::Update,
            "patch" => Self::Patch,
            "delete" => Self::Delete,
            "list" => Self::List,
            "help" => Self::Help,
            "renew" => Self::Renew,
            "revoke" => Self::Revoke,
            "rollback" => Self::Rollback,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

/// One request of the host. Renew, revoke, rollback and help carry no identity (measured on OpenBao 2.7.2).
#[derive(Clone)]
pub struct Request {
    /// The host's id of this request; empty for its own requests.
    pub id: String,
    pub operation: Operation,
    /// Relative to the mount, no leading slash; a list ends with `/`.
    pub path: String,
    /// Body, or the query parameters of GET, LIST and DELETE (as strings).
    pub data: Object,
    /// The lease, for renew and revoke.
    pub lease: Option<Lease>,
    /// Accessor of the caller's token: safe to store and to log.
    pub accessor: String,
    /// `token`, `approle`, `userpass-alice`, …
    pub display_name: String,
    /// Empty for root and for tokens without an entity.
    pub entity_id: String,
    /// `ai/`, with the namespace's path before it.
    pub mount_point: String,
    pub remote_address: String,
}

impl std::fmt::Debug for Request {
    /// Without data and lease: both may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// A request that carries only what every request has.
    pub fn new(operation: Operation, path: impl Into<String>) -> Self {
        Self {
            id: String::new(),
            operation,
            path: path.into(),
            data: Object::new(),
            lease: None,
            accessor: String::new(),
            display_name: String::new(),
            entity_id: String::new(),
            mount_point: String::new(),
            remote_address: String::new(),
        }
    }
}
