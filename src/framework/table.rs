use std::collections::BTreeMap;

use super::path::Path;
use crate::logical::SpecialPaths;

/// What is the same for every mount of one plugin.
pub struct Table<M> {
    /// First word of every OpenAPI operation id.
    pub prefix: &'static str,
    /// Text of `path-help` on the mount itself.
    pub help: &'static str,
    pub special: SpecialPaths,
    pub paths: Vec<Path<M>>,
}

impl<M: Send + Sync + 'static> Table<M> {
    /// The first path that matches, so literal ones stand before those with parameters.
    pub(super) fn find(&self, path: &str) -> Option<(&Path<M>, BTreeMap<&'static str, String>)> {
        self.paths.iter().find_map(|entry| Some((entry, entry.pattern.captures(path)?)))
    }
}
