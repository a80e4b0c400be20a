//! One mount of a test host, as a client of the server and as the core itself see it.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Request, Status};
use vault_plugin_secrets_ai::go_plugin::MESSAGE_LIMIT;
use vault_plugin_secrets_ai::vault::proto::pb;
use vault_plugin_secrets_ai::vault::proto::pb::backend_client::BackendClient;

use super::lease::HostLease;
use super::reply::Reply;
use super::storage::MountStorage;
use super::system::System;

/// A mount. Clones are the same mount; it lives on over `kill9` and `restart` of its host.
#[derive(Clone)]
pub struct Mount {
    pub uuid: String,
    pub storage: MountStorage,
    pub system: System,
    pub(super) config: Vec<(String, String)>,
    /// The connection and the multiplex id that the host's current process knows it by.
    pub(super) connection: Arc<Mutex<Option<(Channel, String)>>>,
    requests: Arc<AtomicU32>,
}

impl Mount {
    pub(super) fn new(uuid: &str, storage: MountStorage, system: System) -> Self {
        let config =
            [("plugin_name", "vault-plugin-secrets-ai"), ("plugin_type", "secret"), ("plugin_version", "v0.1.0")];
        Self {
            uuid: uuid.to_owned(),
            storage,
            system,
            config: config.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
            connection: Arc::default(),
            requests: Arc::default(),
        }
    }

    pub async fn read(&self, path: &str) -> Reply {
        self.client_request("read", path, json!({})).await
    }

    /// A POST: the existence check decides between create and update, as in the core.
    pub async fn write(&self, path: &str, data: Value) -> Reply {
        let request = self.client("update", path, &data);
        let args = pb::HandleExistenceCheckArgs { storage_id: 0, request: Some(request) };
        let check = match self.backend().handle_existence_check(self.call(args)).await {
            Ok(check) => check.into_inner(),
            Err(status) => return Reply::new("update", Err(status)),
        };
        match check.err {
            Some(error) if error.err_type == 1 => {
                let error = pb::ProtoError { err_type: 4, ..error };
                Reply::new("update", Ok(pb::HandleRequestReply { response: None, err: Some(error) }))
            }
            Some(error) => Reply::new("update", Ok(pb::HandleRequestReply { response: None, err: Some(error) })),
            None if check.check_found && !check.exists => self.client_request("create", path, data).await,
            None => self.client_request("update", path, data).await,
        }
    }

    pub async fn patch(&self, path: &str, data: Value) -> Reply {
        self.client_request("patch", path, data).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.client_request("delete", path, json!({})).await
    }

    /// A LIST, with query parameters (texts).
    pub async fn list(&self, path: &str, query: Value) -> Reply {
        self.client_request("list", &format!("{}/", path.trim_end_matches('/')), query).await
    }

    /// `path-help`, without a leading slash; the mount itself is the empty path.
    pub async fn help(&self, path: &str) -> Reply {
        self.request("help", path, json!({"requestResponsePrefix": "ai"})).await
    }

    /// Reads a path that leases, and keeps the lease as the core does.
    #[track_caller]
    pub fn lease(&self, path: &str) -> impl Future<Output = HostLease> {
        self.lease_with("read", path, json!({}))
    }

    /// The same with another operation, or with arguments.
    pub async fn lease_with(&self, operation: &str, path: &str, data: Value) -> HostLease {
        let reply = self.client_request(operation, path, data).await;
        let secret = reply.secret.clone();
        let data = reply.expect(200);
        HostLease::stored(path, data, secret.expect("a lease"))
    }

    /// Renews as the core does, which replaces what it has stored. Zero is no wish.
    pub async fn renew(&self, lease: &mut HostLease, increment: Duration) -> Reply {
        let reply = Reply::new("renew", self.send(lease.renewal(increment)).await);
        if let (Some(secret), None) = (&reply.secret, &reply.error) {
            lease.renewed(increment, reply.data.clone(), secret.clone());
        }
        reply
    }

    pub async fn revoke(&self, lease: &HostLease) -> Reply {
        Reply::new("revoke", self.send(lease.revocation()).await)
    }

    /// What the host sends every 60 s, on standbys too.
    pub async fn rollback(&self) -> Reply {
        self.request("rollback", "", Value::Null).await
    }

