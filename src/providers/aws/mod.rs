//! What the vendors of Amazon Web Services share: credentials, signatures, the Query API.

mod bedrock_token;
mod credentials;
mod sigv4;

pub(super) use bedrock_token::{LONGEST as LONGEST_TOKEN, bedrock_token};
pub(super) use credentials::Credentials;
pub(super) use sigv4::{Signer, pair};
