use crate::base::bounded;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request failed, by whose fault it is and whether asking again helps. The text of every variant but
/// `Internal` is shown to the caller, so it holds no secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The caller can mend it: 400.
    #[error("{0}")]
    Invalid(String),
    /// The addressed thing is not there: 404.
    #[error("{0}")]
    NotFound(String),
    /// A rule of this mount forbids it: 403.
    #[error("{0}")]
    Denied(String),
    /// The operator's limit is reached: 429.
    #[error("{0}")]
    OverLimit(String),
    /// Somebody else changed or holds it: 409.
    #[error("{0}")]
    Conflict(String),
    /// The vendor refuses and will go on refusing (bad admin key, unknown project): 400.
    #[error("{0}")]
    Refused(String),
    /// The vendor asks to slow down: 429.
    #[error("{0}")]
    Busy(String),
    /// The vendor, or this mount for the moment, cannot answer: 503.
    #[error("{0}")]
    Unavailable(String),
    /// Nobody knows whether the vendor did it: 502. What it may have done will be undone.
    #[error("{0}")]
    OutcomeUnknown(String),
    /// This node may not write; the host forwards the request to the active one.
    #[error("cannot write to readonly storage")]
    ReadOnly,
    /// The path does not know the operation: 405.
    #[error("unsupported operation")]
    UnsupportedOperation,
    /// No such path: 404.
    #[error("unsupported path")]
    UnsupportedPath,
    /// The host's storage failed: 500. The text is the host's.
    #[error("storage: {0}")]
    Storage(String),
    /// A revocation or renewal that failed for now; any other kind would make the lease irrevocable at once.
    #[error("{0}")]
    Transient(String),
    /// Our fault: 500. The caller sees the id only, the log has the cause.
    #[error("internal error (id {id})")]
    Internal { id: String, cause: String },
}

/// An error as the wire carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A response whose data is `{"error": text}`: 400.
    ErrorResponse(String),
    /// No response at all: 404 with no text. Only for read, list and delete.
    Coded { status: u16, text: String },
    /// `err_type` with a fixed meaning (protocol: 5 unsupported operation, 6 unsupported path).
    Kind { err_type: u32, text: String },
}

/// Longest text of an error on the wire, in characters.
const TEXT_LIMIT: usize = 1000;

impl Error {
    /// An internal error under a new id, to be logged once where it is answered.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal { id: uuid::Uuid::new_v4().to_string(), cause: bounded(&cause.to_string(), TEXT_LIMIT) }
    }

    /// The only place that knows HTTP status and `err_type` (measured on OpenBao 2.7.2: an unknown
    /// `err_type` becomes a silent success, a code outside 100–999 a dropped connection).
    pub fn wire(&self) -> Wire {
        let text = match self {
            // The host compares these texts to the letter.
            Self::ReadOnly | Self::UnsupportedOperation | Self::UnsupportedPath => self.to_string(),
            _ => bounded(&self.to_string(), TEXT_LIMIT),
        };
        let coded = |status| Wire::Coded { status, text: text.clone() };
        match self {
            Self::Invalid(_) => Wire::ErrorResponse(text),
            Self::Refused(_) => coded(400),
            Self::Denied(_) => coded(403),
            Self::NotFound(_) => coded(404),
            Self::Conflict(_) => coded(409),
            Self::OverLimit(_) | Self::Busy(_) => coded(429),
            Self::OutcomeUnknown(_) => coded(502),
            Self::Unavailable(_) => coded(503),
            Self::UnsupportedOperation => Wire::Kind { err_type: 5, text },
            Self::UnsupportedPath => Wire::Kind { err_type: 6, text },
            Self::ReadOnly | Self::Storage(_) | Self::Transient(_) | Self::Internal { .. } => {
                Wire::Kind { err_type: 0, text }
            }
        }
    }

    /// The same failure as an answer to revoke or renew, where only `err_type` 0 is tried again
    /// (5, 6, 7 and 10 make a lease irrevocable at once).
    pub fn for_lease(self) -> Self {
        match self {
            Self::ReadOnly | Self::Internal { .. } | Self::Transient(_) => self,
            other => Self::Transient(other.to_string()),
        }
    }
}

/// What the log is told of an error, beside what the caller sees.
pub trait Report {
    /// Logs the cause of an internal error; everything else was told to the caller.
    fn report(&self, mount: &str);
}

impl Report for Error {
    fn report(&self, mount: &str) {
        if let Self::Internal { id, cause } = self {
            tracing::error!(mount, id, cause, "internal error");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forwarding_text_is_exact() {
        let wire = Error::ReadOnly.wire();
        assert_eq!(wire, Wire::Kind { err_type: 0, text: "cannot write to readonly storage".into() });
    }

    #[test]
    fn the_cause_of_an_internal_error_is_not_shown() {
        let Wire::Kind { err_type: 0, text } = Error::internal("disk on fire").wire() else { panic!("kind 0") };
        assert!(!text.contains("fire"));
    }

    #[test]
    fn nothing_about_a_lease_is_final() {
        for error in [Error::UnsupportedPath, Error::Invalid("x".into()), Error::Refused("x".into())] {
            assert!(matches!(error.for_lease().wire(), Wire::Kind { err_type: 0, .. }));
        }
    }
}
