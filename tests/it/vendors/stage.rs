use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use vault_plugin_secrets_ai::base::{Clock, SystemClock, SystemRng, Time, random_base32, random_hex};
use vault_plugin_secrets_ai::providers::{
    Account, Cx, End, Fault, Found, Gone, Http, Issued, KeyName, Network, Order, Page, Probe, Purpose, Ref, Scope,
    Source, Standing, Vendor, all, by_name,
};
use vault_plugin_secrets_ai::schema::{Field, Values};

use crate::support::case::{CASES, Case};
use crate::support::issuer::{SUBJECT, TestIssuer};
use crate::support::simulator::{Simulator, plain_client};

/// Vendors that are asked at a time.
const AT_ONCE: usize = 6;

/// One vendor with an account and a role, and the world that it lives in.
pub struct Stage {
    pub vendor: Arc<dyn Vendor>,
    pub name: String,
    pub label: String,
    /// What its keys are named with, as one mount's are: a real proxy has those of other tests too.
    pub tag: String,
    pub account: Account,
    pub scope: Scope,
    pub attempt: Attempt,
    /// Whether the scope holds a key to something that one request can go beyond.
    pub limited: bool,
    /// Whether the vendor's listing has pages.
    pub paged: bool,
    /// Whether a token is made without a request.
    pub offline: bool,
    /// Whether a token's life can be asked for.
    pub life_is_chosen: bool,
    /// Whether it says when a key was made.
    pub dated: bool,
    /// How coarse a key's expiry is.
    pub expiry_step_seconds: i64,
    /// What ending a key comes to.
    pub ends: Gone,
    pub world: World,
    /// Signs for whoever asks.
    pub issuer: TestIssuer,
    /// What the vendor has to be told to trust it, where it exchanges assertions.
    trust: Option<Value>,
    clock: Moved,
    http: Http,
}

/// The request that tries a key.
#[derive(Clone)]
pub struct Attempt {
    header: String,
    value: String,
    asked: Asked,
    /// What the stage's scope does not permit.
    beyond: Option<Beyond>,
    /// The vendor's status for a key that does not work.
    refused: u16,
}

#[derive(Clone)]
struct Asked {
    method: String,
    url: String,
    body: Value,
}

#[derive(Clone)]
struct Beyond {
    asked: Asked,
    /// What the vendor answers.
    status: u16,
}

/// The real time, moved along with the simulator's: a vendor may hold the moment of a request against its own.
#[derive(Default)]
struct Moved {
    clock: SystemClock,
    seconds: AtomicI64,
}

