//! The vendors of Amazon Web Services, and what they share: credentials, signatures, the Query APIs of IAM and STS.

mod account;
mod bedrock;
mod bedrock_iam;
mod bedrock_token;
mod client;
mod credentials;
mod endpoint;
mod identity;
mod sigv4;
mod xml;

pub(super) use bedrock::Bedrock;
pub(super) use bedrock_iam::BedrockIam;

use account::{Base, fields};
use bedrock_token::{LONGEST as LONGEST_TOKEN, bedrock_token};
use client::{Client, Query, has_code};
use credentials::Credentials;
use endpoint::Service;
use identity::CallerIdentity;
use sigv4::Signer;
use xml::members;
