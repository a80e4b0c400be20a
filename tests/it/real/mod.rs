//! The plugin on a real server.

mod crashes;
mod help;
mod hostile;
mod leases;
mod lifecycle;
mod litellm;
