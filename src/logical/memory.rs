use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Entry, Result, Storage};
use crate::base::Secret;

/// Storage in memory, for tests of everything above it.
#[derive(Default)]
pub struct MemoryStorage(Mutex<BTreeMap<String, Secret>>);

impl MemoryStorage {
    fn map(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn children(&self, prefix: &str) -> Vec<String> {
        let mut children: Vec<String> = Vec::new();
        for key in self.map().keys().filter_map(|key| key.strip_prefix(prefix)) {
            let child = key.find('/').map_or(key, |slash| &key[..=slash]);
            if children.last().is_none_or(|last| last != child) {
                children.push(child.to_owned());
            }
        }
        children
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn get(&self, key: &str) -> Result<Option<Secret>> {
        Ok(self.map().get(key).cloned())
    }

    async fn put(&self, entry: Entry) -> Result<()> {
        self.map().insert(entry.key, entry.value);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.map().remove(key);
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.children(prefix))
    }

    async fn list_page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        Ok(self.children(prefix).into_iter().filter(|key| key.as_str() > after).take(limit).collect())
    }
}
