use std::time::Duration;

use async_trait::async_trait;

use super::Fault;
use crate::base::Secret;

/// Signs assertions about one caller or one account, as the issuer that the account's vendor was told to trust.
#[async_trait]
pub trait Signer: Send + Sync {
    /// A signed JWT for `audience` that is valid for `life` from now.
    async fn sign(&self, audience: &str, life: Duration) -> Result<Secret, Fault>;
}
