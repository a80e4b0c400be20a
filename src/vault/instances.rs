use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::instance::Instance;

/// Metadata of every call that is about a mount: the host's name for the connection of that mount.
const ID: &str = "multiplex_id";

/// The mounts of this process, by the host's name for each.
#[derive(Clone, Default)]
pub(super) struct Instances(Arc<Mutex<HashMap<String, Arc<Instance>>>>);

impl Instances {
    /// The instance that a call is about.
    ///
    /// # Errors
    /// `Unknown`, as Vault's SDK answers, where there is none.
    pub(super) fn of(&self, call: &MetadataMap) -> Result<Arc<Instance>, Status> {
        self.map().get(id(call)?).cloned().ok_or_else(unknown)
    }

    /// Keeps a new instance; gives back one that it replaces.
    pub(super) fn insert(&self, call: &MetadataMap, instance: Arc<Instance>) -> Result<Option<Arc<Instance>>, Status> {
        Ok(self.map().insert(id(call)?.to_owned(), instance))
    }

    pub(super) fn remove(&self, call: &MetadataMap) -> Result<Arc<Instance>, Status> {
        self.map().remove(id(call)?).ok_or_else(unknown)
    }

    /// The process ends.
    pub(super) async fn settle(&self) {
        let all: Vec<_> = self.map().drain().map(|(_, instance)| instance.settle()).collect();
        join_all(all).await;
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Arc<Instance>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(call: &MetadataMap) -> Result<&str, Status> {
    let mut ids = call.get_all(ID).iter();
    match (ids.next().map(|id| id.to_str()), ids.next()) {
        (Some(Ok(id)), None) => Ok(id),
        _ => Err(Status::new(Code::Unknown, "a call about a mount has one multiplex_id")),
    }
}

fn unknown() -> Status {
    Status::new(Code::Unknown, "no backend instance found")
}
