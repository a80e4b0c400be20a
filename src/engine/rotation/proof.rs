//! Whether a vendor takes what it has just made, before it is put into use.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How far a rotation has come.
pub enum Progress<T = ()> {
    /// What was made is in use.
    Switched(T),
    /// The vendor does not take it yet, in whose words; what was in use still is.
    Pending(String),
}

/// What a vendor makes of a fresh key.
pub enum Proof {
    Taken,
    /// It refuses it, in whose words.
    Refused(String),
    /// It could not be asked, in whose words.
    Unknown(String),
    /// There is no asking: it is given time.
    Waits(String),
}

impl Proof {
    /// Whether asking again may bring another answer soon.
    pub const fn may_change(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unknown(_))
    }
}

/// For how long somebody asks again.
pub struct Patience {
    ends: Instant,
    wait: Duration,
}

impl Patience {
    const FIRST_WAIT: Duration = Duration::from_millis(500);

    pub fn of(limit: Duration) -> Self {
        Self { ends: Instant::now() + limit, wait: Self::FIRST_WAIT }
    }

    /// Waits, ever longer; false where there is no time for that.
    pub async fn lasts(&mut self) -> bool {
        if Instant::now() + self.wait > self.ends {
            return false;
        }
        sleep(self.wait).await;
        self.wait *= 2;
        true
    }
}
