//! The same questions for every vendor, gated by what it declares. Where `LITELLM_URL` and `LITELLM_MASTER_KEY` are
//! set, those that need no fault on order are asked of that proxy too.

mod admin;
mod answers;
mod deepinfra;
mod described;
mod faults;
mod federation;
mod generations;
mod gone;
mod keys;
mod litellm;
mod oauth2;
pub mod script;
mod single;
mod specs;
mod stage;
mod switched;
mod tokens;
mod tried;
