//! The mount as an issuer: its keys through a rotation, what strangers see, and what vendors verify.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::base::{Secret, SystemRng};
use vault_plugin_secrets_ai::engine::identity::{AssertionSigner, Signing};
use vault_plugin_secrets_ai::logical::{Error, Operation, Request, Storage};
use vault_plugin_secrets_ai::providers::{FaultKind, Signer};

use crate::support::bench::{Bench, Mounted, UUID, eventually};
use crate::support::verifier;

const ISSUER: &str = "https://vault.example.com/v1/ai";
const AUDIENCE: &str = "https://api.vendor.example";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn signing(bench: &Bench) -> Signing<'_> {
    Signing {
        mount_uuid: UUID,
        storage: bench.storage.as_ref(),
        system: bench.system.as_ref(),
        clock: bench.clock.as_ref(),
        rng: &SystemRng,
    }
}

fn caller() -> Request {
    let mut request = Request::new(Operation::Read, "creds/dev");
    request.display_name = "approle-ci".into();
    request.entity_id = "entity-1".into();
    request
}

async fn assertion(bench: &Bench) -> Secret {
    let caller = caller();
    AssertionSigner::for_role(signing(bench), "dev", &caller).sign(AUDIENCE, MINUTE).await.expect("signed")
}

/// The kid that an assertion made now is signed with.
async fn signing_kid(bench: &Bench) -> String {
    let assertion = assertion(bench).await;
    let header = assertion.expose().split('.').next().expect("a header");
    let decoded = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header).expect("base64");
    let header: Value = serde_json::from_slice(&decoded).expect("JSON");
    assert_eq!(header["typ"], "JWT");
    header["kid"].as_str().expect("a kid").to_owned()
}

async fn issuer(bench: &Bench, settings: Value) -> Mounted {
    let mount = bench.mount().await;
    let mut body = json!({"issuer": ISSUER});
    body.as_object_mut().expect("an object").extend(settings.as_object().cloned().unwrap_or_default());
    mount.write("identity/config", body).await.expect("written");
    mount
}

async fn keys(mount: &Mounted) -> Value {
    Value::Object(mount.read("identity/keys").await.expect("keys").data.expect("data"))
}

fn kid_of(keys: &Value, state: &str) -> Vec<String> {
    let keys = keys["keys"].as_array().expect("a list").iter();
    keys.filter(|key| key["state"] == state).map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

/// What a stranger reads.
async fn published(mount: &Mounted, path: &str) -> Value {
    let raw = mount.read(path).await.expect("published").raw.expect("a raw answer");
    assert_eq!((raw.status, raw.content_type.as_str()), (200, "application/json"));
    assert!(raw.cache_control.is_some_and(|control| control.contains("max-age=300")));
    serde_json::from_slice(&raw.body).expect("JSON")
}

async fn published_kids(mount: &Mounted) -> Vec<String> {
    let jwks = published(mount, ".well-known/keys").await;
    let kids =
        jwks["keys"].as_array().expect("a list").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned());
    kids.collect()
}

async fn stored_keys(bench: &Bench) -> Value {
    let text = bench.storage.get("identity/keys").await.expect("read").expect("stored");
    serde_json::from_str(text.expose()).expect("JSON")
}

async fn stored_private_halves(bench: &Bench) -> usize {
    let stored = stored_keys(bench).await;
    stored["keys"].as_array().expect("a list").iter().filter(|key| !key["private"].is_null()).count()
}

