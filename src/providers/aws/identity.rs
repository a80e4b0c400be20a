use super::{Client, Query, Service};
use crate::providers::{Fault, FaultKind};

/// Whose credentials these are, as STS says. Asking needs no permission (STS API Reference, GetCallerIdentity).
pub(super) struct CallerIdentity {
    /// Twelve digits.
    pub(super) account: String,
    pub(super) arn: String,
}

impl CallerIdentity {
    pub(super) async fn ask(client: &Client<'_>) -> Result<Self, Fault> {
        let answer = client.send(Query::read(Service::Sts, "GetCallerIdentity")).await?;
        let account = answer.need("/Account")?;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(answer.lacks("/Account of twelve digits"));
        }
        Ok(Self { account: account.to_owned(), arn: client.shown(answer.need("/Arn")?) })
    }

    /// Fails where the credentials are of another account than `wanted`: its "no such user" says nothing then.
    pub(super) fn must_be(&self, wanted: &str) -> Result<(), Fault> {
        if self.account == wanted {
            return Ok(());
        }
        Err(Fault::new(
            FaultKind::Refused,
            format!("says that the credential is of account {}, not {wanted}", self.account),
        ))
    }
}
