//! The view of the system that a mount is lent, with the values that a test wants.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tonic::{Request, Response, Status};
use vault_plugin_secrets_ai::vault::proto::{logical, pb};

/// What a plugin may ask. The defaults are those of a single OpenBao 2.7.2 node (measured).
#[derive(Clone, Debug)]
pub struct SystemValues {
    pub default_ttl: Duration,
    pub max_ttl: Duration,
    pub tainted: bool,
    pub replication_state: u32,
    pub local_mount: bool,
    pub version: String,
    pub prerelease: String,
    pub metadata: String,
    /// Id and name of each entity.
    pub entities: Vec<(String, String)>,
    /// Every call fails, as at registration.
    pub absent: bool,
}

impl Default for SystemValues {
    fn default() -> Self {
        Self {
            default_ttl: Duration::from_secs(768 * 3600),
            max_ttl: Duration::from_secs(768 * 3600),
            tainted: false,
            replication_state: 12288,
            local_mount: false,
            version: "2.7.2".to_owned(),
            prerelease: String::new(),
            metadata: String::new(),
            entities: Vec::new(),
            absent: false,
        }
    }
}

#[derive(Clone, Default)]
pub struct System(Arc<Mutex<SystemValues>>);

impl System {
    pub fn values(&self) -> MutexGuard<'_, SystemValues> {
        self.0.lock().unwrap()
    }

    fn told<T>(&self, tell: impl FnOnce(&SystemValues) -> T) -> Result<Response<T>, Status> {
        let values = self.values();
        if values.absent {
            return Err(Status::unknown("missing system view"));
        }
        Ok(Response::new(tell(&values)))
    }
}

fn ttl(duration: Duration) -> pb::TtlReply {
    pb::TtlReply { ttl: duration.as_nanos().try_into().unwrap() }
}

#[tonic::async_trait]
impl pb::system_view_server::SystemView for System {
    async fn default_lease_ttl(&self, _: Request<pb::Empty>) -> Result<Response<pb::TtlReply>, Status> {
        self.told(|values| ttl(values.default_ttl))
    }

    async fn max_lease_ttl(&self, _: Request<pb::Empty>) -> Result<Response<pb::TtlReply>, Status> {
        self.told(|values| ttl(values.max_ttl))
    }

    async fn tainted(&self, _: Request<pb::Empty>) -> Result<Response<pb::TaintedReply>, Status> {
        self.told(|values| pb::TaintedReply { tainted: values.tainted })
    }

    async fn replication_state(&self, _: Request<pb::Empty>) -> Result<Response<pb::ReplicationStateReply>, Status> {
        self.told(|values| pb::ReplicationStateReply { state: values.replication_state.cast_signed() })
    }

    async fn local_mount(&self, _: Request<pb::Empty>) -> Result<Response<pb::LocalMountReply>, Status> {
        self.told(|values| pb::LocalMountReply { local: values.local_mount })
    }

    async fn entity_info(&self, call: Request<pb::EntityInfoArgs>) -> Result<Response<pb::EntityInfoReply>, Status> {
        let id = call.into_inner().entity_id;
        self.told(|values| {
            let known = values.entities.iter().find(|(known, _)| *known == id);
            let entity = known.map(|(id, name)| logical::Entity {
                id: id.clone(),
                name: name.clone(),
                ..logical::Entity::default()
            });
            pb::EntityInfoReply { entity, err: String::new() }
        })
    }

    async fn plugin_env(&self, _: Request<pb::Empty>) -> Result<Response<pb::PluginEnvReply>, Status> {
        self.told(|values| {
            let environment = pb::PluginEnvironment {
                version: values.version.clone(),
                prerelease: values.prerelease.clone(),
                metadata: values.metadata.clone(),
            };
            pb::PluginEnvReply { environment: Some(environment), err: String::new() }
        })
    }
}
