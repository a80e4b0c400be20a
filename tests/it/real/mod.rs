//! The plugin on a real server.

mod cluster;
mod crashes;
mod federation;
mod help;
mod hostile;
mod identity;
mod leases;
mod library;
mod lifecycle;
pub mod litellm;
mod oauth2;
mod vendors;
