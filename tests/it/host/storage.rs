//! A mount's storage, which the test owns: it outlives the plugin, can be looked into, held up and broken.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tonic::{Request, Response, Status};
use vault_plugin_secrets_ai::vault::proto::pb;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    Put,
    Delete,
    List,
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, and this text is the error.
    Refuse(&'static str),
    /// It is done, and this text is the error all the same.
    DoAndFail(&'static str),
}

/// The storage as one mount of one host sees it. Another mount may see the same entries (`shared`), with
/// faults of its own.
#[derive(Clone, Default)]
pub struct MountStorage {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    view: Arc<View>,
}

#[derive(Clone)]
struct Entry {
    value: Vec<u8>,
    seal_wrap: bool,
}

#[derive(Default)]
struct View {
    read_only: AtomicBool,
    /// As during Setup, when the mount is not writable yet.
    setting_up: AtomicBool,
    /// As at registration, where there is no storage.
    absent: AtomicBool,
    /// As Vault, which knows no pages.
    without_pages: AtomicBool,
    latency: Mutex<Duration>,
    faults: Mutex<VecDeque<(Verb, String, Fault)>>,
    holds: Mutex<Vec<(Verb, String, watch::Sender<Stage>)>>,
    log: Mutex<Vec<(Verb, String)>>,
}

/// Where a call is that is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Awaited,
    Reached,
    Released,
}

/// The next call of a kind waits here, until `release` or for ever. It is not done before.
pub struct Hold(watch::Sender<Stage>);

impl Hold {
    /// Waits until a call is held.
    pub async fn reached(&self) {
        let mut stage = self.0.subscribe();
        let reached = stage.wait_for(|stage| *stage != Stage::Awaited);
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect("a call to hold").unwrap();
    }

    pub fn release(&self) {
        self.0.send_replace(Stage::Released);
    }
}

impl MountStorage {
    /// The same entries, for a mount on another host: a standby, or the same mount after a promotion.
    pub fn shared(&self) -> Self {
        Self { entries: Arc::clone(&self.entries), view: Arc::default() }
    }

    /// All keys, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.entries.lock().unwrap().keys().cloned().collect()
    }

    /// The keys under a prefix.
    pub fn under(&self, prefix: &str) -> Vec<String> {
        self.keys().into_iter().filter(|key| key.starts_with(prefix)).collect()
    }

    pub fn text(&self, key: &str) -> Option<String> {
        let entries = self.entries.lock().unwrap();
        entries.get(key).map(|entry| String::from_utf8(entry.value.clone()).unwrap())
    }

    /// A stored JSON text.
    pub fn json(&self, key: &str) -> Option<serde_json::Value> {
        self.text(key).map(|text| serde_json::from_str(&text).unwrap())
    }

    pub fn is_seal_wrapped(&self, key: &str) -> bool {
        self.entries.lock().unwrap().get(key).is_some_and(|entry| entry.seal_wrap)
    }

    /// Stores behind the plugin's back.
    pub fn set(&self, key: &str, value: &str) {
        let entry = Entry { value: value.as_bytes().to_vec(), seal_wrap: false };
        self.entries.lock().unwrap().insert(key.to_owned(), entry);
    }

    /// Deletes behind the plugin's back.
    pub fn remove(&self, key: &str) {
        self.entries.lock().unwrap().remove(key);
    }

    /// What is stored now, to go back to: a snapshot that is restored.
    pub fn snapshot(&self) -> impl Fn() + use<> {
        let (entries, kept) = (Arc::clone(&self.entries), self.entries.lock().unwrap().clone());
        move || entries.lock().unwrap().clone_from(&kept)
    }

    /// As on a standby: writes fail with the host's text.
    pub fn set_read_only(&self, read_only: bool) {
        self.view.read_only.store(read_only, Ordering::SeqCst);
    }

    pub fn set_without_pages(&self, without_pages: bool) {
        self.view.without_pages.store(without_pages, Ordering::SeqCst);
    }

    pub(super) fn set_setting_up(&self, setting_up: bool) {
        self.view.setting_up.store(setting_up, Ordering::SeqCst);
    }

    pub(super) fn set_absent(&self, absent: bool) {
        self.view.absent.store(absent, Ordering::SeqCst);
    }

    /// How long each call takes.
    pub fn set_latency(&self, latency: Duration) {
        *self.view.latency.lock().unwrap() = latency;
    }

    /// The next `times` calls of this kind fail; for ever with `usize::MAX` is not needed: say a large number.
    pub fn fail(&self, verb: Verb, prefix: &str, fault: Fault, times: usize) {
        let mut faults = self.view.faults.lock().unwrap();
        faults.extend(std::iter::repeat_n((verb, prefix.to_owned(), fault), times));
    }

    /// Nothing fails any more but read-only.
    pub fn heal(&self) {
        self.view.faults.lock().unwrap().clear();
    }

    /// Holds the next call of this kind, until it is released.
    pub fn hold(&self, verb: Verb, prefix: &str) -> Hold {
        let (stage, _) = watch::channel(Stage::Awaited);
        self.view.holds.lock().unwrap().push((verb, prefix.to_owned(), stage.clone()));
        Hold(stage)
    }

    /// The calls of the plugin so far, in their order.
    pub fn log(&self) -> Vec<(Verb, String)> {
        self.view.log.lock().unwrap().clone()
    }

    pub fn clear_log(&self) {
        self.view.log.lock().unwrap().clear();
    }

    /// Everything that comes before a call. The error's text, and whether the call is done all the same.
    async fn admit(&self, verb: Verb, key: &str) -> Result<Result<(), (String, bool)>, Status> {
        let view = &self.view;
        view.log.lock().unwrap().push((verb, key.to_owned()));
        let latency = *view.latency.lock().unwrap();
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let held = {
            let mut holds = view.holds.lock().unwrap();
            let found = holds.iter().position(|(held, prefix, _)| *held == verb && key.starts_with(prefix.as_str()));
            found.map(|index| holds.swap_remove(index).2)
        };
        if let Some(stage) = held {
            stage.send_if_modified(|stage| {
                let awaited = *stage == Stage::Awaited;
                *stage = if awaited { Stage::Reached } else { *stage };
                awaited
            });
            _ = stage.subscribe().wait_for(|stage| *stage == Stage::Released).await;
        }
        if view.absent.load(Ordering::SeqCst) {
            return Err(Status::unknown("missing storage"));
        }
        let writes = matches!(verb, Verb::Put | Verb::Delete);
        if writes && view.setting_up.load(Ordering::SeqCst) {
            return Ok(Err(("cannot write to storage during setup".to_owned(), false)));
        }
        if writes && view.read_only.load(Ordering::SeqCst) {
            return Ok(Err(("cannot write to readonly storage".to_owned(), false)));
        }
        let mut faults = view.faults.lock().unwrap();
        let found = faults.iter().position(|(faulty, prefix, _)| *faulty == verb && key.starts_with(prefix.as_str()));
        Ok(match found.and_then(|index| faults.remove(index)) {
            None => Ok(()),
            Some((.., Fault::Refuse(text))) => Err((text.to_owned(), false)),
            Some((.., Fault::DoAndFail(text))) => Err((text.to_owned(), true)),
        })
    }

    /// Does a call, unless a fault is in the way; gives the error's text.
    async fn run<T: Default>(
        &self,
        verb: Verb,
        key: &str,
        work: impl FnOnce(&mut BTreeMap<String, Entry>) -> T,
    ) -> Result<(T, String), Status> {
        let admitted = self.admit(verb, key).await?;
        let mut entries = self.entries.lock().unwrap();
        Ok(match admitted {
            Ok(()) => (work(&mut entries), String::new()),
            Err((text, true)) => {
                work(&mut entries);
                (T::default(), text)
            }
            Err((text, false)) => (T::default(), text),
        })
    }
}

