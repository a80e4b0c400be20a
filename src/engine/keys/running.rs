use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::logical::{Error, Result};

/// The mints that a task of this instance is busy with. While the mount is being disabled none may start.
#[derive(Default)]
pub struct Running {
    state: Mutex<RunningState>,
    ended: Arc<Notify>,
}

#[derive(Default)]
struct RunningState {
    ids: HashSet<String>,
    draining: bool,
}

/// A mint in this instance; ends when dropped, by whatever way.
pub struct RunningMint<'a> {
    running: &'a Running,
    id: String,
}

impl Running {
    /// Fails while the mount is being disabled.
    pub fn start(&self, id: &str) -> Result<RunningMint<'_>> {
        let mut state = self.state();
        if state.draining {
            return Err(Error::Unavailable("this mount is being disabled: no new keys".into()));
        }
        state.ids.insert(id.to_owned());
        Ok(RunningMint { running: self, id: id.to_owned() })
    }

    pub fn contains(&self, id: &str) -> bool {
        self.state().ids.contains(id)
    }

    /// Whether mints are refused; one that is running undoes its key then.
    pub fn draining(&self) -> bool {
        self.state().draining
    }

    pub fn set_draining(&self, draining: bool) {
        self.state().draining = draining;
    }

    /// Waits until none runs, for `limit` at the most.
    pub async fn idle(&self, limit: Duration) {
        let idle = async {
            loop {
                // Registered before the look, so that no end is missed between them.
                let ended = self.ended.notified();
                if self.state().ids.is_empty() {
                    return;
                }
                ended.await;
            }
        };
        // What runs on past the limit has its row.
        let _ = tokio::time::timeout(limit, idle).await;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, RunningState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunningMint<'_> {
    fn drop(&mut self) {
        self.running.state().ids.remove(&self.id);
        self.running.ended.notify_waiters();
    }
}