impl Clock for Moved {
    fn now(&self) -> Time {
        let moved = u64::try_from(self.seconds.load(Ordering::Relaxed)).expect("forward");
        self.clock.now() + Duration::from_secs(moved)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

impl Asked {
    fn chat(base_url: &str, model: &str) -> Self {
        Self {
            method: "POST".into(),
            url: format!("{base_url}/chat/completions"),
            body: json!({"model": model, "messages": [{"role": "user", "content": "hello"}]}),
        }
    }

    fn told(example: &Value) -> Self {
        let text = |name: &str| example[name].as_str().expect(name).to_owned();
        Self { method: text("method"), url: text("url"), body: example["body"].clone() }
    }
}

impl Beyond {
    /// A table's vendor is asked for another model, and OpenAI, whose keys are held to scopes, for its files.
    fn of_case(case: &Case, base_url: &str) -> Self {
        let chat = |status| Self { asked: Asked::chat(base_url, case.other_model.expect("another model")), status };
        match case.provider {
            "openai" => Self {
                asked: Asked { method: "GET".into(), url: format!("{base_url}/files"), body: Value::Null },
                status: 401,
            },
            "openrouter" => chat(404),
            _ => chat(403),
        }
    }

    fn told(example: &Value) -> Self {
        Self { asked: Asked::told(example), status: status(&example["status"]).expect("a status") }
    }
}

impl Attempt {
    fn chat(base_url: &str, model: &str) -> Self {
        Self {
            header: "authorization".into(),
            value: "Bearer {key}".into(),
            asked: Asked::chat(base_url, model),
            beyond: None,
            refused: 401,
        }
    }

    fn told(example: &Value) -> Self {
        let text = |name: &str| example[name].as_str().expect(name).to_owned();
        Self {
            header: text("header"),
            value: text("value"),
            asked: Asked::told(example),
            beyond: Some(&example["beyond"]).filter(|beyond| !beyond.is_null()).map(Beyond::told),
            refused: status(&example["refused"]).unwrap_or(401),
        }
    }

    /// The vendor's status. `{key}` is the key, and in a header `Basic {field:key}` a pair of which another part of the key
    /// is the first. A body that is text is a form.
    async fn with(&self, issued: &Issued, asked: &Asked) -> u16 {
        let key = issued.secret.expose();
        let value = match self.value.strip_prefix("Basic {").and_then(|rest| rest.strip_suffix(":key}")) {
            Some(field) => format!("Basic {}", STANDARD.encode(format!("{}:{key}", issued.parts[field].expose()))),
            None => self.value.replace("{key}", key),
        };
        let method = asked.method.parse().expect("a method");
        let request = plain_client().request(method, &asked.url).header(&self.header, value);
        let request = issued.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = match &asked.body {
            Value::Null => request,
            Value::String(form) => {
                request.header("content-type", "application/x-www-form-urlencoded").body(form.replace("{key}", key))
            }
            body => request.json(body),
        };
        request.send().await.expect("an answer").status().as_u16()
    }
}

pub enum World {
    Simulated(Simulator),
    /// A proxy, or a script, that does what it does.
    Real,
}

impl Stage {
    /// Every vendor that makes keys and ends them, in each way that it makes them.
    pub async fn all() -> Vec<Self> {
        let all = Self::every().await.into_iter();
        all.filter(|stage| stage.vendor.about().can.end == End::Delete).collect()
    }

    /// Every vendor whose keys are switched on and off.
    pub async fn switched() -> Vec<Self> {
        let all = Self::every().await.into_iter();
        all.filter(|stage| stage.vendor.about().can.source == Source::Activate).collect()
    }

    /// Every vendor that gives tokens.
    pub async fn tokens() -> Vec<Self> {
        let all = Self::every().await.into_iter();
        all.filter(|stage| stage.vendor.about().can.source == Source::Token).collect()
    }

    /// Those that are asked for each token.
    pub async fn asked_tokens() -> Vec<Self> {
        Self::tokens().await.into_iter().filter(|stage| !stage.offline).collect()
    }

    /// Every vendor. One that the simulator does not know fails.
    async fn every() -> Vec<Self> {
        let ways = |case: &Case| scopes(case).into_iter().map(|scope| Self::simulated(case, scope)).collect::<Vec<_>>();
        let mut stages: Vec<_> = CASES.iter().flat_map(ways).collect();
        let examples = Simulator::start().get("/_control/examples").await;
        let examples = examples.as_object().expect("examples");
        for name in all().map(|vendor| vendor.about().name.to_string()).filter(|name| case(name).is_none()) {
            assert!(examples.contains_key(&name), "the simulator has no example for {name}");
            stages.push(Self::of_example(&name).await);
        }
        stages
    }

    /// A plain vendor as the simulator says how to use it.
    pub async fn of_example(name: &str) -> Self {
        let simulator = Simulator::start();
        let example = &simulator.get("/_control/examples").await[name];
        let attempt = Attempt::told(&example["attempt"]);
        let paged = example["paged"] != json!(false);
        let mut stage = Self::new(name, &example["config"], &example["role"], attempt, World::Simulated(simulator));
        stage.paged = paged;
        stage.offline = example["offline"] == json!(true);
        stage.life_is_chosen = example["life_is_chosen"] != json!(false);
        stage.expiry_step_seconds = example["expiry_step_seconds"].as_i64().unwrap_or(1);
        stage.dated = example["dated"] != json!(false);
        stage.ends = if example["later"] == json!(true) { Gone::Later } else { Gone::Now };
        stage.trust = Some(example["trust"].clone()).filter(|trust| !trust.is_null());
        stage.trust_issuer(json!({"subject": SUBJECT})).await;
        stage
    }

    /// Whether the vendor exchanges assertions.
    pub fn is_federated(&self) -> bool {
        self.trust.is_some()
    }

    /// Has the vendor trust the stage's issuer, with these settings of its rule over the example's.
    pub async fn trust_issuer(&self, settings: Value) {
        let Some(trust) = &self.trust else { return };
        let mut order = json!({"issuer": TestIssuer::URL, "jwks": self.issuer.jwks()});
        for part in [trust, &settings] {
            order.as_object_mut().expect("an object").extend(part.as_object().cloned().expect("an object"));
        }
        self.simulator().control("federation", order).await;
    }

    /// All of `all`, and the real proxy where there is one.
    pub async fn all_and_real() -> Vec<Self> {
        Self::all().await.into_iter().chain(Self::real()).collect()
    }

    /// Asks all of them at once.
    pub async fn each<F: Future<Output = ()>>(stages: Vec<Self>, ask: impl Fn(Self) -> F) {
        futures_util::stream::iter(stages).for_each_concurrent(AT_ONCE, ask).await;
    }

    pub fn simulated(case: &Case, scope: Value) -> Self {
        let simulator = Simulator::start();
        let config = case.config(&simulator.url);
        Self::of_case(case, &config, &scope, World::Simulated(simulator))
    }

    /// A vendor that is where its config says, and that does what it does there.
    pub fn at(name: &str, config: &Value, role: &Value) -> Self {
        Self::new(name, config, role, Attempt::chat("", ""), World::Real)
    }

    /// A vendor at this URL that does what it does.
    pub fn scripted(case: &Case, url: &str, scope: Value) -> Self {
        Self::of_case(case, &case.config(url), &scope, World::Real)
    }

    fn real() -> Option<Self> {
        Self::real_with(json!({}))
    }

    /// The real proxy with more in its account.
    pub fn real_with(more: Value) -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut config = json!({"api_url": variable("LITELLM_URL")?, "master_key": variable("LITELLM_MASTER_KEY")?});
        for (name, value) in more.as_object()? {
            config[name] = value.clone();
        }
        let scope =
            json!({"models": ["fake-small"], "max_budget": 1, "budget_duration": "1mo", "metadata": {"a": "b"}});
        Some(Self::of_case(&Case::named("litellm"), &config, &scope, World::Real))
    }

    /// A plain vendor with other fields in the example's config, and another role.
    pub async fn of_example_with(name: &str, more: &Value, role: &Value) -> Self {
        let stage = Self::of_example(name).await;
        let mut config = stage.simulator().get("/_control/examples").await[name]["config"].clone();
        for (field, value) in more.as_object().expect("an object") {
            config[field] = value.clone();
        }
        // The example's URLs are those of the simulator that tells them.
        Self::new(name, &config, role, stage.attempt, stage.world)
    }

    fn of_case(case: &Case, config: &Value, scope: &Value, world: World) -> Self {
        let mut stage = Self::new(case.provider, config, scope, Attempt::chat("", ""), world);
        let base_url = &stage.account.client_url;
        stage.attempt = Attempt::chat(base_url, case.model);
        let limits = ["models", "allowed_models", "scopes"];
        stage.limited = !matches!(stage.world, World::Real) && limits.iter().any(|limit| scope.get(limit).is_some());
        stage.attempt.beyond = stage.limited.then(|| Beyond::of_case(case, base_url));
        stage
    }

    fn new(name: &str, config: &Value, scope: &Value, attempt: Attempt, world: World) -> Self {
        let vendor = by_name(name).expect("a vendor");
        let account = vendor.account(&values(&vendor.about().account, config)).expect("an account");
        let label = format!("{name} {scope} {}", if matches!(world, World::Real) { "(real)" } else { "" });
        let scope = vendor.scope(&account, &values(&vendor.about().scope, scope)).expect("a scope");
        let http = Http::new(&Network::default()).expect("a client");
        Self {
            vendor,
            name: name.to_owned(),
            label,
            tag: format!("vault-{}", random_hex(&SystemRng, 4)),
            account,
            scope,
            attempt,
            limited: true,
            paged: true,
            offline: false,
            life_is_chosen: true,
            dated: true,
            expiry_step_seconds: 1,
            ends: Gone::Now,
            world,
            issuer: TestIssuer::new(),
            trust: None,
            clock: Moved::default(),
            http,
        }
    }

    /// Another vendor of ours at the same simulator, with the same issuer.
    pub fn become_vendor(&mut self, name: &str, config: &Value, scope: &Value) {
        self.vendor = by_name(name).expect("a vendor");
        let about = self.vendor.about();
        self.account = self.vendor.account(&values(&about.account, config)).expect("an account");
        self.scope = self.vendor.scope(&self.account, &values(&about.scope, scope)).expect("a scope");
        name.clone_into(&mut self.name);
    }

    pub fn simulator(&self) -> &Simulator {
        match &self.world {
            World::Simulated(simulator) => simulator,
            World::Real => panic!("a real proxy fails on nobody's order"),
        }
    }

    /// The account's stored credential.
    pub fn credential(&self) -> &str {
        self.account.credential().expect("a stored credential").expose()
    }

    /// The same account with another credential.
    pub fn with_credential(mut self, credential: &str) -> Self {
        let field = self.account.credential_field.clone().expect("a stored credential");
        self.account.secrets.insert(field, credential.into());
        // Another client: this one may hold a token that it was given for the credential.
        self.http = Http::new(&Network::default()).expect("a client");
        self
    }

    fn cx(&self) -> Cx<'_> {
        Cx { account: &self.account, http: &self.http, clock: &self.clock, rng: &SystemRng, signer: &self.issuer }
    }

