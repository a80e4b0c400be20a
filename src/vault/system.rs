use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tonic::Status;
use tonic::transport::Channel;

use super::link::Link;
use super::proto::{logical, pb};
use super::request::duration;
use crate::go_plugin::MESSAGE_LIMIT;
use crate::logical::{Alias, Entity, Error, ReplicationState, Result, System};

type Client = pb::system_view_client::SystemViewClient<Channel>;

/// The host's view of the system, over the instance's link.
pub(super) struct HostSystem {
    link: Arc<Link>,
}

impl HostSystem {
    pub(super) const fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    async fn client(&self) -> Result<Client> {
        let channel = self.link.channel().await.map_err(|error| silent(&error))?;
        Ok(Client::new(channel).max_decoding_message_size(MESSAGE_LIMIT))
    }
}

#[async_trait]
impl System for HostSystem {
    async fn default_lease_ttl(&self) -> Result<Duration> {
        let reply = self.client().await?.default_lease_ttl(pb::Empty {}).await.map_err(refused)?;
        Ok(duration(reply.into_inner().ttl))
    }

    async fn max_lease_ttl(&self) -> Result<Duration> {
        let reply = self.client().await?.max_lease_ttl(pb::Empty {}).await.map_err(refused)?;
        Ok(duration(reply.into_inner().ttl))
    }

    async fn tainted(&self) -> Result<bool> {
        Ok(self.client().await?.tainted(pb::Empty {}).await.map_err(refused)?.into_inner().tainted)
    }

    async fn replication_state(&self) -> Result<ReplicationState> {
        let reply = self.client().await?.replication_state(pb::Empty {}).await.map_err(refused)?;
        Ok(ReplicationState(reply.into_inner().state.cast_unsigned()))
    }

    async fn local_mount(&self) -> Result<bool> {
        Ok(self.client().await?.local_mount(pb::Empty {}).await.map_err(refused)?.into_inner().local)
    }

    async fn entity(&self, id: &str) -> Result<Option<Entity>> {
        if id.is_empty() {
            return Ok(None);
        }
        let asked = pb::EntityInfoArgs { entity_id: id.to_owned() };
        let reply = self.client().await?.entity_info(asked).await.map_err(refused)?.into_inner();
        told(reply.err)?;
        Ok(reply.entity.filter(|entity| !entity.id.is_empty()).map(entity))
    }

    async fn host_version(&self) -> Result<String> {
        let reply = self.client().await?.plugin_env(pb::Empty {}).await.map_err(refused)?.into_inner();
        told(reply.err)?;
        Ok(version(reply.environment.unwrap_or_default()))
    }
}

fn entity(entity: logical::Entity) -> Entity {
    let alias = |alias: logical::Alias| Alias {
        mount_type: alias.mount_type,
        mount_accessor: alias.mount_accessor,
        name: alias.name,
    };
    Entity {
        id: entity.id,
        name: entity.name,
        metadata: entity.metadata,
        aliases: entity.aliases.into_iter().map(alias).collect(),
    }
}

/// `1.19.0-rc1+ent`: the parts come apart.
fn version(host: pb::PluginEnvironment) -> String {
    let part = |mark: char, text: String| if text.is_empty() { text } else { format!("{mark}{text}") };
    host.version + &part('-', host.prerelease) + &part('+', host.metadata)
}

fn told(error: String) -> Result<()> {
    if error.is_empty() { Ok(()) } else { Err(silent(&error)) }
}

fn refused(status: Status) -> Error {
    silent(&format!("{} ({})", status.message(), status.code()))
}

/// Whatever the reason, asking again may help.
fn silent(reason: &dyn std::fmt::Display) -> Error {
    Error::Unavailable(format!("the host does not tell about itself: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_keeps_its_aliases() {
        let alias = logical::Alias {
            mount_type: "approle".to_owned(),
            mount_accessor: "auth_approle_1".to_owned(),
            name: "ci".to_owned(),
            ..logical::Alias::default()
        };
        let told = logical::Entity { id: "e1".to_owned(), aliases: vec![alias], ..logical::Entity::default() };
        let aliases = entity(told).aliases;
        let [alias] = aliases.as_slice() else { panic!("one alias: {aliases:?}") };
        assert_eq!(
            [&alias.mount_type, &alias.mount_accessor, &alias.name].map(String::as_str),
            ["approle", "auth_approle_1", "ci"]
        );
    }

    #[test]
    fn a_version_is_put_together() {
        let parts = |prerelease: &str, metadata: &str| pb::PluginEnvironment {
            version: "1.19.0".to_owned(),
            prerelease: prerelease.to_owned(),
            metadata: metadata.to_owned(),
        };
        assert_eq!(version(parts("", "")), "1.19.0");
        assert_eq!(version(parts("rc1", "ent")), "1.19.0-rc1+ent");
    }
}
