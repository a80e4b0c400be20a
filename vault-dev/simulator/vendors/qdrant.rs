//! Qdrant Cloud's database API keys, after the vendor's OpenAPI document (v2) of 2026-08, and the cluster that they open.

use chrono::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::book::{Book, Record, random};
use crate::clock::rfc3339;
use crate::fields::{self, ID, Kind, Unknown, nullable, required};
use crate::plain::{Attempt, Beyond, Example, Plain, text, works};
use crate::request::{Body, Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "qdrant-simulator-management-0001";
const ACCOUNT: &str = "5a1c0c52-7a4e-4a53-9d0e-000000000001";
const CLUSTER: &str = "5a1c0c52-7a4e-4a53-9d0e-000000000002";
/// Most rules of one key.
const RULES: usize = 20;

const ROUTES: &[Route<Qdrant>] = &[
    admin("POST", "/api/cluster/auth/v2/accounts/{databaseApiKey.accountId}/database-api-keys", Qdrant::create),
    admin("GET", "/api/cluster/auth/v2/accounts/{accountId}/database-api-keys", Qdrant::list),
    admin("DELETE", "/api/cluster/auth/v2/accounts/{accountId}/database-api-keys/{databaseApiKeyId}", Qdrant::delete),
    key("POST", "/collections/{collection}/points/query", Qdrant::query),
];

#[derive(Default)]
pub struct Qdrant {
    /// With the rules.
    keys: Book<Value>,
}

impl Qdrant {
    fn create(&mut self, call: &Call) -> Outcome {
        of_account(call)?;
        let body = Self::body(call, &[required("databaseApiKey", Kind::Object)])?;
        let given = body["databaseApiKey"].as_object().cloned().unwrap_or_default();
        let known = [
            required("clusterId", ID),
            required("name", Kind::Text(4, 128)),
            nullable("expiresAt", ID),
            nullable("accessRules", Kind::List),
        ];
        fields::check(&given, &known, Unknown::Refuse)
            .map_err(|wrong| Self::error(400, &format!("invalid database_api_key.{}", wrong.field)))?;
        let name = text(&given, "name");
        let plain = |c: char| c.is_ascii_alphanumeric() || " _-".contains(c);
        if text(&given, "clusterId") != CLUSTER || !name.chars().all(plain) {
            return Err(Self::error(400, "invalid database_api_key"));
        }
        // Without rules the vendor grants everything.
        let manage = json!([{"globalAccess": {"accessType": "GLOBAL_ACCESS_RULE_ACCESS_TYPE_MANAGE"}}]);
        let rules = given.get("accessRules").filter(|rules| rules.as_array().is_some_and(|rules| !rules.is_empty()));
        let rules = rules.cloned().unwrap_or(manage);
        check_rules(&rules)?;
        let secret = random("eyJhb");
        let mut record = Record::new(&Uuid::new_v4().to_string(), name, &secret, call.at, rules);
        if let Some(given) = given.get("expiresAt").and_then(Value::as_str) {
            let time = DateTime::parse_from_rfc3339(given).map_err(|_| Self::error(400, "invalid expires_at"))?;
            record.expires = Some(time.timestamp_millis());
        }
        let record = self.keys.add(record);
        let mut shown = show(record);
        shown["key"] = json!(secret);
        Ok(Answer::ok(json!({"databaseApiKey": shown})))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        of_account(call)?;
        let mine = call.query("clusterId").is_none_or(|cluster| cluster == CLUSTER);
        let items: Vec<_> = self.keys.listed(call.at).filter(|_| mine).map(show).collect();
        Ok(Answer::ok(json!({"items": items})))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        of_account(call)?;
        if call.query("clusterId") != Some(CLUSTER) {
            return Err(Self::error(400, "invalid cluster_id"));
        }
        if !self.keys.delete(call.param(1), call.at) {
            return Err(Self::error(404, "database api key not found"));
        }
        Ok(Answer::ok(json!({})))
    }

    /// Reads the collection of the path, and the one that `lookup_from` names.
    fn query(&mut self, call: &Call) -> Outcome {
        let lookup = match &call.request.body {
            Body::Json(body) => body["lookup_from"]["collection"].as_str().map(str::to_owned),
            _ => None,
        };
        let record = self.caller(call.request.header("api-key"), call.at)?;
        let rules = record.more.as_array().cloned().unwrap_or_default();
        let may_read = |name: &str| {
            rules.iter().any(|rule| {
                rule["globalAccess"].is_object() || rule["collectionAccess"]["collectionName"].as_str() == Some(name)
            })
        };
        if !may_read(call.param(0)) || lookup.is_some_and(|name| !may_read(&name)) {
            return Err(Self::error(403, "Forbidden: Access to collection is required"));
        }
        works()
    }
}

impl Plain for Qdrant {
    type Key = Value;

    const PAGED: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.header("authorization").and_then(|value| value.strip_prefix("apikey ")) == Some(ADMIN)
    }

    /// The code is gRPC's.
    fn error(status: u16, message: &str) -> Answer {
        let code = match status {
            400 => 3,
            401 => 16,
            403 => 7,
            404 => 5,
            429 => 8,
            _ => 13,
        };
        Answer::new(status, json!({"code": code, "message": message, "details": []}))
    }

    fn keys(&mut self) -> &mut Book<Value> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        let path = "/qdrant/collections/docs/points/query";
        let query = |collection: &str| json!({"query": 1, "lookup_from": {"collection": collection}});
        Example {
            config: json!({
                "management_key": ADMIN, "account_id": ACCOUNT, "cluster_id": CLUSTER,
                "api_url": format!("{url}/qdrant"), "base_url": format!("{url}/qdrant"),
            }),
            role: json!({"read_collections": ["docs"], "write_collections": ["notes"]}),
            attempt: Attempt {
                method: "POST",
                path,
                header: ("api-key", "{key}"),
                body: query("notes"),
                beyond: Some(Beyond { method: "POST", path, body: query("salaries"), status: 403 }),
            },
        }
    }
}

