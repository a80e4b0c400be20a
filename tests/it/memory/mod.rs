//! The engine on storage in memory, over the vendor simulator.

mod bedrock;
mod configs;
mod custom;
mod federation;
mod identity;
mod keys;
mod leases;
mod ledger;
mod library;
mod proofs;
mod roles;
mod rotation;
mod slots;
mod specs;
mod static_roles;
mod tokens;
