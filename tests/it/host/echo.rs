//! A small backend for tests of the transport: this test program, started once more by a test, serves it as a
//! plugin. What it does is written to the mount's storage, where the test sees it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use vault_plugin_secrets_ai::logical::{
    Backend, Entry, Error, Factory, Lease, Object, Operation, Raw, Request, Response, Result, Setup, SpecialPaths,
};
use vault_plugin_secrets_ai::vault;

/// Set where this program is the plugin.
pub const VARIABLE: &str = "ECHO_PLUGIN";

/// How the test harness runs the one "test" that serves, with its stdout and stderr left alone.
pub const ARGUMENTS: [&str; 3] = ["host::echo::serve_where_asked_to", "--exact", "--nocapture"];

#[test]
fn serve_where_asked_to() {
    if std::env::var_os(VARIABLE).is_some() {
        let factory: Factory = Arc::new(|setup| Ok(Arc::new(Echo { setup }) as _));
        let served = vault::serve("v1.2.3", factory);
        // The harness would add lines of its own to stderr.
        std::process::exit(i32::from(served.is_err()));
    }
}

struct Echo {
    setup: Setup,
}

impl Echo {
    async fn put(&self, key: &str, value: &str) -> Result<()> {
        self.setup
            .storage
            .put(Entry { key: key.to_owned(), value: value.into(), seal_wrap: key.starts_with("sealed/") })
            .await
    }

    async fn read(&self, request: &Request) -> Result<Response> {
        let storage = &self.setup.storage;
        match request.path.as_str() {
            "request" => Ok(answer(json!({
                "id": request.id, "accessor": request.accessor, "display_name": request.display_name,
                "mount_point": request.mount_point, "remote_address": request.remote_address,
                "uuid": self.setup.uuid, "config": self.setup.config,
            }))),
            "system" => {
                let system = &self.setup.system;
                Ok(answer(json!({
                    "default_ttl": system.default_lease_ttl().await?.as_secs(),
                    "max_ttl": system.max_lease_ttl().await?.as_secs(),
                    "tainted": system.tainted().await?,
                    "replication_state": system.replication_state().await?.0,
                    "local_mount": system.local_mount().await?,
                    "version": system.host_version().await?,
                    "entity": system.entity("entity-1").await?.map(|entity| entity.name),
                    "no_entity": system.entity("entity-2").await?.map(|entity| entity.name),
                })))
            }
            "raw" => Ok(Response {
                raw: Some(Raw {
                    status: 200,
                    content_type: "text/plain".to_owned(),
                    cache_control: None,
                    body: b"plain".to_vec(),
                }),
                ..Response::default()
            }),
            "panic" => panic!("a panic\n{{\"@level\":5}}"),
            "evil-log" => {
                tracing::error!(text = "\n{\"@level\":5}\n", "{}", "\n[ERROR] {\"@level\":5}\r\n");
                Ok(answer(json!({})))
            }
            "large" => Ok(answer(json!({"text": "x".repeat(8 * 1024 * 1024)}))),
            "slow" => {
                self.put("slow/begun", "1").await?;
                tokio::time::sleep(Duration::from_millis(300)).await;
                self.put("slow/done", "1").await?;
                Ok(answer(json!({})))
            }
            "endless" => std::future::pending().await,
            path if path.starts_with("creds/") => {
                self.put(&format!("keys/{path}"), "1").await?;
                let lease = Lease {
                    ttl: Duration::from_secs(60),
                    max_ttl: Duration::from_secs(600),
                    renewable: true,
                    internal: object(json!({"id": path})),
                    ..Lease::default()
                };
                Ok(Response { lease: Some(lease), ..answer(json!({"key": "value"})) })
            }
            path => Ok(match storage.get(path).await? {
                Some(text) => answer(serde_json::from_str(text.expose()).unwrap()),
                None => Response::default(),
            }),
        }
    }
}

#[async_trait]
impl Backend for Echo {
    fn special_paths(&self) -> SpecialPaths {
        SpecialPaths { seal_wrap_storage: vec!["sealed/".to_owned()], ..SpecialPaths::default() }
    }

    async fn initialize(&self) -> Result<()> {
        match self.put("initialized", "1").await {
            Err(Error::ReadOnly) => Ok(()),
            result => result,
        }
    }

    async fn handle(&self, request: Request) -> Result<Response> {
        match request.operation {
            Operation::Read => self.read(&request).await,
            Operation::Create | Operation::Update => {
                self.put(&request.path, &Value::Object(request.data).to_string()).await?;
                let created = request.operation == Operation::Create;
                Ok(Response::default().with_warnings([if created { "created" } else { "updated" }.to_owned()]))
            }
            Operation::Delete => self.setup.storage.delete(&request.path).await.map(|()| Response::default()),
            Operation::List => {
                let text = |key: &str| request.data.get(key).and_then(Value::as_str).unwrap_or_default();
                let limit = text("limit").parse().unwrap_or_default();
                let keys = self.setup.storage.list_page(&request.path, text("after"), limit).await?;
                Ok(Response::list(keys, Object::new()))
            }
            Operation::Renew => {
                let lease = Lease { ttl: Duration::from_secs(90), ..request.lease.unwrap() };
                Ok(Response { lease: Some(lease), ..Response::default() })
            }
            Operation::Revoke => {
                let id = request.lease.unwrap().internal["id"].as_str().unwrap().to_owned();
                self.setup.storage.delete(&format!("keys/{id}")).await?;
                self.put(&format!("revoked/{id}"), &Value::Object(request.data).to_string()).await?;
                Ok(Response::default())
            }
            Operation::Rollback => Ok(Response::default()),
            Operation::Patch => Err(Error::Conflict("somebody else\nwas faster".to_owned())),
            Operation::Help | Operation::Unknown(_) => Err(Error::UnsupportedPath),
        }
    }

    async fn exists(&self, request: &Request) -> Result<Option<bool>> {
        match request.path.as_str() {
            "invalid" => Err(Error::Invalid("not so".to_owned())),
            path => Ok(Some(self.setup.storage.get(path).await?.is_some())),
        }
    }

    fn invalidate(&self, key: &str) {
        tracing::warn!(key, "invalidated");
    }

    async fn cleanup(&self) {
        _ = self.put("cleaned", "1").await;
    }
}

fn answer(data: Value) -> Response {
    Response::data(object(data))
}

fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}