#[tokio::test]
async fn without_an_issuer_nothing_is_signed_and_everybody_is_told() {
    let bench = Bench::new();
    let mount = bench.mount().await;
    assert!(mount.read("identity/config").await.expect("no error").data.is_none());
    for path in ["identity/keys", ".well-known/openid-configuration", ".well-known/keys"] {
        let Err(error) = mount.read(path).await else { panic!("{path} answers") };
        assert!(matches!(&error, Error::NotFound(text) if text.contains("identity/config")), "{path}: {error}");
    }
    let error = mount.write("identity/rotate", json!({})).await.expect_err("refused");
    assert!(matches!(&error, Error::Invalid(text) if text.contains("issuer=https://")), "{error}");
    let fault = AssertionSigner::for_config(signing(&bench), "main").sign(AUDIENCE, MINUTE).await.expect_err("refused");
    assert!(matches!(fault.kind, FaultKind::Invalid { .. }) && fault.text.contains("identity/config"), "{fault}");
    assert!(bench.storage.list("identity/").await.expect("listed").is_empty(), "nothing was made meanwhile");
}

#[tokio::test]
async fn both_algorithms_are_verified_by_another_library_across_a_rotation() {
    for (algorithm, other) in [("ES256", "RS256"), ("RS256", "ES256")] {
        let bench = Bench::new();
        let mount = issuer(&bench, json!({"algorithm": algorithm})).await;
        let old = assertion(&bench).await;
        let before = published(&mount, ".well-known/keys").await;
        let warned = mount.write("identity/config", json!({"algorithm": other})).await.expect("written").warnings;
        assert!(warned.iter().any(|text| text.contains("goes on signing with")), "{warned:?}");
        mount.write("identity/rotate", json!({})).await.expect("published");
        mount.write("identity/rotate", json!({})).await.expect("signing");
        let new = assertion(&bench).await;
        let config = AssertionSigner::for_config(signing(&bench), "main").sign(AUDIENCE, HOUR).await.expect("signed");
        let all = [old.expose(), new.expose(), config.expose()];
        let after = published(&mount, ".well-known/keys").await;
        let claims = verifier::judge(&after, ISSUER, AUDIENCE, &all);
        for claims in &claims[..2] {
            assert_eq!(claims["sub"], format!("{UUID}:dev"), "{claims}");
            for (name, value) in [
                ("iss", ISSUER),
                ("aud", AUDIENCE),
                ("mount_uuid", UUID),
                ("role", "dev"),
                ("display_name", "approle-ci"),
                ("entity_id", "entity-1"),
                ("entity_name", "Alice"),
            ] {
                assert_eq!(claims[name], value, "{claims}");
            }
            let alias = json!({"mount_type": "approle", "mount_accessor": "auth_approle_1", "name": "alice"});
            assert_eq!(claims["aliases"], json!([alias]));
        }
        assert_eq!(claims[2]["sub"], format!("{UUID}:config:main"), "{}", claims[2]);
        assert!(claims[2]["entity_id"].is_null() && claims[2]["display_name"].is_null(), "{}", claims[2]);
        // What identity/keys prints is what an upload needs.
        let printed = keys(&mount).await;
        assert_eq!(printed["jwks"], after);
        assert_eq!(serde_json::from_str::<Value>(printed["jwks_json"].as_str().expect("text")).expect("JSON"), after);
        // And what is wrong is refused: a copy from before, another audience, another issuer, a changed word.
        let refused = |verdict: &[Value]| verdict.iter().map(|one| !one["refused"].is_null()).collect::<Vec<_>>();
        assert_eq!(refused(&verifier::judge(&before, ISSUER, AUDIENCE, &all)), [false, true, true]);
        assert_eq!(refused(&verifier::judge(&after, ISSUER, "https://evil.example", &all)), [true; 3]);
        assert_eq!(refused(&verifier::judge(&after, "https://evil.example", AUDIENCE, &all)), [true; 3]);
        let (body, signature) = new.expose().rsplit_once('.').expect("a signature");
        let (_, of_old) = old.expose().rsplit_once('.').expect("a signature");
        assert_ne!(signature, of_old);
        assert_eq!(refused(&verifier::judge(&after, ISSUER, AUDIENCE, &[&format!("{body}.{of_old}")])), [true]);
    }
}

