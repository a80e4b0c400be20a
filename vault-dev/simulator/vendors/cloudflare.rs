//! Cloudflare's tokens of an account, after SDK cloudflare 5.9.0: an envelope around every answer, policies, conditions.

use chrono::DateTime;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::book::{Book, Record, random};
use crate::clock::rfc3339;
use crate::fields::{ID, Kind, NAME, optional, required};
use crate::plain::{Attempt, Beyond, Example, Plain, text};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "cloudflare-parent-simulator-0001";
const ACCOUNT: &str = "023e105f4ecef8ad9ca31a8372d0c353";
/// The group that lets a token use models here; the real ids are in the account's own list.
const WORKERS_AI_READ: &str = "c8fed203ed3043cba015a93ad1616f1f";
const PERMISSION_GROUPS: [&str; 2] = [WORKERS_AI_READ, "82e64a83756745bbbb1c9c2701bf816b"];
const CHAT: &str = "/cloudflare/client/v4/accounts/023e105f4ecef8ad9ca31a8372d0c353/ai/v1/chat/completions";
const CHAT_ELSEWHERE: &str = "/cloudflare/client/v4/accounts/00000000000000000000000000000001/ai/v1/chat/completions";

const ROUTES: &[Route<Cloudflare>] = &[
    admin("GET", "/client/v4/accounts/{account_id}/tokens", Cloudflare::list),
    admin("POST", "/client/v4/accounts/{account_id}/tokens", Cloudflare::create),
    admin("DELETE", "/client/v4/accounts/{account_id}/tokens/{token_id}", Cloudflare::delete),
    key("POST", "/client/v4/accounts/{account_id}/ai/v1/chat/completions", Cloudflare::complete),
    key("GET", "/client/v4/accounts/{account_id}/tokens/verify", Cloudflare::verify),
];

#[derive(Default)]
pub struct Cloudflare {
    keys: Book<Grant>,
}

pub struct Grant {
    policies: Vec<Value>,
    condition: Option<Value>,
}

impl Cloudflare {
    fn create(&mut self, call: &Call) -> Outcome {
        of_account(call)?;
        let known = [
            required("name", NAME),
            required("policies", Kind::List),
            optional("condition", Kind::Object),
            optional("expires_on", ID),
            optional("not_before", ID),
        ];
        let body = Self::body(call, &known)?;
        let mut policies = body["policies"].as_array().cloned().unwrap_or_default();
        if policies.is_empty() {
            return Err(Self::error(400, "a token needs a policy"));
        }
        for policy in &mut policies {
            check_policy(policy)?;
            policy["id"] = json!(random(""));
        }
        check_condition(body.get("condition"))?;
        let secret = random("cfat_");
        let grant = Grant { policies, condition: body.get("condition").cloned() };
        let mut record = Record::new(&random(""), text(&body, "name"), &secret, call.at, grant);
        record.expires = expiry(&body)?;
        let record = self.keys.add(record);
        let mut token = show(record, "active");
        token["value"] = json!(secret);
        Ok(success(token))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        of_account(call)?;
        let (page, size) = (Self::number(call, "page", 1)?, call.at.page_size(Self::number(call, "per_page", 20)?));
        let expired_too = call.query("include_expired") == Some("true");
        let listed: Vec<_> =
            self.keys.listed(call.at).filter(|record| expired_too || !record.expired(call.at)).collect();
        let start = page.saturating_sub(1) * size;
        let status = |record: &Record<Grant>| if record.expired(call.at) { "expired" } else { "active" };
        let shown: Vec<_> = listed.iter().skip(start).take(size).map(|record| show(record, status(record))).collect();
        let count = json!({"page": page, "per_page": size, "count": shown.len(), "total_count": listed.len()});
        let mut body = envelope(json!(shown));
        body["result_info"] = count;
        Ok(Answer::ok(body))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        of_account(call)?;
        let id = call.param(1);
        if !self.keys.delete(id, call.at) {
            return Err(Self::error(404, "The requested token was not found"));
        }
        Ok(success(json!({"id": id})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        let record = self.caller(call.request.bearer.as_deref(), call.at)?;
        let account = format!("com.cloudflare.api.account.{}", call.param(0));
        let allows = |policy: &&Value| {
            let groups = policy["permission_groups"].as_array().into_iter().flatten();
            policy["resources"].get(&account).is_some()
                && groups.into_iter().any(|group| group["id"] == WORKERS_AI_READ)
        };
        match record.more.policies.iter().find(allows) {
            Some(policy) if policy["effect"] == "allow" => Ok(success(json!({"response": "This is the simulator."}))),
            _ => Err(Self::error(403, "Authentication error")),
        }
    }

    /// Needs no permission.
    fn verify(&mut self, call: &Call) -> Outcome {
        of_account(call)?;
        let unknown = |_| {
            let errors = json!([{"code": 1000, "message": "Invalid API Token"}]);
            Answer::new(401, json!({"success": false, "errors": errors, "messages": [], "result": null}))
        };
        let record = self.caller(call.request.bearer.as_deref(), call.at).map_err(unknown)?;
        Ok(success(json!({"id": record.id, "status": "active"})))
    }
}

impl Plain for Cloudflare {
    type Key = Grant;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(ADMIN)
    }

    fn error(status: u16, message: &str) -> Answer {
        let code = if status == 401 { 10000 } else { 1000 + status };
        let errors = json!([{"code": code, "message": message}]);
        Answer::new(status, json!({"success": false, "errors": errors, "messages": [], "result": null}))
    }

    fn keys(&mut self) -> &mut Book<Grant> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        let attempt = Attempt::chat(CHAT, "@cf/meta/llama-3.1-8b-instruct", None);
        let body = attempt.body.clone();
        let api_url = format!("{url}/cloudflare/client/v4");
        Example {
            config: json!({"parent_token": ADMIN, "account_id": ACCOUNT, "api_url": api_url}),
            role: json!({
                "permission_groups": [WORKERS_AI_READ], "allowed_ips": ["127.0.0.0/8"], "denied_ips": ["10.0.0.0/8"],
            }),
            attempt: attempt.but_not(Beyond { method: "POST", path: CHAT_ELSEWHERE, body, status: 403 }),
        }
    }
}

