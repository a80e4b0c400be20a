use tokio::sync::OnceCell;
use tonic::transport::Channel;

use crate::go_plugin::{Broker, DialError};

/// The connection of one instance to its host, over which storage and system view are asked. Made at its
/// first use: at registration nobody ever uses it, and there is nothing behind it.
pub(super) struct Link {
    broker: Broker,
    id: u32,
    channel: OnceCell<Channel>,
}

impl Link {
    pub(super) const fn new(broker: Broker, id: u32) -> Self {
        Self { broker, id, channel: OnceCell::const_new() }
    }

    /// The channel. A failure is not kept: the next use dials again.
    pub(super) async fn channel(&self) -> Result<Channel, DialError> {
        self.channel.get_or_try_init(|| self.broker.dial(self.id)).await.cloned()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.broker.forget(self.id);
    }
}