#[tokio::test]
async fn a_published_key_signs_when_its_time_comes_and_the_old_one_stays_for_two_days() {
    let bench = Bench::new();
    let mount = issuer(&bench, json!({})).await;
    let first = signing_kid(&bench).await;
    let answer = mount.write("identity/rotate", json!({})).await.expect("published");
    let data = answer.data.expect("data");
    let second = data["kid"].as_str().expect("a kid").to_owned();
    assert_eq!(data["state"], "next");
    let at = data["activates_at"].as_str().expect("a time");
    assert!(answer.warnings.iter().any(|text| text.contains(at) && text.contains("upload")), "{:?}", answer.warnings);
    bench.advance(DAY - MINUTE).await;
    assert_eq!(
        (signing_kid(&bench).await, published_kids(&mount).await),
        (first.clone(), vec![first.clone(), second.clone()])
    );
    assert_eq!(stored_private_halves(&bench).await, 2);
    bench.advance(2 * MINUTE).await;
    // By time alone: before any tick, and on whichever node.
    assert_eq!(signing_kid(&bench).await, second);
    let shown = keys(&mount).await;
    assert_eq!((kid_of(&shown, "retired"), kid_of(&shown, "signing")), (vec![first.clone()], vec![second.clone()]));
    assert_eq!((&shown["signing_kid"], &shown["next_kid"]), (&json!(second), &Value::Null));
    assert_eq!(shown["keys"][0]["retires_at"], at);
    mount.tick().await;
    eventually("the private half that signs no more is dropped", async || stored_private_halves(&bench).await == 1)
        .await;
    bench.advance(2 * DAY - 3 * MINUTE).await;
    assert_eq!(published_kids(&mount).await, [first, second.clone()]);
    bench.advance(3 * MINUTE).await;
    assert_eq!(published_kids(&mount).await, std::slice::from_ref(&second), "the cached answer follows time");
    assert_eq!(keys(&mount).await["keys"].as_array().expect("a list").len(), 1);
    mount.tick().await;
    let count = async || stored_keys(&bench).await["keys"].as_array().expect("a list").len();
    eventually("the key is dropped", async || count().await == 1).await;
    assert_eq!(signing_kid(&bench).await, second);
}

#[tokio::test]
async fn a_second_write_signs_at_once_and_one_with_a_time_moves_the_moment() {
    let bench = Bench::new();
    let mount = issuer(&bench, json!({})).await;
    let first = signing_kid(&bench).await;
    mount.write("identity/rotate", json!({"activate_after": "2h"})).await.expect("published");
    mount.write("identity/rotate", json!({"activate_after": "5h"})).await.expect("moved");
    bench.advance(3 * HOUR).await;
    assert_eq!(signing_kid(&bench).await, first);
    let data = mount.write("identity/rotate", json!({})).await.expect("signing").data.expect("data");
    assert_eq!(data["state"], "signing");
    assert_eq!(signing_kid(&bench).await, data["kid"]);
    assert_eq!(stored_private_halves(&bench).await, 1, "the old half went with the same write");
    let data = mount.write("identity/rotate", json!({"activate_after": 0})).await.expect("at once").data.expect("data");
    assert_eq!((&data["state"], &json!(signing_kid(&bench).await)), (&json!("signing"), &data["kid"]));
    // A plugin that starts anew says the same.
    assert_eq!(keys(&bench.mount().await).await, keys(&mount).await);
}