/// The immediate children of a folder; folders end with `/`.
fn children(entries: &BTreeMap<String, Entry>, prefix: &str) -> Vec<String> {
    let rest = entries.keys().filter_map(|key| key.strip_prefix(prefix));
    let mut children: Vec<String> =
        rest.map(|rest| rest.split_inclusive('/').next().unwrap_or_default().to_owned()).collect();
    children.dedup();
    children
}

#[tonic::async_trait]
impl pb::storage_server::Storage for MountStorage {
    async fn list(&self, call: Request<pb::StorageListArgs>) -> Result<Response<pb::StorageListReply>, Status> {
        let prefix = call.into_inner().prefix;
        let (keys, err) = self.run(Verb::List, &prefix, |entries| children(entries, &prefix)).await?;
        Ok(Response::new(pb::StorageListReply { keys, err }))
    }

    async fn list_page(
        &self,
        call: Request<pb::StorageListPageArgs>,
    ) -> Result<Response<pb::StorageListReply>, Status> {
        if self.view.without_pages.load(Ordering::SeqCst) {
            return Err(Status::unimplemented("unknown method ListPage for service pb.Storage"));
        }
        let page = call.into_inner();
        let limit = if page.limit <= 0 { usize::MAX } else { usize::try_from(page.limit).unwrap() };
        let work = |entries: &mut BTreeMap<String, Entry>| {
            let keys = children(entries, &page.prefix).into_iter().filter(|key| *key > page.after);
            keys.take(limit).collect::<Vec<_>>()
        };
        let (keys, err) = self.run(Verb::List, &page.prefix, work).await?;
        Ok(Response::new(pb::StorageListReply { keys, err }))
    }

    async fn get(&self, call: Request<pb::StorageGetArgs>) -> Result<Response<pb::StorageGetReply>, Status> {
        let key = call.into_inner().key;
        let (entry, err) = self.run(Verb::Get, &key, |entries| entries.get(&key).cloned()).await?;
        let entry = entry.map(|Entry { value, seal_wrap }| pb::StorageEntry { key, value, seal_wrap });
        Ok(Response::new(pb::StorageGetReply { entry, err }))
    }

    async fn put(&self, call: Request<pb::StoragePutArgs>) -> Result<Response<pb::StoragePutReply>, Status> {
        let pb::StorageEntry { key, value, seal_wrap } = call.into_inner().entry.unwrap();
        let entry = Entry { value, seal_wrap };
        let ((), err) = self.run(Verb::Put, &key.clone(), |entries| drop(entries.insert(key, entry))).await?;
        Ok(Response::new(pb::StoragePutReply { err }))
    }

    async fn delete(&self, call: Request<pb::StorageDeleteArgs>) -> Result<Response<pb::StorageDeleteReply>, Status> {
        let key = call.into_inner().key;
        let ((), err) = self.run(Verb::Delete, &key, |entries| drop(entries.remove(&key))).await?;
        Ok(Response::new(pb::StorageDeleteReply { err }))
    }
}