fn success(result: Value) -> Answer {
    Answer::ok(envelope(result))
}

fn envelope(result: Value) -> Value {
    json!({"success": true, "errors": [], "messages": [], "result": result})
}

fn of_account(call: &Call) -> Result<(), Answer> {
    if call.param(0) == ACCOUNT { Ok(()) } else { Err(Cloudflare::error(403, "Authentication error")) }
}

fn check_policy(policy: &Value) -> Result<(), Answer> {
    let bad = |message: &str| Cloudflare::error(400, message);
    let policy = policy.as_object().ok_or_else(|| bad("a policy must be an object"))?;
    let known = [
        required("effect", Kind::OneOf(&["allow", "deny"])),
        required("permission_groups", Kind::List),
        required("resources", Kind::Object),
    ];
    Cloudflare::checked(policy, &known)?;
    let groups = policy["permission_groups"].as_array().cloned().unwrap_or_default();
    let known = |group: &Value| group["id"].as_str().is_some_and(|id| PERMISSION_GROUPS.contains(&id));
    if groups.is_empty() || !groups.iter().all(known) {
        return Err(bad("permission_groups must hold ids of permission groups"));
    }
    let resources = policy["resources"].as_object().cloned().unwrap_or_default();
    let known = |(name, value): (&String, &Value)| name.starts_with("com.cloudflare.") && !value.is_array();
    if resources.is_empty() || !resources.iter().all(known) {
        return Err(bad("resources must name resources"));
    }
    Ok(())
}

fn check_condition(condition: Option<&Value>) -> Result<(), Answer> {
    let Some(condition) = condition else { return Ok(()) };
    let request_ip = condition["request_ip"].as_object();
    let request_ip = request_ip.ok_or_else(|| Cloudflare::error(400, "a condition needs request_ip"))?;
    Cloudflare::checked(request_ip, &[optional("in", Kind::SomeTexts), optional("not_in", Kind::SomeTexts)])?;
    if request_ip.is_empty() { Err(Cloudflare::error(400, "request_ip must not be empty")) } else { Ok(()) }
}

fn expiry(body: &Map<String, Value>) -> Result<Option<i64>, Answer> {
    let Some(given) = body.get("expires_on").and_then(Value::as_str) else { return Ok(None) };
    let time = DateTime::parse_from_rfc3339(given);
    Ok(Some(time.map_err(|_| Cloudflare::error(400, "expires_on is not a timestamp"))?.timestamp_millis()))
}

fn show(record: &Record<Grant>, status: &str) -> Value {
    let mut shown = json!({
        "id": record.id, "name": record.name, "status": status, "issued_on": rfc3339(record.created),
        "modified_on": rfc3339(record.created), "last_used_on": null, "policies": record.more.policies,
        "provisioner_id": Uuid::nil().to_string(), "provisioner_type": "token",
    });
    if let Some(expires) = record.expires {
        shown["expires_on"] = json!(rfc3339(expires));
    }
    if let Some(condition) = &record.more.condition {
        shown["condition"] = condition.clone();
    }
    shown
}
