use serde_json::Value;

use crate::support::server::Stage;

#[tokio::test]
async fn every_path_and_field_has_help() {
    let stage = Stage::new().await;
    let help = stage.server.read("ai/?help=1").await;
    let text = help["help"].as_str().or(help["data"]["help"].as_str()).expect("help").to_owned();
    for path in [
        "config/{name}",
        "roles/{name}",
        "creds/{role}",
        "keys/{id}",
        "tidy",
        "providers/{name}",
        "info",
        "identity/config",
        "identity/keys/{kid}",
    ] {
        assert!(text.contains(path), "{path} is not in:\n{text}");
    }
    let help = stage.server.read("ai/roles/x?help=1").await.to_string();
    for field in ["ttl", "max_ttl", "name_template", "scopes", "allow_unscoped", "max_budget", "allowed_models"] {
        assert!(help.contains(field), "{field} is not in the help of a role");
    }
}

#[tokio::test]
async fn the_server_merges_our_openapi_document_without_loss() {
    let stage = Stage::new().await;
    let document = stage.server.read("sys/internal/specs/openapi").await;
    let paths = document["paths"].as_object().expect("paths");
    let ours: Vec<_> =
        paths.iter().filter(|(path, _)| path.contains("/ai/") || path.contains("mount_path}/creds")).collect();
    assert!(ours.len() >= 9, "{:?}", paths.keys().filter(|path| path.contains("ai")).collect::<Vec<_>>());
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let mut bodies = 0;
    for (path, item) in &ours {
        for method in ["get", "post", "patch", "delete"] {
            let Some(operation) = item.get(method).filter(|operation| !operation.is_null()) else { continue };
            assert!(!operation["summary"].as_str().unwrap_or("").is_empty(), "{method} {path} has no summary");
            assert!(!operation["operationId"].as_str().unwrap_or("").is_empty(), "{method} {path} has no operationId");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(!parameter["description"].as_str().unwrap_or("").is_empty(), "{method} {path}: {parameter}");
            }
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let Some(reference) = schema["$ref"].as_str() else {
                assert!(operation["requestBody"].is_null(), "{method} {path} lost its body's schema: {schema}");
                continue;
            };
            let name = reference.rsplit('/').next().expect("a name");
            let properties = schemas[name]["properties"].as_object().expect("properties");
            for (field, property) in properties {
                assert!(!property["description"].as_str().unwrap_or("").is_empty(), "{name}.{field} has no help");
            }
            bodies += 1;
        }
    }
    assert!(bodies >= 4, "config, roles, creds and tidy take bodies, not only {bodies}");
    assert_eq!(document["openapi"], Value::from("3.0.2"));
}
