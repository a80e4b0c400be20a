use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::link::Link;
use super::proto::pb;
use super::proto::pb::storage_client::StorageClient;
use crate::base::Secret;
use crate::go_plugin::MESSAGE_LIMIT;
use crate::logical::{Entry, Error, Result, Storage};

/// How a host says that this node may not write. It looks for the same text in our errors, and forwards the
/// request where it finds it. A substring, because a host may wrap it.
const READ_ONLY: &str = "cannot write to readonly storage";

/// The host's storage, over the instance's link.
pub(super) struct HostStorage {
    link: Arc<Link>,
    /// Vault has no pages: found out at the first try.
    without_pages: AtomicBool,
}

impl HostStorage {
    pub(super) const fn new(link: Arc<Link>) -> Self {
        Self { link, without_pages: AtomicBool::new(false) }
    }

    async fn client(&self) -> Result<StorageClient<Channel>> {
        let channel = self.link.channel().await.map_err(|error| Error::Storage(error.to_string()))?;
        let client = StorageClient::new(channel);
        Ok(client.max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT))
    }

    /// A page as the host has it, none where the host has no pages.
    async fn host_page(&self, prefix: &str, after: &str, limit: usize) -> Result<Option<Vec<String>>> {
        if self.without_pages.load(Ordering::Relaxed) {
            return Ok(None);
        }
        // The host's word for "no limit" is a negative one.
        let limit = if limit == 0 { -1 } else { i32::try_from(limit).unwrap_or(i32::MAX) };
        let page = pb::StorageListPageArgs { prefix: prefix.to_owned(), after: after.to_owned(), limit };
        match self.client().await?.list_page(page).await {
            Err(status) if status.code() == Code::Unimplemented => {
                self.without_pages.store(true, Ordering::Relaxed);
                Ok(None)
            }
            answer => keys(answer).map(Some),
        }
    }
}

#[async_trait]
impl Storage for HostStorage {
    async fn get(&self, key: &str) -> Result<Option<Secret>> {
        let answer = self.client().await?.get(pb::StorageGetArgs { key: key.to_owned() }).await;
        let reply = answer.map_err(|status| unreachable(&status))?.into_inner();
        done(reply.err)?;
        let text = reply.entry.map(|entry| String::from_utf8(entry.value)).transpose();
        let text = text.map_err(|_| Error::Storage(format!("the value at {key:?} is not text")))?;
        Ok(text.map(Secret::from))
    }

    async fn put(&self, entry: Entry) -> Result<()> {
        let value = entry.value.expose().as_bytes().to_vec();
        let entry = pb::StorageEntry { key: entry.key, value, seal_wrap: entry.seal_wrap };
        let answer = self.client().await?.put(pb::StoragePutArgs { entry: Some(entry) }).await;
        done(answer.map_err(|status| unreachable(&status))?.into_inner().err)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let answer = self.client().await?.delete(pb::StorageDeleteArgs { key: key.to_owned() }).await;
        done(answer.map_err(|status| unreachable(&status))?.into_inner().err)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        keys(self.client().await?.list(pb::StorageListArgs { prefix: prefix.to_owned() }).await)
    }

    async fn list_page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>> {
        if let Some(page) = self.host_page(prefix, after, limit).await? {
            return Ok(page);
        }
        let mut page = self.list(prefix).await?;
        page.retain(|key| key.as_str() > after);
        page.truncate(if limit == 0 { usize::MAX } else { limit });
        Ok(page)
    }
}

/// The keys of a listing, sorted, whatever the host's storage makes of order.
fn keys(answer: Result<Response<pb::StorageListReply>, Status>) -> Result<Vec<String>> {
    let reply = answer.map_err(|status| unreachable(&status))?.into_inner();
    done(reply.err)?;
    let mut keys = reply.keys;
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// The host answers a failure of its storage with a text. Only writes can fail as read-only.
fn done(error: String) -> Result<()> {
    match error {
        error if error.is_empty() => Ok(()),
        error if error.contains(READ_ONLY) => Err(Error::ReadOnly),
        error => Err(Error::Storage(error)),
    }
}

/// A host without storage, as at registration, or one that is ending.
fn unreachable(status: &Status) -> Error {
    Error::Storage(format!("the host does not answer: {} ({})", status.message(), status.code()))
}
