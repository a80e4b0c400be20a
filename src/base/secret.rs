use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// Bytes of a print.
const PRINT_LENGTH: usize = 9;

/// Text that must not be seen: no `Display`, no `Serialize`, a `Debug` that hides it, wiped when dropped.
/// `expose` is the one door; whoever calls it says where the text goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself: for a request's header or body, a sealed record, or the caller's answer.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A part of its digest, to know it by: too little to look for the text by, enough to tell it from another.
    pub fn print(&self) -> String {
        URL_SAFE_NO_PAD.encode(&digest(&SHA256, self.0.as_bytes()).as_ref()[..PRINT_LENGTH])
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_text() {
        assert_eq!(format!("{:?}", Some(Secret::from("sk-1"))), "Some(Secret(hidden))");
    }
}
