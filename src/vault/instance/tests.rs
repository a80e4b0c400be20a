use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Notify;

use super::*;

/// A backend that writes down what it is asked. `creds/slow` waits for `go`.
#[derive(Default)]
struct Recorder {
    asked: Mutex<Vec<Request>>,
    go: Notify,
    cleaned: AtomicBool,
}

impl Recorder {
    fn asked(&self) -> Vec<(Operation, String)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| (request.operation.clone(), request.path.clone())).collect()
    }

    async fn has_been_asked(&self, operation: &Operation) -> Request {
        let asked = async {
            loop {
                if let Some(request) = self.asked.lock().unwrap().iter().find(|request| request.operation == *operation)
                {
                    return request.clone();
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(10), asked).await.unwrap()
    }
}

#[async_trait]
impl Backend for Recorder {
    fn special_paths(&self) -> SpecialPaths {
        SpecialPaths::default()
    }

    async fn initialize(&self) -> Result<()> {
        Ok(())
    }

    async fn handle(&self, request: Request) -> Result<Response> {
        self.asked.lock().unwrap().push(request.clone());
        match (&request.operation, request.path.as_str()) {
            (Operation::Read, "creds/slow") => self.go.notified().await,
            (Operation::Read, "panic") => panic!("as asked"),
            (Operation::Revoke, "creds/gone") => return Err(Error::UnsupportedPath),
            (Operation::Revoke | Operation::Rollback, _) => return Ok(Response::default()),
            (Operation::Renew, "creds/slow") => {
                self.go.notified().await;
                let lease = Lease { ttl: Duration::from_secs(5), ..Lease::default() };
                return Ok(Response { lease: Some(lease), ..Response::default() });
            }
            _ => {}
        }
        let lease = Lease { internal: object(json!({"id": "k1"})), ..Lease::default() };
        Ok(Response { lease: Some(lease), ..Response::data(object(json!({"key": "v"}))) })
    }

    async fn exists(&self, _request: &Request) -> Result<Option<bool>> {
        panic!("as asked")
    }

    fn invalidate(&self, _key: &str) {
        panic!("as asked")
    }

    async fn cleanup(&self) {
        self.cleaned.store(true, Ordering::Relaxed);
    }
}

fn object(value: serde_json::Value) -> Object {
    value.as_object().unwrap().clone()
}

fn instance() -> (Arc<Instance>, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let backend = Arc::clone(&recorder);
    let factory: Factory = Arc::new(move |_| Ok(Arc::clone(&backend) as _));
    (Instance::new(pb::SetupArgs::default(), &Broker::unused(), &factory).unwrap(), recorder)
}

fn asked(operation: &str, path: &str) -> pb::Request {
    pb::Request { operation: operation.to_owned(), path: path.to_owned(), ..pb::Request::default() }
}

/// A renewal of a lease that the host has stored.
fn renewal_of(path: &str) -> pb::Request {
    let options = pb::LeaseOptions {
        ttl: 1_000_000_000,
        issue_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        ..pb::LeaseOptions::default()
    };
    let internal_data = r#"{"id":"k1"}"#.to_owned();
    let secret = pb::Secret { lease_options: Some(options), internal_data, lease_id: String::new() };
    pb::Request { data: r#"{"key":"v"}"#.to_owned(), secret: Some(secret), ..asked("renew", path) }
}

#[tokio::test]
async fn setup_asks_the_host_nothing() {
    let factory: Factory = Arc::new(|setup| {
        assert_eq!((setup.uuid.as_str(), setup.config["plugin_name"].as_str()), ("u", "p"));
        Ok(Arc::new(Recorder::default()) as _)
    });
    let config = [("plugin_name".to_owned(), "p".to_owned())].into();
    let setup = pb::SetupArgs { broker_id: 7, config, backend_uuid: "u".to_owned() };
    // Nothing is announced and nobody listens: whoever asked would fail.
    assert!(Instance::new(setup, &Broker::unused(), &factory).is_ok());
}

#[tokio::test]
async fn a_factory_that_panics_is_an_error_of_setup() {
    let factory: Factory = Arc::new(|_| panic!("as asked"));
    let made = Instance::new(pb::SetupArgs::default(), &Broker::unused(), &factory);
    assert!(matches!(made, Err(Error::Internal { .. })));
}

#[tokio::test]
async fn an_operation_of_a_newer_host_never_reaches_the_backend() {
    let (instance, recorder) = instance();
    for operation in ["resolve-path", "header", "", "CREATE"] {
        let body = pb::Request { data: "no json".to_owned(), ..asked(operation, "creds/app") };
        assert!(matches!(instance.handle(body).await, Err(Error::UnsupportedOperation)), "{operation}");
    }
    assert_eq!(recorder.asked(), []);
}

#[tokio::test]
async fn a_panic_is_an_internal_error() {
    let (instance, _) = instance();
    assert!(matches!(instance.handle(asked("read", "panic")).await, Err(Error::Internal { .. })));
    assert!(matches!(instance.exists(asked("update", "x")).await, Err(Error::Internal { .. })));
    instance.invalidate("x");
}

#[tokio::test]
async fn a_lease_that_nobody_waits_for_is_given_back() {
    let (instance, recorder) = instance();
    let hung_up = tokio::spawn({
        let instance = Arc::clone(&instance);
        async move { instance.handle(asked("read", "creds/slow")).await.map(drop) }
    });
    recorder.has_been_asked(&Operation::Read).await;
    hung_up.abort();
    assert!(hung_up.await.unwrap_err().is_cancelled());
    recorder.go.notify_one();
    let revoked = recorder.has_been_asked(&Operation::Revoke).await;
    assert_eq!((revoked.path.as_str(), &revoked.data), ("creds/slow", &object(json!({"key": "v"}))));
    assert_eq!(revoked.lease.unwrap().internal, object(json!({"id": "k1"})));
}

#[tokio::test]
async fn a_lease_that_was_answered_but_not_taken_is_given_back_too() {
    let (instance, recorder) = instance();
    let mut call = Box::pin(instance.handle(asked("read", "creds/app")));
    assert!((&mut call).now_or_never().is_none(), "it runs in a task of its own");
    recorder.has_been_asked(&Operation::Read).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(call);
    recorder.has_been_asked(&Operation::Revoke).await;
}

#[tokio::test]
async fn an_answer_that_arrives_and_a_renewal_that_does_not_are_not_given_back() {
    let (instance, recorder) = instance();
    assert!(instance.handle(asked("read", "creds/app")).await.unwrap().lease.is_some());
    let hung_up = tokio::spawn({
        let instance = Arc::clone(&instance);
        async move { instance.handle(renewal_of("creds/slow")).await.map(drop) }
    });
    recorder.has_been_asked(&Operation::Renew).await;
    hung_up.abort();
    recorder.go.notify_one();
    instance.settle().await;
    let operations: Vec<_> = recorder.asked().into_iter().map(|(operation, _)| operation).collect();
    assert_eq!(operations, [Operation::Read, Operation::Renew]);
}

#[tokio::test]
async fn a_renewal_carries_what_the_backend_did_not_say() {
    let (instance, recorder) = instance();
    recorder.go.notify_one();
    let response = instance.handle(renewal_of("creds/slow")).await.unwrap();
    assert_eq!(response.data, Some(object(json!({"key": "v"}))));
    let lease = response.lease.unwrap();
    assert_eq!(lease.ttl, Duration::from_secs(5), "the backend's own word");
    assert_eq!(lease.internal, object(json!({"id": "k1"})));
    assert_eq!(lease.issue_time.unwrap().timestamp(), 1_700_000_000);
}

#[tokio::test]
async fn no_answer_to_a_revocation_is_final() {
    let (instance, _) = instance();
    let unreadable = pb::Request { data: "[]".to_owned(), ..asked("revoke", "creds/app") };
    for request in [asked("revoke", "creds/gone"), unreadable] {
        assert!(matches!(instance.handle(request).await, Err(Error::Transient(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cleanup_waits_a_second_for_what_runs_and_then_abandons_it() {
    let (instance, recorder) = instance();
    let running = tokio::spawn({
        let instance = Arc::clone(&instance);
        async move { instance.handle(asked("read", "creds/slow")).await.map(drop) }
    });
    recorder.has_been_asked(&Operation::Read).await;
    let start = Instant::now();
    instance.cleanup().await;
    assert_eq!(start.elapsed().as_secs(), GRACE.as_secs());
    assert!(recorder.cleaned.load(Ordering::Relaxed));
    assert!(matches!(running.await.unwrap(), Err(Error::Unavailable(_))));
}

#[tokio::test(start_paused = true)]
async fn a_cleanup_with_nothing_running_does_not_wait() {
    let (instance, _) = instance();
    let start = Instant::now();
    instance.cleanup().await;
    assert!(start.elapsed() < Duration::from_millis(10));
}
