//! The engine on storage in memory, over the vendor simulator.

mod configs;
mod keys;
mod ledger;
mod leases;
mod roles;
