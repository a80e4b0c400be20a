use std::time::Duration;

use async_trait::async_trait;

use super::super::mount::AiMount;
use super::assertion::{Assertion, Caller, Subject};
use super::config::Config;
use super::key_set::KeySet;
use crate::base::{Clock, Rng, Secret};
use crate::logical::{Error, Report, Request, Result, Storage, System};
use crate::providers::{Fault, FaultKind, Signer};

/// What a signer uses of its mount.
#[derive(Clone, Copy)]
pub struct Signing<'a> {
    pub mount_uuid: &'a str,
    pub storage: &'a dyn Storage,
    pub system: &'a dyn System,
    pub clock: &'a dyn Clock,
    pub rng: &'a dyn Rng,
}

impl<'a> From<&'a AiMount> for Signing<'a> {
    fn from(mount: &'a AiMount) -> Self {
        Self {
            mount_uuid: mount.uuid(),
            storage: mount.storage.as_ref(),
            system: mount.system.as_ref(),
            clock: mount.clock.as_ref(),
            rng: mount.rng.as_ref(),
        }
    }
}

/// The mount as the issuer of one request's assertions. It costs nothing until it is asked: config, key and entity are
/// read then, from storage, so that a rotation or a cleared issuer holds at once.
pub struct AssertionSigner<'a> {
    mount: Signing<'a>,
    about: About<'a>,
}

enum About<'a> {
    Role { role: &'a str, caller: &'a Request },
    Config(&'a str),
}

impl<'a> AssertionSigner<'a> {
    /// Assertions about whoever asks for a role's credential.
    pub fn for_role(mount: impl Into<Signing<'a>>, role: &'a str, caller: &'a Request) -> Self {
        Self { mount: mount.into(), about: About::Role { role, caller } }
    }

    /// Assertions about an account by itself, on nobody's behalf.
    pub fn for_config(mount: impl Into<Signing<'a>>, config: &'a str) -> Self {
        Self { mount: mount.into(), about: About::Config(config) }
    }

    async fn try_sign(&self, audience: &str, life: Duration) -> Result<Secret> {
        let Signing { mount_uuid, storage, system, clock, rng } = self.mount;
        let (_, issuer) = Config::issuing(storage).await?;
        let keys = KeySet::stored(storage).await?;
        let caller = match self.about {
            About::Role { caller, .. } => Caller {
                display_name: caller.display_name.clone(),
                entity_id: caller.entity_id.clone(),
                entity: system.entity(&caller.entity_id).await?,
            },
            About::Config(_) => Caller::default(),
        };
        let subject = match self.about {
            About::Role { role, .. } => Subject::Role { role, caller: &caller },
            About::Config(name) => Subject::Config(name),
        };
        let now = clock.now();
        let key = keys.signing(now).ok_or_else(|| Error::internal("the issuer has no key"))?;
        Assertion { mount_uuid, subject, audience, life }.sign(&issuer, key, now, rng)
    }
}

#[async_trait]
impl Signer for AssertionSigner<'_> {
    async fn sign(&self, audience: &str, life: Duration) -> Result<Secret, Fault> {
        self.try_sign(audience, life).await.map_err(|error| {
            error.report(self.mount.mount_uuid);
            let text = format!("cannot be sent an assertion: {error}");
            // Nothing has left this mount, so no vendor has done anything.
            match error {
                Error::Invalid(_) => Fault::invalid(text),
                _ => Fault::new(FaultKind::Unreachable, text),
            }
        })
    }
}
