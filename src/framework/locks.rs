use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// One lock per name. A name that nobody holds costs nothing.
#[derive(Default)]
pub struct Locks(Mutex<HashMap<String, Weak<RwLock<()>>>>);

/// Forgotten names are swept out once there are more than so many.
const SWEEP_ABOVE: usize = 1024;

impl Locks {
    /// Shared with other readers of the name.
    pub async fn read(&self, name: &str) -> OwnedRwLockReadGuard<()> {
        self.of(name).read_owned().await
    }

    /// Alone.
    pub async fn write(&self, name: &str) -> OwnedRwLockWriteGuard<()> {
        self.of(name).write_owned().await
    }

    fn of(&self, name: &str) -> Arc<RwLock<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        if locks.len() > SWEEP_ABOVE {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(RwLock::new(()));
        locks.insert(name.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_do_not_wait_for_each_other() {
        let locks = Locks::default();
        let _a = locks.write("a").await;
        let _b = locks.write("b").await;
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), locks.read("a")).await.is_err());
    }

    #[tokio::test]
    async fn a_name_let_go_can_be_had_again() {
        let locks = Locks::default();
        drop(locks.write("a").await);
        drop(locks.write("a").await);
    }
}
