use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::link::Link;
use super::proto::pb;
use super::request::request;
use super::storage::HostStorage;
use super::system::HostSystem;
use crate::go_plugin::Broker;
use crate::logical::{
    Backend, Error, Factory, Lease, Object, Operation, Report, Request, Response, Result, Setup, SpecialPaths,
};

/// How long running calls may go on once their mount ends. A host that shuts down kills after two seconds.
const GRACE: Duration = Duration::from_secs(1);

/// How long a backend's own cleanup may take: above the 30 s in which an unmount deletes what is left, below
/// the 90 s that a host gives any call.
const CLEANUP_LIMIT: Duration = Duration::from_secs(60);

/// One mount: its backend and the calls that run on it.
pub(super) struct Instance {
    backend: Arc<dyn Backend>,
    /// Around everything that this instance does, so that its log lines say which mount they are about.
    span: Span,
    mount_point: Mutex<String>,
    tasks: TaskTracker,
    abandoned: CancellationToken,
    runtime: Handle,
}

impl Instance {
    /// Makes the backend. Neither the host's storage nor its view of the system is touched: at registration
    /// there is none. Needs a Tokio runtime.
    ///
    /// # Errors
    /// Whatever the factory fails with.
    pub(super) fn new(setup: pb::SetupArgs, broker: &Broker, factory: &Factory) -> Result<Arc<Self>> {
        let span = tracing::info_span!("instance", mount = tracing::field::Empty, uuid = setup.backend_uuid);
        let link = Arc::new(Link::new(broker.clone(), setup.broker_id));
        let setup = Setup {
            config: setup.config,
            uuid: setup.backend_uuid,
            storage: Arc::new(HostStorage::new(Arc::clone(&link))),
            system: Arc::new(HostSystem::new(link)),
        };
        let make = || span.in_scope(|| factory(setup));
        let backend = std::panic::catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| Err(panicked()))?;
        Ok(Arc::new(Self {
            backend,
            span,
            mount_point: Mutex::default(),
            tasks: TaskTracker::new(),
            abandoned: CancellationToken::new(),
            runtime: Handle::current(),
        }))
    }

    pub(super) fn special_paths(&self) -> SpecialPaths {
        self.backend.special_paths()
    }

    pub(super) fn invalidate(&self, key: &str) {
        let invalidate = || self.span.in_scope(|| self.backend.invalidate(key));
        // The hook has logged the panic; a cache that may be stale is the backend's to mend.
        _ = std::panic::catch_unwind(AssertUnwindSafe(invalidate));
    }

    pub(super) async fn initialize(self: &Arc<Self>) -> Result<()> {
        let backend = Arc::clone(&self.backend);
        let result = self.run(async move { backend.initialize().await }).await;
        self.reported(result)
    }

    pub(super) async fn exists(self: &Arc<Self>, asked: pb::Request) -> Result<Option<bool>> {
        let request = request(asked)?;
        self.name(&request.mount_point);
        let backend = Arc::clone(&self.backend);
        let result = self.run(async move { backend.exists(&request).await }).await;
        self.reported(result)
    }

    /// Answers one request. The operation is looked at first: what this program does not know has no path, no
    /// body and no effect (OpenBao asks `resolve-path` with a stranger's, before it has looked at any token).
    pub(super) async fn handle(self: &Arc<Self>, asked: pb::Request) -> Result<Response> {
        let operation = Operation::from(asked.operation.as_str());
        if let Operation::Unknown(_) = operation {
            return Err(Error::UnsupportedOperation);
        }
        let result = match request(asked) {
            Ok(request) => self.answer(request).await,
            Err(error) => Err(error),
        };
        // Any other kind would make the lease irrevocable at once.
        if operation == Operation::Revoke { result.map_err(Error::for_lease) } else { result }
    }

    async fn answer(self: &Arc<Self>, request: Request) -> Result<Response> {
        self.name(&request.mount_point);
        let instance = Arc::clone(self);
        let parcel = self.run(async move {
            let (operation, path) = (request.operation.clone(), request.path.clone());
            let renewed = (operation == Operation::Renew).then(|| (request.lease.clone(), request.data.clone()));
            let response = instance.backend.handle(request).await?;
            Ok(match renewed {
                Some((lease, data)) => Parcel::nothing_new(renewal(response, lease, data)),
                None => Parcel::perhaps_new(response, instance, path),
            })
        });
        Ok(parcel.await?.accept())
    }

    /// The mount goes away, or is made anew. What runs may end by itself while the backend cleans up, which
    /// knows whether that is worth waiting for, but for a second in any case; then it is abandoned.
    pub(super) async fn cleanup(self: Arc<Self>) {
        let runtime = self.runtime.clone();
        let ending = runtime.spawn(async move {
            let deadline = Instant::now() + GRACE;
            let cleanup = AssertUnwindSafe(self.backend.cleanup()).catch_unwind().instrument(self.span.clone());
            if timeout(CLEANUP_LIMIT, cleanup).await.is_err() {
                self.span.in_scope(|| tracing::warn!("the cleanup was given up"));
            }
            self.end(deadline).await;
        });
        // Fails only where the process ends.
        _ = ending.await;
    }

    /// The process ends: what runs has a second.
    pub(super) async fn settle(self: Arc<Self>) {
        self.end(Instant::now() + GRACE).await;
    }

    async fn end(&self, deadline: Instant) {
        self.tasks.close();
        if timeout_at(deadline, self.tasks.wait()).await.is_err() {
            self.span.in_scope(|| tracing::warn!(calls = self.tasks.len(), "running calls are abandoned"));
        }
        self.abandoned.cancel();
    }

    /// Runs `work` in a task of its own: whoever waits for it may stop waiting, it goes on.
    async fn run<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let (tell, told) = oneshot::channel();
        let mount = self.known_mount_point();
        self.spawn(async move {
            let result = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
                let error = panicked();
                error.report(&mount);
                Err(error)
            });
            // Nobody may be listening any more.
            _ = tell.send(result);
        });
        told.await.unwrap_or_else(|_| Err(Error::Unavailable("the mount is going away".into())))
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let work = self.abandoned.clone().run_until_cancelled_owned(work);
        self.tasks.spawn_on(work.map(drop).instrument(self.span.clone()), &self.runtime);
    }

    /// Does for a lease that the host never heard of what the host does for one that it cannot store.
    fn revoke(self: &Arc<Self>, path: String, lease: Lease, data: Option<Object>) {
        let request =
            Request { lease: Some(lease), data: data.unwrap_or_default(), ..Request::new(Operation::Revoke, path) };
        let backend = Arc::clone(&self.backend);
        self.spawn(async move {
            let revoked = AssertUnwindSafe(backend.handle(request)).catch_unwind().await;
            match revoked.unwrap_or_else(|_| Err(panicked())) {
                Ok(_) => tracing::info!("nobody waited for a lease: it is revoked"),
                Err(error) => tracing::warn!(%error, "nobody waited for a lease, and it is not revoked"),
            }
        });
    }

    /// The mount's path is not told before the first request, and may change.
    fn name(&self, mount_point: &str) {
        let mut known = self.mount_point.lock().unwrap_or_else(PoisonError::into_inner);
        if !mount_point.is_empty() && *known != mount_point {
            mount_point.clone_into(&mut known);
            self.span.record("mount", mount_point);
        }
    }

    fn known_mount_point(&self) -> String {
        self.mount_point.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A backend logs the causes of its answers to requests itself, but not of these.
    fn reported<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.span.in_scope(|| error.report(&self.known_mount_point()));
        }
        result
    }
}

