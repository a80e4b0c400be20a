use crate::form;
use crate::logical::{Result, Storage};

form! {
    /// The arguments of every list.
    pub struct ListArgs {
        /// Lists only what comes after this entry.
        after: Option<String>,
        /// Lists at most so many entries.
        #[default("all")]
        limit: Option<u32>,
    }
}

/// The children of a storage folder, as a list asks for them.
pub async fn page(storage: &dyn Storage, prefix: &str, arguments: &ListArgs) -> Result<Vec<String>> {
    let limit = arguments.limit.unwrap_or(0) as usize;
    match (&arguments.after, limit) {
        (None, 0) => storage.list(prefix).await,
        (after, limit) => storage.list_page(prefix, after.as_deref().unwrap_or(""), limit).await,
    }
}