#[tokio::test]
async fn a_key_that_does_not_sign_can_be_withdrawn() {
    let bench = Bench::new();
    let mount = issuer(&bench, json!({})).await;
    let first = signing_kid(&bench).await;
    let old = assertion(&bench).await;
    let withdraw = async |kid: &str| mount.delete(&format!("identity/keys/{kid}")).await;
    let next = async || {
        let data = mount.write("identity/rotate", json!({})).await.expect("published").data.expect("data");
        data["kid"].as_str().expect("a kid").to_owned()
    };
    // One that was published by mistake.
    let unwanted = next().await;
    withdraw(&unwanted).await.expect("withdrawn");
    assert_eq!(published_kids(&mount).await, std::slice::from_ref(&first));
    bench.advance(2 * DAY).await;
    assert_eq!(signing_kid(&bench).await, first);
    // One that leaked.
    let error = withdraw(&first).await.expect_err("it signs");
    assert!(matches!(&error, Error::Conflict(text) if text.contains("identity/rotate")), "{error}");
    let second = next().await;
    assert_eq!(next().await, second, "a second write signs with it");
    assert_eq!(published_kids(&mount).await, [first.clone(), second.clone()]);
    let jwks = published(&mount, ".well-known/keys").await;
    let taken = async |jwks: &Value| verifier::judge(jwks, ISSUER, AUDIENCE, &[old.expose()])[0]["refused"].is_null();
    assert!(taken(&jwks).await);
    let warnings = withdraw(&first).await.expect("withdrawn").warnings;
    assert!(warnings[0].contains("copy"), "{warnings:?}");
    assert_eq!(published_kids(&mount).await, std::slice::from_ref(&second));
    assert!(!taken(&published(&mount, ".well-known/keys").await).await);
    withdraw(&first).await.expect("gone already");
    assert_eq!(signing_kid(&bench).await, second);
}

#[tokio::test]
async fn rotations_without_end_are_refused_until_old_keys_are_over() {
    let bench = Bench::new();
    let mount = issuer(&bench, json!({})).await;
    for _ in 0..9 {
        mount.write("identity/rotate", json!({"activate_after": 0})).await.expect("rotated");
    }
    let kid = signing_kid(&bench).await;
    let error = mount.write("identity/rotate", json!({"activate_after": 0})).await.expect_err("refused");
    assert!(matches!(error, Error::Conflict(_)), "{error}");
    assert_eq!((signing_kid(&bench).await, published_kids(&mount).await.len()), (kid, 10));
    bench.advance(2 * DAY).await;
    mount.write("identity/rotate", json!({"activate_after": 0})).await.expect("room again");
    assert_eq!(published_kids(&mount).await.len(), 2);
}

#[tokio::test]
async fn keys_rotate_by_themselves_where_vendors_discover_them() {
    let bench = Bench::new();
    let settings = json!({"distribution": "discovery", "rotation_period": "7d", "activate_after": "24h"});
    let mount = issuer(&bench, settings).await;
    let first = signing_kid(&bench).await;
    bench.advance(6 * DAY - HOUR).await;
    mount.tick().await;
    // A test build's sweep looks twice a second.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(published_kids(&mount).await, std::slice::from_ref(&first), "not yet");
    bench.advance(HOUR + MINUTE).await;
    mount.tick().await;
    eventually("the next key is published a day before it signs", async || published_kids(&mount).await.len() == 2)
        .await;
    assert_eq!(signing_kid(&bench).await, first);
    bench.advance(DAY).await;
    let second = signing_kid(&bench).await;
    assert_ne!(second, first);
    mount.tick().await;
    eventually("one private half", async || stored_private_halves(&bench).await == 1).await;
    assert_eq!(published_kids(&mount).await, [first, second.clone()], "and no third key");
    bench.advance(6 * DAY).await;
    mount.tick().await;
    eventually("the one after it", async || published_kids(&mount).await.len() == 2).await;
    assert_eq!(published_kids(&mount).await[0], second, "the first is over");
}

#[tokio::test]
async fn an_uploaded_copy_never_meets_a_key_that_came_by_itself() {
    let bench = Bench::new();
    let mount = issuer(&bench, json!({})).await;
    let first = signing_kid(&bench).await;
    for body in [json!({"rotation_period": "30d"}), json!({"rotation_period": "30d", "distribution": "uploaded"})] {
        let error = mount.write("identity/config", body).await.expect_err("refused");
        assert!(matches!(&error, Error::Invalid(text) if text.contains("distribution=discovery")), "{error}");
    }
    let body = json!({"distribution": "discovery", "rotation_period": "30d"});
    mount.write("identity/config", body).await.expect("written");
    let error = mount.write("identity/config", json!({"distribution": "uploaded"})).await.expect_err("refused");
    assert!(matches!(&error, Error::Invalid(text) if text.contains("rotation_period=0")), "{error}");
    let body = json!({"distribution": "uploaded", "rotation_period": 0});
    mount.write("identity/config", body).await.expect("written");
    bench.advance(400 * DAY).await;
    mount.tick().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!((signing_kid(&bench).await, published_kids(&mount).await), (first.clone(), vec![first]));
}

