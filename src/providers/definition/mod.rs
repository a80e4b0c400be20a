//! Vendors as data: a vendor whose API is plain HTTP is a JSON document, checked when it is read and interpreted by
//! `Declared`. The built-in ones are in `definitions/`; users bring their own with `provider=custom`.
//!
//! A definition cannot name a host in a call, follow a redirect, put the account's secrets anywhere but into its auth block,
//! or have a body shown: there are no words for it. `docs/definitions.md` describes the format.

mod auth;
mod check;
mod check_existing;
mod declared;
mod format;
mod google;
mod slots;
mod source;
mod step;
mod switched;
mod template;
mod term;
mod trial;

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use declared::Declared;

use super::{Abilities, About, End, Expiry, Find, Purpose, Source, Vendor};
use crate::schema::{Field, Invalid, Kind};

/// As in `provider=custom`: a vendor that the account's own definition declares.
pub const CUSTOM: &str = "custom";
/// The field of a config that holds the definition.
const DEFINITION: &str = "definition";

/// The vendor that the definition among these fields of an account declares.
///
/// # Errors
/// Names the field `definition`, and in its text the place in the definition.
pub fn define(account: &Map<String, Value>) -> Result<Arc<dyn Vendor>, Invalid> {
    let field = field();
    let given = account.get(DEFINITION).filter(|value| !value.is_null());
    let given = given.ok_or_else(|| Invalid::new(DEFINITION, format!("is required: {}", field.help)))?;
    let text = field.kind.parse(given).map_err(|problem| Invalid::new(DEFINITION, problem))?;
    let declared = Declared::read(text.as_str().unwrap_or_default());
    let mut declared = declared.map_err(|problem| Invalid::new(DEFINITION, problem))?;
    declared.about.name = CUSTOM.into();
    declared.about.account.insert(0, field);
    Ok(Arc::new(declared))
}

/// A vendor of ours.
#[allow(clippy::expect_used)] // a test reads every one
pub(super) fn built_in(text: &str) -> Arc<dyn Vendor> {
    Arc::new(Declared::read(text).expect("a definition of ours is valid"))
}

/// What can be said of a custom vendor before there is a definition.
pub fn custom() -> &'static About {
    static ABOUT: LazyLock<About> = LazyLock::new(|| About {
        name: CUSTOM.into(),
        title: "a vendor of your own definition".into(),
        account: vec![field()],
        identity_is_complete: false,
        scope: Vec::new(),
        can: Abilities {
            source: Source::Create,
            end: End::Delete,
            find: Find::Never,
            expiry: Expiry::Never,
            purposes: &[Purpose::Lease],
            limits: Vec::new(),
            unused: Vec::new(),
            tries_keys: false,
        },
        name_limit: format::LONGEST_NAME,
        revocation: "As the definition says.".into(),
        unproven: vec!["All of it: what the vendor can do is what the definition declares.".into()],
    });
    &ABOUT
}

