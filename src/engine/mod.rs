//! The AI secrets engine: configs, roles, credentials as leases, the ledger that never loses a key, and what an
//! operator needs around them. Vendors are reached through `providers` and told apart by their declared abilities only.

mod accounts;
mod admin;
mod config;
pub mod identity;
mod keys;
mod lease;
mod lease_limits;
mod library;
mod mount;
mod record;
mod roles;
mod rotation;
mod step;
mod times;
mod upstream;
mod vendors;

use std::sync::Arc;

use crate::base::{Clock, Rng, SystemClock, SystemRng};
use crate::framework::{Backend, Table};
use crate::logical::{self, Factory, SpecialPaths};
use mount::AiMount;

/// What `path-help` says of the mount.
const HELP: &str = "
The AI secrets engine creates short-lived, scoped API keys at AI vendors (see providers/) and ends them with
their leases. Write a vendor account to config/<name>, a role to roles/<name>, then read creds/<role>.
Every key has a row in a ledger (keys/) from before it is created until the vendor has confirmed it gone.";

/// Makes a mount's backend, with the machine's clock and randomness.
pub fn factory() -> Factory {
    factory_with(Arc::new(SystemClock::default()), Arc::new(SystemRng))
}

/// Makes a mount's backend with a given clock and randomness.
pub fn factory_with(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Factory {
    let table = Arc::new(table());
    Arc::new(move |setup| {
        let mount = AiMount::new(setup, clock.clone(), rng.clone());
        Ok(Arc::new(Backend::new(Arc::new(mount), table.clone())) as Arc<dyn logical::Backend>)
    })
}

fn table() -> Table<AiMount> {
    let mut paths = config::paths();
    paths.extend(rotation::paths());
    paths.extend(roles::paths());
    paths.extend(lease::paths());
    paths.extend(library::paths());
    paths.extend(admin::paths());
    paths.extend(identity::paths());
    let special = SpecialPaths {
        unauthenticated: identity::UNAUTHENTICATED.map(String::from).to_vec(),
        seal_wrap_storage: ["config/", "retired/", "identity/", "static/", "library/"].map(String::from).to_vec(),
        ..SpecialPaths::default()
    };
    Table { prefix: "ai", help: HELP, special, paths }
}
