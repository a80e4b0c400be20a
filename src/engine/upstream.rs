//! The only place where a vendor's fault becomes an error of ours.

use crate::logical::Error;
use crate::providers::{Fault, FaultKind, Vendor};

/// What the caller is told when a vendor call failed. `after` says what becomes of an unknown outcome;
/// none where the call changes nothing.
pub fn error(vendor: &dyn Vendor, fault: Fault, after: Option<&str>) -> Error {
    let text = text(vendor, &fault);
    match fault.kind {
        FaultKind::Invalid { field: Some(field) } => Error::Refused(format!("{text} (field {field:?} at the vendor)")),
        FaultKind::Invalid { field: None } | FaultKind::Refused => Error::Refused(text),
        FaultKind::Busy { after: Some(wait) } => Error::Busy(format!("{text}; try again in {} s", wait.as_secs())),
        FaultKind::Busy { after: None } => Error::Busy(text),
        FaultKind::Unreachable => Error::Unavailable(text),
        FaultKind::Unknown => match after {
            Some(after) => Error::OutcomeUnknown(format!("{text}; {after}")),
            None => Error::Unavailable(text),
        },
    }
}

/// A fault as a sentence: its text reads behind the vendor's name.
pub fn text(vendor: &dyn Vendor, fault: &Fault) -> String {
    format!("{} {}", vendor.about().title, fault.text)
}