#[tokio::test]
async fn a_next_key_that_no_copy_has_yet_is_warned_of() {
    let bench = Bench::new();
    let mount = issuer(&bench, json!({"distribution": "discovery"})).await;
    let rotated = mount.write("identity/rotate", json!({})).await.expect("rotated");
    let kid = rotated.data.expect("data")["kid"].as_str().expect("a kid").to_owned();
    let uploaded = mount.write("identity/config", json!({"distribution": "uploaded"})).await.expect("written");
    assert!(uploaded.warnings.iter().any(|text| text.contains(&kid) && text.contains("upload")), "{uploaded:?}");
}

#[tokio::test]
async fn a_standby_publishes_and_says_the_same_and_writes_nothing() {
    let bench = Bench::new();
    let active = issuer(&bench, json!({"distribution": "discovery", "rotation_period": "2d"})).await;
    bench.system.replication.store(24576, Ordering::SeqCst);
    let standby = bench.mount().await;
    assert_eq!(keys(&standby).await, keys(&active).await);
    let first = published_kids(&standby).await;
    for (path, body) in [("identity/rotate", json!({})), ("identity/config", json!({"algorithm": "RS256"}))] {
        let written = standby.write(path, body).await;
        assert!(matches!(written, Err(Error::ReadOnly)), "the host forwards {path}");
    }
    assert_eq!(standby.exists("identity/config").await.expect("an answer"), Some(true));
    let before = stored_keys(&bench).await;
    active.cleanup().await;
    bench.advance(2 * DAY).await;
    standby.tick().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(stored_keys(&bench).await, before, "a standby rotates nothing");
    // The active node publishes the next key; a standby shows it once it is told.
    bench.system.replication.store(12288, Ordering::SeqCst);
    let active = bench.mount().await;
    eventually("published", async || published_kids(&active).await.len() == 2).await;
    assert_eq!(published_kids(&standby).await, first, "from memory");
    standby.invalidate("roles/dev");
    assert_eq!(published_kids(&standby).await, first, "another record's change costs nothing");
    standby.invalidate("identity/keys");
    assert_eq!(published_kids(&standby).await, published_kids(&active).await);
}

#[tokio::test]
async fn strangers_cause_no_work() {
    let bench = Bench::new();
    let mount = bench.mount().await;
    let reads = || bench.storage.identity_reads.load(Ordering::SeqCst);
    for configured in [false, true] {
        if configured {
            mount.write("identity/config", json!({"issuer": ISSUER})).await.expect("written");
        }
        bench.storage.identity_reads.store(0, Ordering::SeqCst);
        let asked = (0..200).map(|number| {
            let path = [".well-known/openid-configuration", ".well-known/keys"][number % 2];
            mount.read(path)
        });
        for answer in futures_util::future::join_all(asked).await {
            assert_eq!(answer.is_ok(), configured);
        }
        // Two, and what the sweep's own looks are.
        assert!(reads() <= 20, "{} reads", reads());
    }
}