/// An answer on its way to whoever asked. One with a new lease that never arrives is undone.
struct Parcel {
    response: Option<Response>,
    /// Whom to give the lease back to, and for which path; none where there is no new lease.
    sender: Option<(Arc<Instance>, String)>,
}

impl Parcel {
    /// A renewal's lease is known to the host already.
    const fn nothing_new(response: Response) -> Self {
        Self { response: Some(response), sender: None }
    }

    const fn perhaps_new(response: Response, instance: Arc<Instance>, path: String) -> Self {
        Self { response: Some(response), sender: Some((instance, path)) }
    }

    fn accept(mut self) -> Response {
        self.response.take().unwrap_or_default()
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if let Some(Response { lease: Some(lease), data, .. }) = self.response.take()
            && let Some((instance, path)) = self.sender.take()
        {
            instance.revoke(path, lease, data);
        }
    }
}

/// A renewal's answer replaces what the host has stored, whole: what the backend did not say stays as it was.
fn renewal(mut response: Response, asked: Option<Lease>, data: Object) -> Response {
    if let Some(asked) = asked {
        let lease = response.lease.get_or_insert_with(|| asked.clone());
        lease.issue_time = lease.issue_time.or(asked.issue_time);
        if lease.internal.is_empty() {
            lease.internal = asked.internal;
        }
    }
    if response.data.is_none() && !data.is_empty() {
        response.data = Some(data);
    }
    response
}

/// The panic's text is in the log already.
fn panicked() -> Error {
    Error::internal("a panic, logged before this")
}

#[cfg(test)]
mod tests;
