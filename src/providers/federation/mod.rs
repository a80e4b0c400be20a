//! Vendors that trust the mount as an issuer: nothing of theirs is stored. An assertion about the caller is exchanged for a
//! token that ends by itself; one vendor's tokens can stand for a stored admin key as well (`management`).
//!
//! An assertion is a credential too, whoever receives it can exchange it. So where it goes is fixed (`trust`), and so is
//! the way there (`Account::check_network`).

mod anthropic;
mod exchange;
mod openai;
mod openrouter;
mod trust;
mod vendor;

pub(super) use anthropic::vendor as anthropic;
pub(super) use openai::vendor as openai;
pub(super) use openrouter::{Management, vendor as openrouter};