#[tokio::test]
async fn no_verb_but_a_read_does_anything_at_the_open_paths() {
    let bench = Bench::new();
    let mount = issuer(&bench, json!({})).await;
    let before = stored_keys(&bench).await;
    let unknown = ["resolve-path", "header", "scan"].map(|name| Operation::Unknown(name.into()));
    let known = [Operation::Create, Operation::Update, Operation::Patch, Operation::Delete, Operation::List];
    for path in [".well-known/openid-configuration", ".well-known/keys"] {
        for operation in known.iter().chain(&unknown) {
            let body = json!({"issuer": "https://evil.example", "keys": [], "path": "identity/rotate"});
            let answer = mount.send(operation.clone(), path, body).await;
            assert!(matches!(answer, Err(Error::UnsupportedOperation)), "{operation:?} {path}");
        }
        assert_eq!(mount.exists(path).await.expect("no error"), None);
        let slashed = mount.read(&format!("{path}/")).await;
        assert!(matches!(slashed, Err(Error::UnsupportedPath)), "a second spelling of {path}");
    }
    assert_eq!(stored_keys(&bench).await, before);
    let document = published(&mount, ".well-known/openid-configuration").await;
    assert_eq!(document["issuer"], ISSUER);
    assert_eq!(document["jwks_uri"], format!("{ISSUER}/.well-known/keys"));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
    assert_eq!(document["response_types_supported"], json!(["id_token"]));
    assert_eq!(document["subject_types_supported"], json!(["public"]));
}

#[tokio::test]
async fn nothing_private_is_shown_or_told() {
    for algorithm in ["ES256", "RS256"] {
        let bench = Bench::new();
        let mount = issuer(&bench, json!({"algorithm": algorithm})).await;
        let rotated = mount.write("identity/rotate", json!({})).await.expect("published");
        let mut seen = format!("{rotated:?} {:?} {:?}", rotated.data, rotated.warnings);
        for path in ["identity/config", "identity/keys"] {
            seen += &Value::Object(mount.read(path).await.expect("read").data.expect("data")).to_string();
        }
        for path in [".well-known/openid-configuration", ".well-known/keys"] {
            seen += &published(&mount, path).await.to_string();
        }
        let stored = stored_keys(&bench).await;
        for key in stored["keys"].as_array().expect("a list") {
            let private = key["private"].as_str().expect("a private half");
            for part in private.as_bytes().chunks(40) {
                let part = std::str::from_utf8(part).expect("base64");
                // The public half is in PKCS#8 too, but not in this alphabet at this offset.
                assert!(!seen.contains(part), "{algorithm}: {part}");
            }
        }
        // A record that cannot be read does not quote itself.
        let text = stored.to_string().replace("\"activates_at\"", "\"activates\"");
        let entry = vault_plugin_secrets_ai::logical::Entry {
            key: "identity/keys".into(),
            value: text.into(),
            seal_wrap: true,
        };
        bench.storage.put(entry).await.expect("stored");
        let Err(error) = mount.read("identity/keys").await else { panic!("read") };
        let fault =
            AssertionSigner::for_config(signing(&bench), "main").sign(AUDIENCE, MINUTE).await.expect_err("broken");
        let private = stored["keys"][0]["private"].as_str().expect("a private half");
        assert!(!format!("{error:?} {fault:?}").contains(&private[..30]));
        assert!(fault.kind.made_nothing());
    }
}

#[tokio::test]
async fn what_an_operator_gets_wrong_is_named_with_the_way_out() {
    let bench = Bench::new();
    let mount = bench.mount().await;
    let discovery = |period: &str, after: &str| {
        let mut body = json!({"issuer": ISSUER, "distribution": "discovery"});
        body["rotation_period"] = period.into();
        body["activate_after"] = after.into();
        body
    };
    for (body, names) in [
        (json!({}), "field \"issuer\": is required"),
        (json!({"algorithm": "RS256"}), "field \"issuer\": is required"),
        (json!({"issuer": ""}), "field \"issuer\": is required"),
        (json!({"issuer": format!("{ISSUER}/")}), "write \"https://vault.example.com/v1/ai\""),
        (json!({"issuer": "http://vault.example.com"}), "must be https"),
        (json!({"issuer": ISSUER, "algorithm": "none"}), "ES256, RS256"),
        (json!({"issuer": ISSUER, "algorithm": "HS256"}), "ES256, RS256"),
        (json!({"issuer": ISSUER, "distribution": "mail"}), "uploaded, discovery"),
        (json!({"issuer": ISSUER, "rotation_period": "30d"}), "needs distribution=discovery"),
        (discovery("1h", "1h"), "at least 24h"),
        (discovery("2d", "3d"), "field \"activate_after\": 72h is more than rotation_period"),
        (discovery("2d", "1m"), "field \"activate_after\": must be at least 1h"),
    ] {
        let error = mount.write("identity/config", body.clone()).await.expect_err("refused");
        assert!(matches!(&error, Error::Invalid(text) if text.contains(names)), "{body}: {error}");
    }
    assert!(bench.storage.list("identity/").await.expect("listed").is_empty(), "nothing was stored");
    let error = mount.send(Operation::Patch, "identity/config", json!({"issuer": ISSUER})).await.expect_err("none");
    assert!(matches!(error, Error::NotFound(_)), "{error}");
}