fn field() -> Field {
    Field::new(
        DEFINITION,
        Kind::Definition,
        "Declares the vendor: its calls, its fields, its errors; definition=@file.json. It adds fields of its own to the config and to roles.",
    )
    .required()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::Values;

    /// A definition that is valid.
    fn good() -> Value {
        json!({
            "name": "acme", "title": "Acme", "api_url": "https://api.acme.example",
            "account": [
                {"name": "admin_key", "type": "secret", "required": true, "help": "Admin key."},
                {"name": "team", "type": "id", "required": true, "help": "Team."}
            ],
            "auth": {"bearer": "admin_key"},
            "errors": [{"message": "/error/message"}],
            "role": [{"name": "models", "type": "list", "help": "Models."}],
            "longest_name": 64,
            "expiry": {"fixed": {"shortest": "1m", "longest": "30d"}},
            "revocation": "Not documented.",
            "create": [{
                "call": "POST /teams/{account.team}/keys",
                "body": {"name": "{name}", "models": {"$": "role.models"}, "until": {"$": "until", "as": "unix"}},
                "take": {"id": "/id", "secret": "/key"}, "show": {}
            }],
            "client_headers": {},
            "delete": [{"call": "DELETE /keys/{id}", "gone": [{"status": 404}]}],
            "list": {
                "call": "GET /keys", "items": "/keys", "entry": {"id": "/id", "name": "/name"}, "lag": "10s", "pages": "none"
            }
        })
    }

    /// One that has this part, and that is valid.
    fn existing(part: &str) -> Value {
        let mut definition = good();
        if part == "try" {
            let refused = json!([{"status": 400, "says": "unknown key"}]);
            let header = json!({"name": "x-key"});
            definition["try"] = json!({
                "call": "GET /me", "query": {"team": "{account.team}"}, "header": header,
                "expect": [{"at": "/status", "is": "on"}], "refused": refused,
            });
            return definition;
        }
        if part == "admin" {
            let take = json!({"id": "/id", "secret": "/key", "expires": "/expires"});
            let create = json!([{"call": "POST /admin/{account.team}", "body": {"name": "{name}"}, "take": take}]);
            definition["admin"] = json!({"needs": ["team"], "create": create});
            return definition;
        }
        let fields = definition.as_object_mut().expect("an object");
        for field in ["role", "create", "delete", "expiry", "list"] {
            fields.remove(field);
        }
        fields["account"][1]["type"] = "id".into();
        let call = |method: &str, rest: &str| json!({"call": format!("{method} /teams/{{account.team}}{rest}")});
        let mut look = call("GET", "/keys/{id}");
        look["take"] = json!({"state": "/state"});
        let told = match part {
            "switch" => json!({
                "look": look, "is_on": "on", "is_off": "off",
                "on": call("POST", "/keys/{id}/on"), "off": call("POST", "/keys/{id}/off"),
            }),
            _ => json!({
                "names": ["a", "b"], "values": ["/a", "/b"],
                "regenerate": call("POST", "/keys/{id}"), "read": call("GET", "/keys"),
            }),
        };
        fields.insert(part.to_owned(), told);
        definition
    }

    fn refused(pointer: &str, value: Value) -> String {
        let mut definition = good();
        *definition.pointer_mut(pointer).expect(pointer) = value;
        let account = Map::from_iter([(DEFINITION.to_owned(), definition)]);
        let refused = define(&account).err().unwrap_or_else(|| panic!("{pointer} was taken"));
        assert_eq!(refused.field, DEFINITION);
        refused.problem
    }

    #[test]
    fn a_valid_definition_is_taken_as_an_object_and_as_text() {
        for definition in [good(), good().to_string().into()] {
            let vendor = define(&Map::from_iter([(DEFINITION.to_owned(), definition)])).expect("valid");
            assert_eq!(vendor.about().name, CUSTOM);
            let fields: Vec<_> = vendor.about().account.iter().map(|field| field.name.as_ref()).collect();
            assert_eq!(fields, ["definition", "admin_key", "team", "api_url"]);
        }
    }

    #[test]
    fn a_limit_that_only_an_undo_sends_limits_nothing() {
        let mut definition = good();
        definition["create"][0]["body"] = json!({"name": "{name}", "until": {"$": "until", "as": "unix"}});
        definition["create"][0]["undo"] = json!({"call": "POST /undo", "body": {"models": {"$": "role.models"}}});
        let refused = define(&Map::from_iter([(DEFINITION.to_owned(), definition)])).err().expect("refused");
        assert_eq!(refused.problem, "role[0]: role.models is used nowhere");
    }

    #[test]
    fn lists_that_multiply_have_an_end() {
        let mut definition = good();
        let each = json!({"$each": "role.models", "do": {"model": "{item}", "peers": {"$": "role.models"}}});
        definition["create"][0]["body"]["models"] = each;
        let vendor = define(&Map::from_iter([(DEFINITION.to_owned(), definition)])).expect("valid");
        let given = json!({"admin_key": "k", "team": "t"});
        let values = Values::parse(&vendor.about().account[1..], given.as_object().expect("an object"));
        let account = vendor.account(&values.expect("valid").0).expect("an account");
        let scope = |models: usize| {
            let mut role = Values::default();
            role.insert("models", (0..models).map(|number| format!("model-{number:04}")).collect::<Vec<_>>().into());
            vendor.scope(&account, &role)
        };
        assert!(scope(100).is_ok());
        assert_eq!(scope(1000).map(drop).expect_err("twelve megabytes").field, "models");
    }

    #[test]
    fn a_base_url_that_each_account_has_for_itself_is_asked_for() {
        let mut definition = good();
        definition["base_url"] = json!({"ask": "URL of the cluster."});
        let vendor = define(&Map::from_iter([(DEFINITION.to_owned(), definition)])).expect("valid");
        let field = vendor.about().account.iter().find(|field| field.name == "base_url").expect("a field");
        assert!(field.required && field.help == "URL of the cluster.");
    }

    #[test]
    fn a_life_in_seconds_counts_as_an_expiry() {
        let mut definition = good();
        definition["create"][0]["body"] = json!({"name": "{name}", "models": {"$": "role.models"}});
        definition["create"][0]["take"]["expires_in"] = json!("/expires_in");
        define(&Map::from_iter([(DEFINITION.to_owned(), definition)])).map(drop).expect("valid");
    }

    #[test]
    fn a_token_is_asked_for_below_the_accounts_own_url() {
        let mut definition = good();
        definition["auth"] = json!({"token": {
            "url": "/oidc/v1/token", "form": true, "body": {"grant_type": "client_credentials"},
            "basic": {"user": "{account.team}", "password": "{secret.admin_key}"},
        }});
        let vendor = define(&Map::from_iter([(DEFINITION.to_owned(), definition)])).expect("valid");
        let given = json!({"admin_key": "k", "team": "t", "api_url": "https://one.example/base/"});
        let values = Values::parse(&vendor.about().account[1..], given.as_object().expect("an object"));
        let account = vendor.account(&values.expect("valid").0).expect("an account");
        assert_eq!(account.identity.text("token_url"), Some("https://one.example/base/oidc/v1/token"));
        assert_eq!(account.secret("admin_key"), "k");
    }

    #[test]
    fn an_error_says_where_in_the_definition_it_is() {
        for (pointer, value, says) in [
            ("/longest_name", json!(5), "longest_name: must be from 32"),
            ("/api_url", json!("ftp://a"), "api_url: must be an https URL"),
            (
                "/list/pages",
                json!({"cursor": {"at": "next", "parameter": "c"}}),
                "list.pages: \"next\" is not a JSON pointer",
            ),
            ("/errors", json!([]), "errors: must name"),
            ("/auth", json!({"bearer": "team"}), "auth: \"team\" is not a required secret"),
            ("/auth", json!({"none": 1}), "auth: unknown variant `none`"),
            (
                "/auth",
                json!({"token": {"url": "/oauth?a", "body": {"s": "{secret.admin_key}"}}}),
                "auth.token.url: must not hold a query",
            ),
            (
                "/auth",
                json!({"token": {"url": "/oauth", "body": {}, "basic": {"user": "{account.team}", "password": "{secret.no}"}}}),
                "auth.token.basic: secret.no is not given",
            ),
            ("/account/0/name", json!("api_url"), "account[0].name: \"api_url\" is taken"),
            ("/role/0/name", json!("Models"), "role[0].name: must be of a-z"),
            ("/role/0/type", json!("secret"), "role[0].type: a role holds no secret"),
            ("/role/0/type", json!("texts"), "role[0].type: unknown variant `texts`"),
            ("/create/0/call", json!("POST https://evil.example/x"), "create[0].call: "),
            (
                "/create/0/call",
                json!("POST /teams/{secret.admin_key}"),
                "create[0]: secret.admin_key is not given to calls",
            ),
            ("/create/0/body/name", json!("{secret.admin_key}"), "create[0]: secret.admin_key is not given to calls"),
            ("/create/0/body/name", json!("{id}"), "create[0]: id is not there"),
            ("/create/0/body/models", json!(1), "role[0]: role.models is used nowhere"),
            ("/create/0/body/until", json!({"$": "until"}), "create[0]: until needs a form of a time"),
            ("/create/0/body/until", json!(1), "create: neither sends until"),
            ("/create/0/take", json!({"id": "/id"}), "create: no step takes the secret"),
            ("/create/0/take", json!({"secret": "/key"}), "create[0]: makes something before there is an id"),
            ("/delete/0/gone", json!([{"status": 400}]), "delete[0].gone: 400 alone"),
            ("/delete/0/gone", json!([{"status": 500}]), "delete[0].gone: 500 is not"),
            ("/delete/0/call", json!("DELETE /keys/{key.user}"), "delete[0]: key.user is not there"),
            ("/list/entry", json!({"id": "/id"}), "list.entry: lacks name"),
            ("/create/0/show", json!({"a b; rm": "/x"}), "create[0].show: \"a b; rm\" must be of a-z"),
            ("/create/0/show", json!({"api_key": "/x"}), "create[0].show: \"api_key\" is taken"),
            ("/client_headers", json!({"x-team": "$(id)"}), "client_headers.x-team: must be of letters"),
            ("/client_headers", json!({"Authorization": "x"}), "client_headers: \"Authorization\" is no header"),
            ("/expiry", json!({"movable": {"shortest": "1m", "longest": "1d"}}), "extend: is missing"),
            ("/delete", json!([]), "list: has no meaning"),
        ] {
            let problem = refused(pointer, value);
            assert!(problem.starts_with(says), "{pointer}: {problem}");
        }
        for (part, pointer, value, says) in [
            ("switch", "/try", existing("try")["try"].take(), "try: has no meaning"),
            ("try", "/try/call", json!("POST /me"), "try.call: must be a GET"),
            ("try", "/try/call", json!("GET /{role.models}"), "try.call: role.models is not there"),
            ("try", "/try/query", json!({"q": "{secret.admin_key}"}), "try.query.q: secret.admin_key is not given"),
            ("try", "/try/header", json!({"name": "host"}), "try.header.name: \"host\" is no header"),
            ("try", "/try/expect", json!([{"at": "status", "is": 1}]), "try.expect.at: \"status\" is not a JSON"),
            ("try", "/try/refused", json!([{"status": 500, "says": "x"}]), "try.refused: 500 is not"),
            ("try", "/try/header", json!({"name": "x", "prefix": "a\r\n"}), "try.header.prefix: must be of letters"),
            ("try", "/try/known", json!([{"status": 401}]), "try.known: 401 alone"),
            ("switch", "/create", json!(good()["create"]), "create: has no meaning beside switch"),
            ("switch", "/role", json!(good()["role"]), "role: has no meaning beside switch"),
            ("switch", "/switch/look/take", json!({"hint": "/h"}), "switch.look.take: lacks state"),
            ("switch", "/switch/look/call", json!("POST /keys/{id}"), "switch.look.call: must change nothing"),
            ("switch", "/switch/on/call", json!("POST /keys"), "switch.on.call: does not name the key"),
            ("switch", "/switch/on/take", json!({"secret": "/key"}), "switch.on.take: \"secret\" has no meaning"),
            ("switch", "/switch/off/later", json!(true), "switch.off.later: has no meaning here"),
            ("switch", "/switch/off/when", json!("account.team"), "switch.off.when: has no meaning here"),
            ("switch", "/switch/is_dead", json!(["off"]), "switch: has one state twice"),
            ("admin", "/admin/needs", json!(["admin_key"]), "admin.needs: \"admin_key\" is no field"),
            ("admin", "/admin/create/0/body", json!({}), "admin.create: sends no name"),
            (
                "admin",
                "/admin/create/0/body",
                json!({"name": "{name}", "m": {"$": "role.models"}}),
                "admin.create[0]: role.models is not there",
            ),
            ("admin", "/admin/create/0/take", json!({"id": "/id"}), "admin.create: no step takes the secret"),
            (
                "admin",
                "/admin/create/0/take",
                json!({"id": "/id", "secret": "/key"}),
                "admin.create: neither sends until",
            ),
            ("admin", "/list", json!(null), "admin: needs delete, list"),
            ("slots", "/list", json!(good()["list"]), "list: has no meaning beside slots"),
            ("slots", "/slots/names", json!(["a"]), "slots.names: must be from 2 to 8"),
            ("slots", "/slots/names", json!(["a", "b/c"]), "slots.names: \"b/c\" must be of letters"),
            ("slots", "/slots/values", json!(["/a"]), "slots.values: must be as many as names"),
            ("slots", "/slots/regenerate/call", json!("PUT /keys/{id}"), "slots.regenerate: must be a POST"),
            ("slots", "/slots/regenerate/call", json!("POST /keys"), "slots.regenerate: does not name the slot"),
            ("slots", "/slots/read/call", json!("POST /keys"), "slots.read.call: must change nothing"),
            ("slots", "/switch", json!(existing("switch")["switch"]), "slots: has no meaning beside switch"),
        ] {
            let mut definition = existing(part);
            define(&Map::from_iter([(DEFINITION.to_owned(), definition.clone())])).map(drop).expect("valid");
            let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
            definition.pointer_mut(parent).expect(pointer)[field] = value;
            let refused = define(&Map::from_iter([(DEFINITION.to_owned(), definition)]));
            let problem = refused.err().unwrap_or_else(|| panic!("{pointer} was taken")).problem;
            assert!(problem.starts_with(says), "{pointer}: {problem}");
        }
        let text = define(&Map::from_iter([(DEFINITION.to_owned(), "{\n  \"name\": acme\n}".into())]));
        let problem = text.err().expect("not JSON").problem;
        assert!(problem.contains("line 2 column"), "{problem}");
    }
}
