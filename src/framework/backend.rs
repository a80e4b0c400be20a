use std::sync::Arc;

use async_trait::async_trait;

use super::path::Call;
use super::table::Table;
use super::{help, openapi};
use crate::logical::{self, Error, Lease, Object, Operation, Report, Request, Response, Result, SpecialPaths};

/// A mount's own state and what is not tied to a path.
#[async_trait]
pub trait Mount: Send + Sync + 'static {
    /// A short name of the mount for log lines.
    fn label(&self) -> &str;
    /// Asked before everything but help: may this mount do anything at all now?
    async fn admit(&self, operation: &Operation) -> Result<()>;
    async fn initialize(self: Arc<Self>) -> Result<()>;
    /// The host's tick, every 60 s, also on standbys and in an unmount. Returns at once.
    async fn rollback(self: Arc<Self>) -> Result<()>;
    /// `data` is what the lease was answered with; a renewal's answer replaces it, so it is given back.
    async fn renew(self: Arc<Self>, lease: Lease, data: Object) -> Result<Response>;
    async fn revoke(self: Arc<Self>, lease: Lease, data: Object) -> Result<Response>;
    fn invalidate(&self, key: &str);
    async fn cleanup(&self);
}

/// The table of paths over one mount.
pub struct Backend<M> {
    mount: Arc<M>,
    table: Arc<Table<M>>,
}

impl<M: Mount> Backend<M> {
    pub fn new(mount: Arc<M>, table: Arc<Table<M>>) -> Self {
        Self { mount, table }
    }

    async fn dispatch(&self, mut request: Request) -> Result<Response> {
        let (path, captures) = self.table.find(&request.path).ok_or(Error::UnsupportedPath)?;
        let handler = path.operations.get(&request.operation).ok_or(Error::UnsupportedOperation)?;
        self.mount.admit(&request.operation).await?;
        let (values, more, warnings) = path.arguments(&request.operation, &request, &captures)?;
        // Parsed; a second copy could only be used by mistake.
        request.data.clear();
        let response = (handler.run)(self.mount.clone(), Call { request, values, more }).await?;
        Ok(response.with_warnings(warnings))
    }

    /// Operation before path, always: OpenBao sends `resolve-path` with a stranger's path and body before it has
    /// looked at any token (measured on 2.7.2).
    async fn answer(&self, request: Request) -> Result<Response> {
        match request.operation {
            Operation::Unknown(_) => Err(Error::UnsupportedOperation),
            Operation::Help => Ok(self.help(&request)),
            Operation::Rollback => self.mount.clone().rollback().await.map(|()| Response::default()),
            Operation::Renew => {
                self.mount.admit(&request.operation).await?;
                let (lease, data) = lease(request)?;
                self.mount.clone().renew(lease, data).await
            }
            Operation::Revoke => {
                let revoked = async {
                    self.mount.admit(&request.operation).await?;
                    let (lease, data) = lease(request)?;
                    self.mount.clone().revoke(lease, data).await
                };
                revoked.await.map_err(Error::for_lease)
            }
            _ => self.dispatch(request).await,
        }
    }

    fn help(&self, request: &Request) -> Response {
        let mut data = logical::Object::new();
        let (text, document) = if request.path.is_empty() {
            (help::of_mount(&self.table), openapi::document(&self.table, self.table.paths.iter()))
        } else {
            match self.table.find(&request.path) {
                Some((path, _)) => (help::of_path(path, &request.path), openapi::document(&self.table, [path])),
                None => (help::unknown(&request.path), openapi::document(&self.table, [])),
            }
        };
        data.insert("help".into(), text.into());
        data.insert("see_also".into(), serde_json::Value::Null);
        data.insert("openapi".into(), document);
        Response::data(data)
    }
}

fn lease(request: Request) -> Result<(Lease, Object)> {
    let lease = request.lease.ok_or_else(|| Error::Invalid("the request carries no lease".into()))?;
    Ok((lease, request.data))
}

#[async_trait]
impl<M: Mount> logical::Backend for Backend<M> {
    fn special_paths(&self) -> SpecialPaths {
        self.table.special.clone()
    }

    async fn initialize(&self) -> Result<()> {
        self.mount.clone().initialize().await
    }

    async fn handle(&self, request: Request) -> Result<Response> {
        let mut result = self.answer(request).await;
        // To the host a ttl of 0 is the mount's default, 32 days where nobody has tuned it.
        if result.as_ref().is_ok_and(|response| response.lease.as_ref().is_some_and(|lease| lease.ttl.is_zero())) {
            result = Err(Error::internal("a lease without ttl"));
        }
        if let Err(error) = &result {
            error.report(self.mount.label());
        }
        result
    }

    async fn exists(&self, request: &Request) -> Result<Option<bool>> {
        let Some((path, captures)) = self.table.find(&request.path) else { return Ok(None) };
        let Some(exists) = &path.exists else { return Ok(None) };
        // The question writes nothing, whatever the answer leads to: a standby that failed here as read-only would not be
        // asked again elsewhere (an error of this call is a 500, measured on OpenBao 2.7.2).
        self.mount.admit(&Operation::Read).await?;
        // By its path alone: what is wrong with the body is told by the write itself, and not also in the host's log.
        let bare = Request::new(Operation::Update, request.path.as_str());
        let (values, _, _) = path.arguments(&Operation::Update, &bare, &captures)?;
        exists(self.mount.clone(), values).await.map(Some)
    }

    fn invalidate(&self, key: &str) {
        self.mount.invalidate(key);
    }

    async fn cleanup(&self) {
        self.mount.cleanup().await;
    }
}
