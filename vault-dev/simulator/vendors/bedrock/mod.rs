//! Amazon Bedrock in one AWS account: IAM and STS at the root of a URL, as emulators have them, and inference below it.
//! Mounted twice, each with an account of its own: for short-term keys, of which AWS keeps nothing, and for long-term ones.

mod iam;
mod query;
mod runtime;
mod sigv4;

use serde_json::{Value, json};

use self::query::Query;
use self::sigv4::Refusal;
use crate::book::Book;
use crate::clock::Moment;
use crate::plain::{Attempt, Beyond, Example};
use crate::request::{Body, Call, Request};
use crate::router::{self, Answer, Found, Outcome, Route, Seen, Vendor, admin, key};
use crate::world::Mounted;

const ACCOUNT: &str = "123456789012";
/// Where inference is; a short-term key is good in one region only.
const REGION: &str = "eu-central-1";

/// The one that a policy of the account's own permits.
const MODEL: &str = "amazon.nova-lite-v1:0";

/// An access key of the account, which may do everything.
pub struct AccessKey {
    id: &'static str,
    secret: &'static str,
    session_token: Option<&'static str>,
    user: &'static str,
}

/// The first is the example's; another is there so that it can be replaced; the last is a temporary one.
const ACCESS_KEYS: [AccessKey; 3] = [
    AccessKey {
        id: "AKIASIMULATOR0000001",
        secret: "simulator/secret+access+key+000000000001",
        session_token: None,
        user: "engine",
    },
    AccessKey {
        id: "AKIASIMULATOR0000002",
        secret: "simulator/secret+access+key+000000000002",
        session_token: None,
        user: "engine",
    },
    AccessKey {
        id: "ASIASIMULATOR0000003",
        secret: "simulator/secret+access+key+000000000003",
        session_token: Some("simulator/session+token=="),
        user: "engine",
    },
];

const ROUTES: &[Route<Bedrock>] = &[
    admin("POST", "/", Bedrock::query),
    key("POST", "/model/{model}/converse", Bedrock::infer),
    key("POST", "/model/{model}/invoke", Bedrock::infer),
    key("POST", "/openai/v1/chat/completions", Bedrock::infer),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    ShortTerm,
    LongTerm,
}

pub struct Bedrock {
    example: Keys,
    users: Book<User>,
    keys: Book<Credential>,
}

/// A user that was made here, by its name.
pub struct User {
    id: String,
    path: String,
    boundary: Option<String>,
    policies: Vec<String>,
}

/// A service-specific credential.
pub struct Credential {
    user: String,
}

pub fn mounted() -> [Mounted; 2] {
    let vendor = |example| Box::new(Bedrock { example, users: Book::default(), keys: Book::default() });
    [
        Mounted { name: "bedrock", prefix: "/bedrock", vendor: vendor(Keys::ShortTerm) },
        Mounted { name: "bedrock-iam", prefix: "/bedrock-iam", vendor: vendor(Keys::LongTerm) },
    ]
}

impl Bedrock {
    fn query(&mut self, call: &Call) -> Outcome {
        let Body::Form(form) = &call.request.body else {
            return Err(query::error(&query::invalid("the body", "must be a form")));
        };
        let query = Query { form, at: call.at };
        let action = query.get("Action").unwrap_or_default();
        let done = self.called(action, query, call.request).map_err(|refusal| query::error(&refusal))?;
        Ok(query::answer(action, &done))
    }

    fn called(&mut self, action: &str, query: Query<'_>, request: &Request) -> Result<Value, Refusal> {
        let service = match query.get("Version") {
            Some("2010-05-08") if action != "GetCallerIdentity" => "iam",
            Some("2011-06-15") if action == "GetCallerIdentity" => "sts",
            version => {
                let message = format!("Could not find operation {action} for version {}", version.unwrap_or_default());
                return Err(Refusal::new(400, "InvalidAction", message));
            }
        };
        let caller = sigv4::caller(request, service, query.at)?;
        self.act(action, query, caller)
    }
}

impl Vendor for Bedrock {
    fn seen(&self, method: &str, path: &str) -> Option<Seen> {
        router::seen(ROUTES, method, path)
    }

    fn respond(&mut self, request: &Request, path: &str, at: Moment) -> Answer {
        match router::find(ROUTES, &request.method, &router::segments(path)) {
            Found::Route(route, params) => {
                (route.run)(self, &Call { request, params, at }).unwrap_or_else(|answer| answer)
            }
            Found::WrongMethod | Found::Nothing => runtime::error(404, "UnknownOperationException"),
        }
    }

    /// IAM and STS write XML, inference JSON.
    fn refusal(&self, path: &str, status: u16, message: &str) -> Answer {
        if path != "/" {
            return runtime::error(status, message);
        }
        let code = match status {
            429 => "Throttling",
            401 | 403 => "AccessDenied",
            400..=499 => "InvalidInput",
            _ => "ServiceFailure",
        };
        query::error(&Refusal::new(status, code, message))
    }

    fn snapshot(&mut self, at: Moment) -> Value {
        json!({"keys": self.keys.snapshot(at), "users": self.users.snapshot(at)})
    }

    fn delete_by_hand(&mut self, id: &str, at: Moment) -> bool {
        self.keys.delete(id, at)
    }

    fn examples(&self, url: &str) -> Vec<(&'static str, Value)> {
        let [AccessKey { id, secret, .. }, ..] = ACCESS_KEYS;
        let mut config = json!({"access_key_id": id, "secret_access_key": secret, "region": REGION});
        let body = json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]});
        let (base, path, role, beyond) = match self.example {
            Keys::ShortTerm => ("/bedrock", "/bedrock/model/amazon.nova-lite-v1:0/converse", json!({}), None),
            Keys::LongTerm => {
                config["account_id"] = ACCOUNT.into();
                let role = json!({"policy_arns": [iam::POLICIES[2]]});
                let other_model = "/bedrock-iam/model/amazon.nova-pro-v1:0/converse";
                let beyond = Beyond { method: "POST", path: other_model, body: body.clone(), status: 403 };
                ("/bedrock-iam", "/bedrock-iam/model/amazon.nova-lite-v1:0/converse", role, Some(beyond))
            }
        };
        config["api_url"] = format!("{url}{base}").into();
        let header = ("authorization", "Bearer {key}");
        let attempt = Attempt { method: "POST", path, header, body, beyond };
        let mut shown = Example { config, role, attempt }.shown(url, None);
        // A key that is not good gets no 401 here.
        shown["attempt"]["refused"] = 403.into();
        if matches!(self.example, Keys::LongTerm) {
            shown["expiry_step_seconds"] = iam::DAY_SECONDS.into();
        }
        shown["offline"] = matches!(self.example, Keys::ShortTerm).into();
        vec![("", shown)]
    }
}
