//! The OpenAPI document of a mount, in the form that the host merges into its own.
//!
//! Across the plugin boundary the host reads the document again by Go field names: `$ref` is dropped and `Ref` is
//! taken (measured on OpenBao 2.7.2), so both are written.

use serde_json::{Map, Value, json};

use super::path::Path;
use super::table::Table;
use crate::logical::Operation;
use crate::schema::Field;

/// The document for these paths.
pub fn document<'a, M: Send + Sync + 'static>(table: &Table<M>, paths: impl IntoIterator<Item = &'a Path<M>>) -> Value {
    let mut schemas = Map::new();
    let mut items = Map::new();
    for path in paths {
        let name = format!("/{}", path.pattern.as_str());
        items.insert(name, item(table, path, &mut schemas));
    }
    json!({
        "openapi": "3.0.2",
        "info": {
            "title": "Vault plugin for AI API keys",
            "description": table.help.trim(),
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Mozilla Public License 2.0", "url": "https://www.mozilla.org/en-US/MPL/2.0"},
        },
        "paths": items,
        "components": {"schemas": schemas},
    })
}

fn item<M: Send + Sync + 'static>(table: &Table<M>, path: &Path<M>, schemas: &mut Map<String, Value>) -> Value {
    let mut item = Map::new();
    item.insert("description".into(), path.synopsis.into());
    let parameters: Vec<Value> =
        path.pattern.parameters().map(|name| parameter(&path_field(path, name), "path", true)).collect();
    if !parameters.is_empty() {
        item.insert("parameters".into(), parameters.into());
    }
    if table.special.unauthenticated.iter().any(|open| open == path.pattern.as_str()) {
        item.insert("x-vault-unauthenticated".into(), true.into());
    }
    if path.exists.is_some() {
        item.insert("x-vault-createSupported".into(), true.into());
    }
    for (operation, handler) in &path.operations {
        let (method, verb) = match operation {
            Operation::Read => ("get", "read"),
            Operation::List => ("get", "list"),
            Operation::Update => ("post", "write"),
            Operation::Patch => ("patch", "patch"),
            Operation::Delete => ("delete", "delete"),
            // Create is the same request as update.
            _ => continue,
        };
        let id = operation_id(table.prefix, verb, path.pattern.as_str());
        let mut entry = Map::new();
        entry.insert("summary".into(), handler.summary.into());
        entry.insert("operationId".into(), id.clone().into());
        entry.insert("tags".into(), json!(["secrets"]));
        entry.insert("responses".into(), json!({"200": {"description": "OK"}}));
        let fields: Vec<Field> = path
            .all_fields(operation)
            .into_iter()
            .filter(|field| path.pattern.parameters().all(|name| field.name != name))
            .collect();
        if matches!(operation, Operation::Update | Operation::Patch) {
            if !fields.is_empty() {
                let schema = format!("{}Request", title_case(&id));
                entry.insert("requestBody".into(), body(&schema));
                schemas.insert(schema, object(&fields, *operation == Operation::Update));
            }
        } else {
            let mut query: Vec<Value> = fields.iter().map(|field| parameter(field, "query", false)).collect();
            if *operation == Operation::List {
                query.push(json!({"name": "list", "in": "query", "required": true,
                    "description": "Must be set to `true`", "schema": {"type": "string", "enum": ["true"]}}));
            }
            if !query.is_empty() {
                entry.insert("parameters".into(), query.into());
            }
        }
        item.insert(method.into(), entry.into());
    }
    item.into()
}

/// A parameter of the path is a field of every one of its operations.
fn path_field<M: Send + Sync + 'static>(path: &Path<M>, name: &str) -> Field {
    path.operations
        .keys()
        .flat_map(|operation| path.all_fields(operation))
        .find(|field| field.name == name)
        .unwrap_or_else(|| Field { name: name.to_owned().into(), ..Field::new("", crate::schema::Kind::Name, "") })
}

fn parameter(field: &Field, place: &str, required: bool) -> Value {
    let mut schema = field.schema();
    let description = schema.remove("description").unwrap_or_default();
    json!({"name": field.name, "in": place, "required": required, "description": description, "schema": schema})
}

fn body(schema: &str) -> Value {
    let target = format!("#/components/schemas/{schema}");
    json!({"required": true, "content": {"application/json": {"schema": {"$ref": target, "Ref": target}}}})
}

fn object(fields: &[Field], whole: bool) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_string(), field.schema().into())).collect();
    let mut schema = json!({"type": "object", "properties": properties});
    let required: Vec<&str> =
        fields.iter().filter(|field| whole && field.required).map(|field| field.name.as_ref()).collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// `ai-read-config-check` for `config/{name}/check`.
fn operation_id(prefix: &str, verb: &str, pattern: &str) -> String {
    let words = pattern.split('/').filter(|word| !word.is_empty());
    let last_is_parameter = pattern.ends_with('}');
    let mut parts = vec![prefix.to_owned(), verb.to_owned()];
    parts.extend(
        words.filter(|word| !word.starts_with('{')).map(|word| word.trim_start_matches('.').replace(['_', '.'], "-")),
    );
    // `roles/` and `roles/{name}` have operations of their own.
    if !last_is_parameter && pattern.ends_with('/') && verb != "list" {
        parts.push("all".into());
    }
    parts.join("-")
}

fn title_case(id: &str) -> String {
    id.split('-')
        .map(|word| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_ids_are_words_with_hyphens() {
        assert_eq!(operation_id("ai", "read", "config/{name}/check"), "ai-read-config-check");
        assert_eq!(operation_id("ai", "list", "roles/"), "ai-list-roles");
        assert_eq!(operation_id("ai", "read", ".well-known/keys"), "ai-read-well-known-keys");
        assert_eq!(title_case("ai-write-roles"), "AiWriteRoles");
    }
}
