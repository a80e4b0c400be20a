//! The control API under `/_control`: what a test or a curious user may see and bend. No authentication: loopback only.

use serde_json::{Map, Value, json};

use crate::book::random;
use crate::clock::{Settings, rfc3339};
use crate::faults::Faults;
use crate::federation::Rule;
use crate::request::{Body, Request};
use crate::router::Answer;
use crate::world::World;

pub const PREFIX: &str = "/_control";

pub fn respond(world: &mut World, request: &Request) -> Answer {
    let path = request.path.strip_prefix(PREFIX).unwrap_or_default();
    let outcome = match (request.method.as_str(), path) {
        ("GET", "" | "/") => Ok(about(world)),
        ("GET", "/state") => Ok(state(world)),
        ("GET", "/examples") => Ok(examples(world, request)),
        ("GET", "/requests") => Ok(json!({"requests": world.records.last()})),
        ("GET", "/faults") => Ok(json!({"faults": world.faults.list()})),
        ("POST", "/faults") => set_faults(world, request),
        ("DELETE", "/faults") => {
            world.faults = Faults::default();
            Ok(json!({"faults": []}))
        }
        ("GET", "/settings") => Ok(json!(world.settings)),
        ("POST", "/settings") => change_settings(world, request),
        ("POST", "/reset") => {
            *world = World::new(world.credentials.clone());
            Ok(state(world))
        }
        ("POST", "/delete_key") => delete_key(world, request),
        ("POST", "/federation") => trust(world, request),
        _ => return Answer::new(404, json!({"error": format!("no {} {path} in the control API", request.method)})),
    };
    match outcome {
        Ok(body) => Answer::ok(body),
        Err(message) => Answer::new(400, json!({"error": message})),
    }
}

fn about(world: &World) -> Value {
    let vendors = world.vendors.iter().map(|mounted| (mounted.name.to_owned(), json!(mounted.prefix)));
    json!({"prefixes": vendors.collect::<Map<_, _>>(), "admin_credentials": world.credentials, "settings": world.settings})
}

/// For each plain vendor a config and a role as the engine takes them, and the request that tries a key.
fn examples(world: &World, request: &Request) -> Value {
    let url = format!("http://{}", request.header("host").unwrap_or_default());
    let examples = world.vendors.iter().flat_map(|mounted| {
        let named = |(after, example)| (format!("{}{after}", mounted.name), example);
        mounted.vendor.examples(&url).into_iter().map(named)
    });
    Value::Object(examples.collect())
}

fn state(world: &mut World) -> Value {
    let at = world.now();
    let vendors = world.vendors.iter_mut().map(|mounted| (mounted.name.to_owned(), mounted.vendor.snapshot(at)));
    let mut state: Map<_, _> = vendors.collect();
    state.insert("requests".into(), json!(world.records.counts()));
    state.insert("settings".into(), json!(world.settings));
    state.insert("now".into(), json!(rfc3339(at.ms)));
    Value::Object(state)
}

fn set_faults(world: &mut World, request: &Request) -> Result<Value, String> {
    world.faults = Faults::parse(given(request)?)?;
    Ok(json!({"faults": world.faults.list()}))
}

/// Settings that are not named stay as they are.
fn change_settings(world: &mut World, request: &Request) -> Result<Value, String> {
    let Value::Object(changes) = given(request)? else {
        return Err("expected an object of settings".into());
    };
    let Value::Object(mut settings) = json!(world.settings) else {
        return Err("settings are no object".into());
    };
    settings.extend(changes.clone());
    let settings: Settings = serde_json::from_value(Value::Object(settings)).map_err(|error| error.to_string())?;
    if settings.page_size_max == Some(0) {
        return Err("page_size_max must be at least 1".into());
    }
    world.settings = settings;
    Ok(json!(world.settings))
}

fn delete_key(world: &mut World, request: &Request) -> Result<Value, String> {
    let given = given(request)?;
    let text = |name: &str| given.get(name).and_then(Value::as_str).ok_or_else(|| format!("{name} is missing"));
    let (name, id, at) = (text("vendor")?, text("id")?, world.now());
    let mounted = world.vendors.iter_mut().find(|mounted| mounted.name == name);
    let mounted = mounted.ok_or_else(|| format!("no vendor {name:?}"))?;
    Ok(json!({"deleted": mounted.vendor.delete_by_hand(id, at)}))
}

/// An issuer and a rule of a vendor that has no API for them, or for a test that does not care.
fn trust(world: &mut World, request: &Request) -> Result<Value, String> {
    let given = given(request)?;
    let name = given["vendor"].as_str().ok_or("vendor is missing")?;
    let mounted = world.vendors.iter_mut().find(|mounted| mounted.name == name);
    let federation = mounted.and_then(|mounted| mounted.vendor.federation());
    let federation = federation.ok_or_else(|| format!("vendor {name:?} exchanges no assertions"))?;
    let rule = Rule::read(given, &random("rule-"))?;
    let id = rule.id.clone();
    federation.trust(rule);
    Ok(json!({"id": id}))
}

fn given(request: &Request) -> Result<&Value, String> {
    match &request.body {
        Body::Json(body) => Ok(body),
        Body::None | Body::Malformed | Body::Form(_) => Err("expected a JSON body".into()),
    }
}
