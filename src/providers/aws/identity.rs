use super::{Client, Query, Service};
use crate::providers::{Fault, FaultKind};

/// Whose credentials these are, as STS says. Asking needs no permission (STS API Reference, GetCallerIdentity).
pub(in crate::providers) struct CallerIdentity {
    /// Twelve digits.
    pub(in crate::providers) account: String,
    pub(in crate::providers) arn: String,
}

impl CallerIdentity {
    pub(in crate::providers) async fn ask(client: &Client<'_>) -> Result<Self, Fault> {
        let answer = client.send(Query::read(Service::Sts, "GetCallerIdentity")).await?;
        Ok(Self { account: answer.need("/Account")?.to_owned(), arn: client.shown(answer.need("/Arn")?) })
    }

    /// Fails where the credentials are of another account than `wanted`: its "no such user" says nothing then.
    pub(in crate::providers) fn must_be(&self, wanted: &str) -> Result<(), Fault> {
        if self.account == wanted {
            return Ok(());
        }
        Err(Fault::new(
            FaultKind::Refused,
            format!("says that the credential is of account {}, not {wanted}", self.account),
        ))
    }
}
