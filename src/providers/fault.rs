use std::time::Duration;

/// Why a vendor call failed. The text is ours and reads behind the vendor's name ("could not be reached"); the
/// vendor's own words in it are parsed, cut and redacted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    pub kind: FaultKind,
    pub text: String,
}

/// What a fault means for whoever called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The vendor refuses what was asked; `field` where it said which.
    Invalid { field: Option<String> },
    /// The vendor refuses this credential or this account.
    Refused,
    /// The vendor asks to slow down. Nothing was done.
    Busy { after: Option<Duration> },
    /// The vendor could not be reached, so it did nothing.
    Unreachable,
    /// The vendor answered that it cannot now, or broke off. It may have done it.
    Unknown,
}

impl FaultKind {
    /// Whether the vendor certainly did nothing.
    pub const fn made_nothing(&self) -> bool {
        !matches!(self, Self::Unknown)
    }

    /// Whether the same call may succeed later with nobody mending anything.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unreachable | Self::Unknown)
    }
}

impl Fault {
    pub fn new(kind: FaultKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// It was refused, and no field of the vendor's is to blame.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(FaultKind::Invalid { field: None }, text)
    }

    /// The call may have had its effect.
    pub fn unknown(text: impl Into<String>) -> Self {
        Self::new(FaultKind::Unknown, text)
    }
}