fn of_account(call: &Call) -> Result<(), Answer> {
    if call.param(0) == ACCOUNT { Ok(()) } else { Err(Qdrant::error(403, "permission denied")) }
}

/// One rule for everything, or several for collections.
fn check_rules(rules: &Value) -> Result<(), Answer> {
    const GLOBAL: [&str; 2] = ["GLOBAL_ACCESS_RULE_ACCESS_TYPE_READ_ONLY", "GLOBAL_ACCESS_RULE_ACCESS_TYPE_MANAGE"];
    const COLLECTION: [&str; 2] =
        ["COLLECTION_ACCESS_RULE_ACCESS_TYPE_READ_ONLY", "COLLECTION_ACCESS_RULE_ACCESS_TYPE_READ_WRITE"];
    let rules = rules.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_one_of = |value: &Value, known: &[&str]| value.as_str().is_some_and(|value| known.contains(&value));
    let global = |rule: &Value| is_one_of(&rule["globalAccess"]["accessType"], &GLOBAL);
    let collection = |rule: &Value| {
        let rule = &rule["collectionAccess"];
        is_one_of(&rule["accessType"], &COLLECTION)
            && rule["collectionName"].as_str().is_some_and(|name| !name.is_empty())
    };
    let fits = rules.len() <= RULES && (rules.iter().all(collection) || (rules.len() == 1 && rules.iter().all(global)));
    if fits { Ok(()) } else { Err(Qdrant::error(400, "invalid access_rules")) }
}

fn show(record: &Record<Value>) -> Value {
    let mut shown = json!({
        "id": record.id, "accountId": ACCOUNT, "createdAt": rfc3339(record.created), "clusterId": CLUSTER,
        "name": record.name, "accessRules": record.more, "createdByEmail": "", "postfix": "abcd", "key": "",
    });
    if let Some(expires) = record.expires {
        shown["expiresAt"] = rfc3339(expires).into();
    }
    shown
}