    pub fn new_name(&self) -> String {
        format!("{}-test-{}", self.tag, random_base32(&SystemRng, 16))
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Moves the time, here and at the simulator.
    pub async fn move_clock(&self, seconds: i64) {
        self.clock.seconds.store(seconds, Ordering::Relaxed);
        self.simulator().settings(json!({"clock_offset_seconds": seconds})).await;
    }

    pub async fn issue_named(&self, name: &str, until: Option<Time>) -> Result<Issued, Fault> {
        let name = KeyName(name.to_owned());
        let order = Order { purpose: Purpose::Lease, name: &name, scope: &self.scope, until, keeps: None };
        self.vendor.issue(&self.cx(), &order).await
    }

    /// Ten minutes, or the shortest life that the vendor gives a key.
    pub fn life(&self) -> Duration {
        let shortest = self.vendor.about().can.expiry.limits().map(|limits| limits.shortest);
        shortest.unwrap_or_default().max(Duration::from_secs(600))
    }

    /// Issues a key for so long; with its name.
    pub async fn try_issue(&self) -> (String, Result<Issued, Fault>) {
        let name = self.new_name();
        let until = self.vendor.about().can.expiry.limits().map(|_| self.now() + self.life());
        let issued = self.issue_named(&name, until).await;
        (name, issued)
    }

    #[track_caller]
    pub fn issue(&self) -> impl Future<Output = (String, Issued)> {
        let at = std::panic::Location::caller();
        async move {
            let (name, issued) = self.try_issue().await;
            (name, issued.unwrap_or_else(|fault| panic!("{at}: {}: {fault}", self.label)))
        }
    }

    /// Issues a key for a static role, as late as the vendor ends one.
    pub async fn issue_static(&self) -> Issued {
        let name = KeyName(self.new_name());
        let until = self.vendor.about().can.expiry.limits().map(|limits| self.now() + limits.longest);
        let order = Order { purpose: Purpose::Static, name: &name, scope: &self.scope, until, keeps: None };
        self.vendor.issue(&self.cx(), &order).await.unwrap_or_else(|fault| panic!("{}: {fault}", self.label))
    }

    /// Whether the vendor takes a key, asked with itself.
    pub async fn takes(&self, key: &Issued) -> Option<bool> {
        self.try_takes(key).await.unwrap_or_else(|fault| panic!("{}: {fault}", self.label))
    }

    pub async fn try_takes(&self, key: &Issued) -> Result<Option<bool>, Fault> {
        self.vendor.takes(&self.cx(), &key.secret).await
    }

    /// Issues an admin key; with its name.
    pub async fn issue_admin(&self) -> (String, Issued) {
        let name = KeyName(self.new_name());
        let order = Order { purpose: Purpose::Admin, name: &name, scope: &self.scope, until: None, keeps: None };
        let issued = self.vendor.issue(&self.cx(), &order).await.expect("an admin key");
        (name.0, issued)
    }

    pub async fn end(&self, key: &Ref) -> Result<Gone, Fault> {
        self.vendor.end(&self.cx(), key, None).await
    }

    /// Ends a token by its own value.
    pub async fn end_with(&self, issued: &Issued) -> Result<Gone, Fault> {
        self.vendor.end(&self.cx(), &issued.key, Some(&issued.secret)).await
    }

    pub async fn standing(&self, key: &Ref) -> Result<Standing, Fault> {
        self.vendor.standing(&self.cx(), key).await
    }

    pub async fn activate(&self, key: &Ref) -> Result<(), Fault> {
        self.vendor.activate(&self.cx(), key).await
    }

    pub async fn extend(&self, key: &Ref, until: Time) -> Result<Time, Fault> {
        self.vendor.extend(&self.cx(), key, until).await
    }

    pub async fn probe(&self) -> Result<Probe, Fault> {
        self.vendor.probe(&self.cx()).await
    }

    /// All pages, with how many there were.
    pub async fn list(&self, prefix: &str) -> Result<(Vec<Found>, usize), Fault> {
        let mut all = Vec::new();
        let mut from = None;
        for pages in 1.. {
            let page: Page = self.vendor.list(&self.cx(), prefix, from.clone()).await?;
            all.extend(page.found);
            if page.next.is_none() {
                return Ok((all, pages));
            }
            assert_ne!(page.next, from, "{}: the listing stands still", self.label);
            from = page.next;
        }
        unreachable!("an endless listing")
    }

    pub async fn named(&self, name: &str) -> Vec<Found> {
        let (found, _) = self.list(&self.tag).await.expect("a listing");
        found.into_iter().filter(|found| found.name == name).collect()
    }

    /// Somebody deletes the key, behind our back.
    pub async fn delete_by_hand(&self, key: &Ref) {
        match &self.world {
            World::Simulated(simulator) => {
                let id = key.extra.get("service_account").and_then(Value::as_str).unwrap_or(&key.id);
                simulator.delete_by_hand(&self.name, id).await;
            }
            World::Real => {
                let url = format!("{}key/delete", self.account.endpoint);
                let request = plain_client().post(url).bearer_auth(self.credential());
                let reply = request.json(&json!({"keys": [key.id]})).send().await.expect("an answer");
                assert!(reply.status().is_success());
            }
        }
    }

    /// The status that a key gets at inference; 401 where the vendor refuses it as it refuses keys.
    pub async fn try_key(&self, issued: &Issued) -> u16 {
        let status = self.attempt.with(issued, &self.attempt.asked).await;
        if status == self.attempt.refused { 401 } else { status }
    }

    /// The status of what the key's scope does not permit, and the one that it should be; none where keys have no limits
    /// here.
    pub async fn try_beyond(&self, issued: &Issued) -> Option<(u16, u16)> {
        let beyond = self.attempt.beyond.as_ref()?;
        Some((self.attempt.with(issued, &beyond.asked).await, beyond.status))
    }

    /// Orders a fault for requests that create a key.
    pub async fn fail_creation(&self, fault: Value) {
        let path = match (self.name.as_str(), self.scope.0.text("mode")) {
            ("openai", Some("service_account")) => "/service_accounts",
            ("openai", _) => "/api_keys",
            ("openrouter", _) => "/keys",
            ("litellm", _) => "/key/generate",
            // And not where its credential is exchanged for a token.
            ("ibm", _) => "/apikeys",
            ("pinecone", _) => "/api-keys",
            ("databricks", _) => "/on-behalf-of/tokens",
            ("gemini", _) => "/keys",
            _ => "",
        };
        let mut which = json!({"method": "POST", "path_contains": path});
        if self.name == "bedrock-iam" {
            which["body_contains"] = "Action=CreateUser".into();
        }
        self.fail(which, fault).await;
    }

    /// Orders a fault for every request.
    pub async fn fail_all(&self, fault: Value) {
        self.fail(json!({}), fault).await;
    }

    async fn fail(&self, which: Value, fault: Value) {
        // Whose exchange it is, where the simulator has one vendor for two of ours.
        let vendor = self.trust.as_ref().and_then(|trust| trust["vendor"].as_str()).unwrap_or(&self.name);
        let mut order = Map::from_iter([("vendor".to_owned(), Value::from(vendor))]);
        for part in [which, fault] {
            order.extend(part.as_object().cloned().expect("an object"));
        }
        self.simulator().faults(Value::Object(order)).await;
    }

    pub async fn no_faults(&self) {
        self.simulator().faults(json!([])).await;
    }
}

fn status(told: &Value) -> Option<u16> {
    told.as_u64().and_then(|status| status.try_into().ok())
}

pub fn case(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.provider == name)
}

/// Each way in which a vendor makes keys.
fn scopes(case: &Case) -> Vec<Value> {
    let role = case.role("unused");
    match case.provider {
        "openai" => vec![role, json!({"mode": "service_account", "allow_unscoped": true})],
        "openrouter" => vec![role, json!({"limit": 1, "limit_reset": "daily"})],
        _ => vec![role],
    }
}

fn values(fields: &[Field], body: &Value) -> Values {
    Values::parse(fields, body.as_object().expect("an object")).expect("valid").0
}
