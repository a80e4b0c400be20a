//! What plain vendors are asked, and what the simulator answers in their place, held against the vendors' own documents.

use std::path::Path;

use serde_json::{Map, Value, json};
use vault_plugin_secrets_ai::providers::Gone;

use super::stage::Stage;
use crate::support::openapi_check::{self, Spec};
use crate::support::simulator::plain_client;

/// A key's life, so that each of the definition's calls is made.
async fn live(name: &str) -> Stage {
    let stage = Stage::of_example(name).await;
    stage.probe().await.expect("a good credential");
    let (_, issued) = stage.issue().await;
    stage.list(&stage.tag).await.expect("listed");
    assert_eq!(stage.end(&issued.key).await, Ok(stage.ends));
    assert_eq!(stage.end(&issued.key).await, Ok(Gone::Already));
    stage
}

/// What the vendor was asked that it answered well.
async fn asked(stage: &Stage) -> Vec<Value> {
    let requests = stage.simulator().get("/_control/requests").await["requests"].as_array().cloned();
    let well = |request: &Value| request["status"].as_u64().is_some_and(|status| status < 300);
    requests.expect("requests").into_iter().filter(well).collect()
}

#[tokio::test]
async fn deepgram_is_asked_and_answers_as_its_document_says() {
    let Some(folder) = openapi_check::folder() else { return };
    let spec = Spec::new(read(&folder.join("deepgram-manage.openapi.json")));
    let stage = live("deepgram").await;
    let (count, mut problems) = spec.check_recorded(stage.simulator(), "/deepgram").await;
    assert!(count >= 4, "only {count} requests");

    let keys = format!("/v1/projects/{}/keys", stage.account.identity.text("project_id").expect("a project"));
    let good = json!({"comment": "a", "scopes": ["usage:write"], "time_to_live_in_seconds": 60});
    let mut id = String::new();
    for (method, body) in
        [("POST", Some(good)), ("POST", Some(json!({}))), ("GET", None), ("DELETE", None), ("DELETE", None)]
    {
        let path = if method == "DELETE" { format!("{keys}/{id}") } else { keys.clone() };
        let url = format!("{}/deepgram{path}", stage.simulator().url);
        let request = plain_client().request(method.parse().expect("a method"), url);
        let request = request.header("authorization", format!("Token {}", stage.account.secrets["admin_key"].expose()));
        let reply = body.iter().fold(request, |request, body| request.json(body)).send().await.expect("an answer");
        let (status, body): (u16, Value) = (reply.status().as_u16(), reply.json().await.expect("JSON"));
        let found = spec.check_answer(method, &path, status, &body);
        problems.extend(found.into_iter().map(|problem| format!("{method} {path} {status}: {problem}")));
        id = body["api_key_id"].as_str().map_or(id, str::to_owned);
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Google's documents are of a form of their own.
#[tokio::test]
async fn google_is_asked_as_its_document_says() {
    let Some(folder) = openapi_check::folder() else { return };
    let document = read(&folder.join("google-apikeys.v2.discovery.json"));
    let stage = live("gemini").await;
    let asked = asked(&stage).await;
    assert!(asked.len() >= 6, "only {} requests", asked.len());
    let mut problems = Vec::new();
    for request in &asked {
        let path = request["path"].as_str().expect("a path").trim_start_matches("/gemini/");
        // Another service of Google's gives the tokens.
        if path == "token" {
            continue;
        }
        let Some(method) = method(&document["resources"], &request["method"], path) else {
            problems.push(format!("{} {path} is in no document", request["method"]));
            continue;
        };
        let query = request["query"].as_object().expect("a query");
        let known =
            |name: &&String| method["parameters"].get(name.as_str()).is_some_and(|known| known["location"] == "query");
        problems.extend(query.keys().filter(|name| !known(name)).map(|name| format!("{path}: {name} is unknown")));
        match (&method["request"]["$ref"], &request["body"]) {
            (Value::Null, Value::Null) => {}
            (Value::String(schema), body) => fields(&document["schemas"], schema, body, path, &mut problems),
            (_, body) => problems.push(format!("{path}: has the body {body}")),
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).expect("the document can be read")).expect("it is JSON")
}

/// The method of a discovery document that has this path.
fn method<'a>(resources: &'a Value, verb: &Value, path: &str) -> Option<&'a Value> {
    resources.as_object()?.values().find_map(|resource| {
        let methods = resource["methods"].as_object().into_iter().flat_map(Map::values);
        let mut fitting = methods.filter(|method| method["httpMethod"] == *verb);
        let fits = |method: &&Value| {
            let flat = method["flatPath"].as_str().or(method["path"].as_str()).unwrap_or_default();
            let (flat, given): (Vec<_>, Vec<_>) = (flat.split('/').collect(), path.split('/').collect());
            flat.len() == given.len()
                && flat.iter().zip(&given).all(|(part, given)| part.starts_with('{') || part == given)
        };
        fitting.find(fits).or_else(|| method(&resource["resources"], verb, path))
    })
}

/// Whether an object has no field that its schema lacks, all the way down.
fn fields(schemas: &Value, name: &str, value: &Value, at: &str, problems: &mut Vec<String>) {
    let Some(given) = value.as_object() else { return problems.push(format!("{at}: {value} is no {name}")) };
    for (field, value) in given {
        let at = format!("{at}.{field}");
        let known = &schemas[name]["properties"][field];
        let (one, values) = match value.as_array() {
            Some(items) if known["type"] == "array" => (&known["items"], items.clone()),
            _ => (known, vec![value.clone()]),
        };
        for value in values {
            match (one["$ref"].as_str(), one["type"].as_str()) {
                (Some(name), _) => fields(schemas, name, &value, &at, problems),
                (None, Some("string")) if value.is_string() => {}
                (None, Some("object")) if value.is_object() => {}
                (None, kind) => problems.push(format!("{at}: {value} is no {kind:?}")),
            }
        }
    }
}
