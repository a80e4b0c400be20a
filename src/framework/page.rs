use crate::form;
use crate::logical::{Result, Storage};

form! {
    /// The arguments of every list.
    pub struct ListArgs {
        /// Lists only what comes after this entry.
        after: Option<String>,
        /// Lists at most so many entries.
        #[default("all")]
        limit: Option<i64>,
    }
}

/// The children of a storage folder, as a list asks for them.
pub async fn page(storage: &dyn Storage, prefix: &str, arguments: &ListArgs) -> Result<Vec<String>> {
    match (&arguments.after, arguments.limit()) {
        (None, None) => storage.list(prefix).await,
        (after, limit) => storage.list_page(prefix, after.as_deref().unwrap_or(""), limit.unwrap_or(0)).await,
    }
}

impl ListArgs {
    /// All there is.
    pub const fn all() -> Self {
        Self { after: None, limit: None }
    }

    /// None where there is no limit, which 0 and less mean too.
    pub fn limit(&self) -> Option<usize> {
        self.limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0)
    }
}
