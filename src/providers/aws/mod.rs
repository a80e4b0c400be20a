//! What the vendors of Amazon Web Services share: credentials, signatures, the Query APIs of IAM and STS.

mod account;
mod bedrock_token;
mod client;
mod credentials;
mod endpoint;
mod identity;
mod sigv4;
mod xml;

pub(super) use account::{Base, fields};
pub(super) use bedrock_token::{LONGEST as LONGEST_TOKEN, bedrock_token};
pub(super) use client::{Client, Query, has_code};
pub(super) use credentials::Credentials;
pub(super) use endpoint::Service;
pub(super) use identity::CallerIdentity;
pub(super) use xml::members;

use sigv4::Signer;