    /// A request of the core itself: no token, no entity, no id. No existence check, no `resolve-path`.
    pub async fn request(&self, operation: &str, path: &str, data: Value) -> Reply {
        let request = pb::Request {
            operation: operation.to_owned(),
            path: path.to_owned(),
            data: data.to_string(),
            ..pb::Request::default()
        };
        Reply::new(operation, self.send(request).await)
    }

    /// A request of a client: OpenBao asks `resolve-path` first, before it has looked at any token.
    pub async fn client_request(&self, operation: &str, path: &str, data: Value) -> Reply {
        let asked = self.request("resolve-path", path, data.clone()).await;
        assert_eq!(asked.status, 405, "resolve-path has an effect: {}", asked.data);
        Reply::new(operation, self.send(self.client(operation, path, &data)).await)
    }

    /// A client's request in a task: `abort` is a client that hangs up, which resets the stream.
    pub fn spawn(&self, operation: &'static str, path: &str, data: Value) -> JoinHandle<Reply> {
        let (mount, path) = (self.clone(), path.to_owned());
        tokio::spawn(async move { mount.client_request(operation, &path, data).await })
    }

    /// The text of the error, where there is one.
    pub async fn initialize(&self) -> Result<(), String> {
        let reply = self.backend().initialize(self.call(pb::InitializeArgs {})).await.unwrap().into_inner();
        reply.err.map_or(Ok(()), |error| Err(error.err_msg))
    }

    /// Tells the plugin that another node changed a key.
    pub async fn invalidate(&self, key: &str) {
        let args = pb::InvalidateKeyArgs { key: key.to_owned() };
        self.backend().invalidate_key(self.call(args)).await.unwrap();
    }

    pub async fn special_paths(&self) -> pb::Paths {
        self.backend().special_paths(self.call(pb::Empty {})).await.unwrap().into_inner().paths.unwrap()
    }

    /// Ends the instance, as a reload does; `Host::remount` makes it anew.
    pub async fn cleanup(&self) {
        self.backend().cleanup(self.call(pb::Empty {})).await.unwrap();
    }

    /// What `secrets disable` does after the leases are revoked: taint, a rollback, Cleanup.
    pub async fn unmount(&self, leases: &[HostLease]) {
        self.system.values().tainted = true;
        self.rollback().await;
        for lease in leases {
            self.revoke(lease).await;
        }
        self.cleanup().await;
    }

    async fn send(&self, request: pb::Request) -> Result<pb::HandleRequestReply, Status> {
        let args = pb::HandleRequestArgs { storage_id: 0, request: Some(request) };
        self.backend().handle_request(self.call(args)).await.map(tonic::Response::into_inner)
    }

    /// A request of a client whose token has no entity.
    fn client(&self, operation: &str, path: &str, data: &Value) -> pb::Request {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let remote_addr = Ipv4Addr::LOCALHOST.to_string();
        pb::Request {
            id: format!("request-{number}"),
            operation: operation.to_owned(),
            path: path.to_owned(),
            data: if data.as_object().is_some_and(serde_json::Map::is_empty) {
                "null".to_owned()
            } else {
                data.to_string()
            },
            client_token: "0".repeat(40),
            client_token_accessor: "accessor-1".to_owned(),
            display_name: "token".to_owned(),
            mount_point: "ai/".to_owned(),
            mount_type: "vault-plugin-secrets-ai".to_owned(),
            connection: Some(pb::Connection { remote_addr, remote_port: 40000 }),
            ..pb::Request::default()
        }
    }

    pub(super) fn backend(&self) -> BackendClient<Channel> {
        let connection = self.connection.lock().unwrap();
        let (channel, _) = connection.as_ref().expect("the plugin runs");
        BackendClient::new(channel.clone())
            .max_decoding_message_size(4 * MESSAGE_LIMIT)
            .max_encoding_message_size(4 * MESSAGE_LIMIT)
    }

    /// A call about this mount.
    pub(super) fn call<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some((_, id)) = self.connection.lock().unwrap().as_ref() {
            request.metadata_mut().insert("multiplex_id", id.parse().unwrap());
        }
        request
    }
}
