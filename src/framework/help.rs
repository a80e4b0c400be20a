//! The texts of `path-help`.

use std::collections::BTreeMap;

use super::path::Path;
use super::table::Table;
use crate::base::bounded;
use crate::schema::Field;

/// The mount: what it is, and every path with a line.
pub fn of_mount<M: Send + Sync + 'static>(table: &Table<M>) -> String {
    let mut text = format!("## DESCRIPTION\n\n{}\n\n## PATHS\n\n", table.help.trim());
    text.push_str("The following paths are supported by this backend. To view help for\nany of the paths below, use the help command with any route matching\nthe path pattern.\n\n");
    for path in &table.paths {
        text.push_str(&format!("    {}\n        {}\n\n", path.title(), path.synopsis));
    }
    text
}

/// One path: its operations, its fields and what it is for.
pub fn of_path<M: Send + Sync + 'static>(path: &Path<M>, asked: &str) -> String {
    let mut text =
        format!("Request:        {}\nMatching Route: {}\n\n{}\n\n", bounded(asked, 200), path.title(), path.synopsis);
    text.push_str("## OPERATIONS\n\n");
    for (operation, handler) in &path.operations {
        text.push_str(&format!("    {}\n        {}\n", format!("{operation:?}").to_lowercase(), handler.summary));
    }
    let fields = fields(path);
    if !fields.is_empty() {
        text.push_str("\n## PARAMETERS\n\n");
        text.extend(fields.values().map(Field::help_line));
    }
    if !path.description.is_empty() {
        text.push_str(&format!("\n## DESCRIPTION\n\n{}\n", path.description.trim()));
    }
    text
}

/// No path matches.
pub fn unknown(asked: &str) -> String {
    format!("No path matches {:?}. Ask for help on the mount itself to see them all.\n", bounded(asked, 200))
}

/// Every field of every operation, once.
fn fields<M: Send + Sync + 'static>(path: &Path<M>) -> BTreeMap<String, Field> {
    path.operations
        .keys()
        .flat_map(|operation| path.all_fields(operation))
        .map(|field| (field.name.to_string(), field))
        .collect()
}