#[tokio::test]
async fn an_issuer_is_changed_with_a_warning_and_cleared_with_null() {
    let bench = Bench::new();
    let mount = issuer(&bench, json!({"activate_after": "2h"})).await;
    let before = keys(&mount).await["jwks"].clone();
    let moved = mount.send(Operation::Patch, "identity/config", json!({"issuer": "https://other.example"})).await;
    let warnings = moved.expect("patched").warnings;
    assert!(warnings.iter().any(|text| text.contains(ISSUER) && text.contains("refuses")), "{warnings:?}");
    let data = mount.read("identity/config").await.expect("read").data.expect("data");
    assert_eq!((&data["issuer"], &data["activate_after"]), (&json!("https://other.example"), &json!(7200)));
    assert_eq!(data["mount_uuid"], UUID);
    assert_eq!(published(&mount, ".well-known/openid-configuration").await["issuer"], "https://other.example");
    let cleared =
        mount.send(Operation::Patch, "identity/config", json!({"issuer": null, "activate_after": null})).await;
    assert!(cleared.expect("cleared").warnings[0].contains("nothing is signed"));
    assert!(matches!(mount.read(".well-known/keys").await, Err(Error::NotFound(_))));
    AssertionSigner::for_config(signing(&bench), "main").sign(AUDIENCE, MINUTE).await.expect_err("refused at once");
    mount.write("identity/config", json!({"issuer": ISSUER})).await.expect("written again");
    let data = mount.read("identity/config").await.expect("read").data.expect("data");
    assert_eq!(data["activate_after"], 86400);
    assert_eq!(keys(&mount).await["jwks"], before, "the keys were kept");
}

#[tokio::test]
async fn discovery_that_cannot_work_is_warned_of() {
    let bench = Bench::new();
    let mount = bench.mount().await;
    let body = json!({"issuer": "http://127.0.0.1:8200/v1/ai", "distribution": "discovery"});
    let warnings = mount.write("identity/config", body).await.expect("written").warnings;
    assert!(warnings.iter().any(|text| text.contains("loopback")), "{warnings:?}");
}

#[tokio::test]
async fn a_write_that_storage_refuses_leaves_the_old_key_signing() {
    let bench = Bench::new();
    let mount = issuer(&bench, json!({})).await;
    let (kid, seen) = (signing_kid(&bench).await, published_kids(&mount).await);
    *bench.storage.fail_put.lock().expect("not poisoned") = Some(0);
    mount.write("identity/rotate", json!({"activate_after": 0})).await.expect_err("disk full");
    assert_eq!((signing_kid(&bench).await, published_kids(&mount).await), (kid, seen));
    // An issuer that could not be stored is no issuer, and its key is used by the next try.
    let bench = Bench::new();
    let mount = bench.mount().await;
    *bench.storage.fail_put.lock().expect("not poisoned") = Some(1);
    mount.write("identity/config", json!({"issuer": ISSUER})).await.expect_err("disk full");
    assert!(matches!(mount.read(".well-known/keys").await, Err(Error::NotFound(_))));
    let made = stored_keys(&bench).await;
    mount.write("identity/config", json!({"issuer": ISSUER})).await.expect("written");
    assert_eq!(stored_keys(&bench).await, made);
}
