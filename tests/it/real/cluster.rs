//! Three servers as one cluster, each with a process of the plugin: one of them makes keys, whoever is asked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::bench::eventually;
use crate::support::case::Case;
use crate::support::cluster::Cluster;
use crate::support::console_keys;
use crate::support::node::Node;
use crate::support::process::is_running;
use crate::support::server::text;
use crate::support::simulator::try_key;

const HOUR: Duration = Duration::from_secs(3600);
/// More than the 90 s that a server gives a request.
const CLIENT_PATIENCE: Duration = Duration::from_secs(100);

#[tokio::test]
async fn a_key_read_at_a_standby_is_made_by_the_active_node_and_revoked_through_another_standby() {
    let case = Case::named("openai");
    let Some(cluster) = Cluster::with(&case).await else { return };
    let (active, [one, other]) = cluster.roles().await;
    let mut leases = Vec::new();
    for node in [one, other, active, one] {
        let lease = node.read("ai/creds/openai").await;
        assert_eq!(try_key(text(&lease, "base_url"), text(&lease, "api_key"), case.model).await, 200);
        leases.push(lease);
    }
    assert_eq!(cluster.simulator.created("openai").await, 4, "a key for each lease, and none beside them");
    assert!(active.plugin_is_connected_to(cluster.vendor_port()), "the active node asks the vendor");
    for standby in [one, other] {
        assert!(!standby.plugin_is_connected_to(cluster.vendor_port()), "a standby asks the vendor nothing");
    }
    for (lease, node) in leases.iter().zip([other, one, other, active]) {
        let renewed = node.renew(lease, 0).await;
        assert_eq!(renewed.status, 200, "{}", renewed.body);
        let revoked = node.revoke(lease).await;
        assert!(revoked.status < 300, "{}", revoked.body);
        assert_eq!(try_key(text(lease, "base_url"), text(lease, "api_key"), case.model).await, 401);
    }
    assert!(cluster.simulator.live("openai").await.is_empty());
    assert!(one.list("ai/keys").await.is_empty());
    for standby in [one, other] {
        assert!(!standby.plugin_is_connected_to(cluster.vendor_port()), "a standby asks the vendor nothing");
    }
}

#[tokio::test]
async fn a_standby_reads_configs_and_roles_itself_and_shows_what_was_written_elsewhere() {
    let case = Case::named("openrouter");
    let Some(cluster) = Cluster::with(&case).await else { return };
    let (active, [one, other]) = cluster.roles().await;
    for path in ["ai/roles/openrouter", "ai/config/openrouter", "ai/info"] {
        let before = (one.answered("read", path), active.answered("read", path));
        one.read(path).await;
        if active.answered("read", path) > before.1 {
            println!("SKIPPED: the standbys of this server forward reads");
            return;
        }
        assert_eq!(one.answered("read", path), before.0 + 1, "{path}");
    }
    // Written at the active node, and at a standby, which forwards it.
    for (writer, limit) in [(active, 7), (other, 8)] {
        writer.write("ai/roles/openrouter", json!({"limit": limit})).await;
        writer.write("ai/config/openrouter", json!({"allowed_roles": [format!("only-{limit}"), "openrouter"]})).await;
        for reader in [one, other] {
            eventually("a standby shows the new role and config", async || {
                let role = reader.read("ai/roles/openrouter").await;
                let config = reader.read("ai/config/openrouter").await;
                role["data"]["limit"] == limit && config["data"]["allowed_roles"][0] == format!("only-{limit}")
            })
            .await;
        }
    }
    // The credential itself: a check is a read, so a standby asks the vendor with what it has opened before.
    assert_eq!(one.read("ai/config/openrouter/check").await["data"]["ok"], true);
    active.write("ai/config/openrouter", json!({"management_key": "sk-or-v1-wrong", "verify": false})).await;
    eventually("a standby uses the new credential", async || {
        one.call("GET", "ai/config/openrouter/check", Value::Null).await.status != 200
    })
    .await;
}

#[tokio::test]
async fn a_key_read_at_a_standby_is_made_by_the_newest_role() {
    let case = Case::named("litellm");
    let Some(cluster) = Cluster::with(&case).await else { return };
    let (active, [one, other]) = cluster.roles().await;
    for minutes in 1..=10 {
        active.write("ai/roles/litellm", json!({"ttl": format!("{minutes}m")})).await;
        for node in [one, other] {
            assert_eq!(node.read("ai/creds/litellm").await["lease_duration"], minutes * 60);
        }
    }
    active.delete("ai/roles/litellm").await;
    for node in [one, other] {
        assert_eq!(node.call("GET", "ai/creds/litellm", Value::Null).await.status, 400, "no such role any more");
    }
    assert_eq!(cluster.simulator.created("litellm").await, 20, "a key for each lease, and none beside them");
}

#[tokio::test]
async fn a_standby_never_looks_for_lost_keys_and_does_so_once_it_is_active() {
    let case = Case::named("openai");
    let Some(cluster) = Cluster::with(&case).await else { return };
    for round in ["the first active node", "the one after it"] {
        if round != "the first active node" {
            step_down(&cluster, "ai/roles/openai").await;
        }
        let (active, standbys) = cluster.roles().await;
        cluster.set_clock(Duration::ZERO);
        let fault = json!({"vendor": "openai", "method": "POST", "kind": "drop_after", "times": -1});
        cluster.simulator.faults(fault).await;
        let lost = standbys[0].call("GET", "ai/creds/openai", Value::Null).await;
        assert_eq!(lost.status, 502, "{round}: {}", lost.body);
        cluster.simulator.faults(json!([])).await;
        assert_eq!(cluster.simulator.live("openai").await.len(), 1, "{round}");
        assert_eq!(cluster.rows("minting").await.len(), 1, "{round}");

        let seen = requests(&cluster).await.len();
        // A new process reads what is stored at its start, so this row is not one it has never heard of. Not every
        // server's standbys have one.
        for standby in standbys.into_iter().filter(|standby| !standby.plugin_pids().is_empty()) {
            standby.kill_plugin().await;
        }
        // Two of a sweep's turns in a test build: not what is asserted on, but a chance to see the row.
        tokio::time::sleep(Duration::from_secs(1)).await;
        for standby in standbys {
            standby.set_clock(3 * HOUR);
        }
        // Four of a sweep's turns in a test build: not what is asserted on, but a chance to do wrong.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(requests(&cluster).await.len(), seen, "{round}: nobody whose clock has moved asks the vendor");
        active.set_clock(3 * HOUR);
        eventually("the active node deletes the key", async || cluster.simulator.live("openai").await.is_empty()).await;
        eventually("its row is gone", async || active.list("ai/keys").await.is_empty()).await;
        let asked = requests(&cluster).await.split_off(seen);
        let once: BTreeSet<&String> = asked.iter().collect();
        assert_eq!(once.len(), asked.len(), "{round}: one node asks, and each thing once: {asked:#?}");
        for standby in standbys {
            assert!(!standby.plugin_is_connected_to(cluster.vendor_port()), "{round}: a standby has asked the vendor");
        }
    }
}

/// Whatever the vendors were asked so far, in order.
async fn requests(cluster: &Cluster) -> Vec<String> {
    let requests = cluster.simulator.get("/_control/requests").await;
    let text = |request: &Value| format!("{} {} {}", request["method"], request["path"], request["query"]);
    requests["requests"].as_array().expect("a list").iter().map(text).collect()
}

/// The active node gives up; waits until another one has taken over and all three take writes again.
async fn step_down(cluster: &Cluster, role: &str) {
    let before = cluster.active().await;
    cluster.nodes[before].write("sys/step-down", json!({})).await;
    eventually("another node is active", async || cluster.active().await != before).await;
    for node in &cluster.nodes {
        // Changes nothing, but is a write: a standby has to forward it.
        eventually("every node knows it", async || node.can("POST", role, json!({})).await).await;
    }
}

#[tokio::test]
async fn a_leader_that_steps_down_in_the_middle_of_a_mint_leaves_no_key_that_nobody_was_given() {
    let case = Case::named("litellm");
    let Some(cluster) = Cluster::with(&case).await else { return };
    let (active, [one, _]) = cluster.roles().await;
    lengthen_leases(active, &case).await;
    active.hold_at("mint.after-vendor");
    let handover = async {
        active.held_at("mint.after-vendor").await;
        let let_go = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            active.let_go("mint.after-vendor");
        };
        tokio::join!(step_down(&cluster, "ai/roles/litellm"), let_go);
    };
    let (reply, ()) = tokio::join!(one.call("GET", "ai/creds/litellm", Value::Null), handover);
    let given = usize::from(reply.status == 200);
    cluster
        .pass_until(Duration::ZERO, 4 * HOUR, "only what was given is left", async || {
            let alive = cluster.simulator.live("litellm").await.len();
            alive == given && cluster.nodes[0].list("ai/keys").await.len() == given
        })
        .await;
    if given == 1 {
        assert!(one.revoke(&reply.body).await.status < 300);
    }
    assert!(cluster.simulator.live("litellm").await.is_empty());
}

/// So long that three looks for a lost key come before the end of a lease that was given.
async fn lengthen_leases(active: &Node, case: &Case) {
    active.write(&format!("ai/roles/{}", case.provider), json!({"ttl": "6h", "max_ttl": "12h"})).await;
}

#[tokio::test]
async fn a_leader_killed_in_the_middle_of_fifty_mints_loses_no_key() {
    loses_no_key(&Case::named("openai"), Node::kill).await;
}

#[tokio::test]
async fn a_leader_whose_machine_dies_in_the_middle_of_fifty_mints_loses_no_key() {
    loses_no_key(&Case::named("openrouter"), Node::kill_with_plugin).await;
}

async fn loses_no_key(case: &Case, kill: fn(&mut Node)) {
    const MINTS: usize = 50;
    let Some(mut cluster) = Cluster::with(case).await else { return };
    let vendor = case.provider;
    let path = format!("ai/creds/{vendor}");
    let before = cluster.active().await;
    lengthen_leases(&cluster.nodes[before], case).await;
    // The plugin has 16 requests of an account under way at a time, so 50 mints last for seconds.
    let slow = json!({"vendor": vendor, "method": "POST", "kind": "latency", "ms": 1000, "times": -1});
    cluster.simulator.faults(slow).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mint = |number: usize| {
        let (client, path) = (cluster.nodes[number % 3].client.clone(), path.clone());
        let answered = answered.clone();
        tokio::spawn(async move {
            let asked = client.try_send("GET", &path, &client.token, &[], None);
            // A client that is forwarded to a dead node may get no answer at all.
            let reply = timeout(CLIENT_PATIENCE, asked).await.ok()?.ok()?;
            answered.fetch_add(1, Ordering::SeqCst);
            (reply.status == 200).then_some(reply.body)
        })
    };
    // One key certainly is made and stored, and its lease is not.
    cluster.nodes[before].hold_at("mint.after-live");
    let plugin = cluster.nodes[before].plugin_pids();
    let mints: Vec<_> = (0..MINTS).map(mint).collect();
    eventually("some have a key", async || answered.load(Ordering::SeqCst) >= MINTS / 5).await;
    cluster.nodes[before].held_at("mint.after-live").await;
    kill(&mut cluster.nodes[before]);
    let mut given = Vec::new();
    for mint in mints {
        given.extend(mint.await.expect("no panic"));
    }
    assert!(given.len() < MINTS, "the node died too late");
    cluster.simulator.faults(json!([])).await;
    let leader = cluster.active().await;
    assert_ne!(leader, before);
    eventually("its plugin ends with it", async || plugin.iter().all(|pid| !is_running(*pid))).await;

    let made = cluster.simulator.created(vendor).await;
    let minting = cluster.rows("minting").await;
    cluster
        .pass_until(Duration::ZERO, 4 * HOUR, "no row is unresolved", async || cluster.rows("minting").await.is_empty())
        .await;
    let (alive, rows) = (cluster.simulator.live(vendor).await, cluster.rows("live").await);
    let leased = cluster.nodes[leader].list(&format!("sys/leases/lookup/{path}")).await.len();
    println!(
        "{made} keys made, {} clients answered, {} rows unresolved, {leased} leases, {} rows live, {} keys alive",
        given.len(),
        minting.len(),
        rows.len(),
        alive.len()
    );
    assert!(rows.len() > leased, "one row at least has no lease");
    assert!(alive.is_subset(&rows), "a key without a row: {alive:?} {rows:?}");
    for lease in &given {
        assert!(alive.contains(text(lease, "key_name")), "a client's key is gone: {}", lease["data"]["key_name"]);
        assert_eq!(try_key(text(lease, "base_url"), text(lease, "api_key"), case.model).await, 200);
    }

    // Whoever survives gives keys again.
    for node in cluster.nodes.iter().enumerate().filter(|(number, _)| *number != before).map(|(_, node)| node) {
        // One that has only just learnt who leads redirects, or has no connection to the leader yet.
        let lease = std::cell::RefCell::new(None);
        eventually("a survivor gives a key", async || {
            let reply = node.call("GET", &path, Value::Null).await;
            *lease.borrow_mut() = (reply.status == 200).then_some(reply.body);
            lease.borrow().is_some()
        })
        .await;
        given.extend(lease.into_inner());
    }
    cluster.nodes[leader].write(&format!("sys/leases/revoke-prefix/{path}"), json!({"sync": true})).await;
    for lease in &given {
        assert_eq!(try_key(text(lease, "base_url"), text(lease, "api_key"), case.model).await, 401);
    }
    // What is left are keys whose lease the dead node did not live to store.
    assert_eq!(cluster.rows("live").await.len(), rows.len() - leased);
    cluster
        .pass_until(4 * HOUR, 20 * HOUR, "nothing is left", async || {
            cluster.simulator.live(vendor).await.is_empty() && cluster.nodes[leader].list("ai/keys").await.is_empty()
        })
        .await;
}

#[tokio::test]
async fn a_leader_that_dies_in_two_rotations_leaves_one_credential_and_one_served_key_that_work() {
    let case = Case::named("openai");
    let Some(mut cluster) = Cluster::with(&case).await else { return };
    let before = cluster.active().await;
    let mut role = case.role("openai");
    role["rotation_period"] = "720h".into();
    role["overlap"] = "2m".into();
    cluster.nodes[before].write("ai/static-roles/app", role).await;
    // One of the two rotations stops at each.
    let steps = ["rotate.after-pending", "rotate.proven"];
    for step in steps {
        cluster.nodes[before].hold_at(step);
    }
    let rotations = ["ai/config/openai/rotate-root", "ai/rotate-role/app"].map(|path| {
        let client = cluster.nodes[before].client.clone();
        tokio::spawn(async move {
            let asked = client.try_send("POST", path, &client.token, &[], Some(json!({})));
            timeout(CLIENT_PATIENCE, asked).await.is_ok_and(|reply| reply.is_ok_and(|reply| reply.status < 300))
        })
    });
    for step in steps {
        cluster.nodes[before].held_at(step).await;
    }
    cluster.nodes[before].kill_with_plugin();
    for rotation in rotations {
        assert!(!rotation.await.expect("no panic"), "it was cut off");
    }
    let leader = cluster.active().await;
    assert_ne!(leader, before);
    cluster
        .pass_until(Duration::ZERO, 4 * HOUR, "one of each is left", async || {
            let settled = cluster.rows("minting").await.is_empty() && cluster.rows("revoking").await.is_empty();
            let admin_keys = &cluster.simulator.state().await["openai"]["admin_keys"];
            settled && admin_keys["live_count"] == 1 && cluster.simulator.live("openai").await.len() == 2
        })
        .await;
    let served = cluster.nodes[leader].read("ai/static-creds/app").await;
    assert_eq!(try_key(text(&served, "base_url"), text(&served, "api_key"), case.model).await, 200);
    let lease = cluster.nodes[leader].read("ai/creds/openai").await;
    assert_eq!(try_key(text(&lease, "base_url"), text(&lease, "api_key"), case.model).await, 200);
    assert_eq!(cluster.simulator.live("openai").await, cluster.rows("live").await);
}

#[tokio::test]
async fn a_leader_that_dies_in_check_outs_lends_no_key_twice_and_loses_none() {
    const KEYS: usize = 4;
    let Some(mut cluster) = Cluster::with(&Case::named("openai")).await else { return };
    let before = cluster.active().await;
    let (_, [standby, _]) = cluster.roles().await;
    let set = "ai/library/team";
    standby.write("ai/config/console", console_keys::config(&cluster.simulator)).await;
    standby.write(set, json!({"config": "console", "ttl": "20m"})).await;
    for number in 1..=KEYS {
        let key = json!({"api_key": console_keys::secret(number)});
        standby.write(&format!("{set}/keys/{}", console_keys::id(number)), key).await;
    }
    let check_out = format!("{set}/check-out");
    let kept = standby.write(&check_out, json!({})).await;
    // One is cut off behind its key's being switched on, and one before.
    let mut cut_off = Vec::new();
    for step in ["mint.after-vendor", "mint.after-row"] {
        cluster.nodes[before].hold_at(step);
        let (client, path) = (cluster.nodes[before].client.clone(), check_out.clone());
        cut_off.push(tokio::spawn(async move {
            let asked = client.try_send("POST", &path, &client.token, &[], Some(json!({})));
            timeout(CLIENT_PATIENCE, asked).await.is_ok_and(|reply| reply.is_ok_and(|reply| reply.status < 300))
        }));
        cluster.nodes[before].held_at(step).await;
    }
    cluster.nodes[before].kill_with_plugin();
    for request in cut_off {
        assert!(!request.await.expect("no panic"), "it was cut off");
    }
    let leader = cluster.active().await;
    assert_ne!(leader, before);
    let out = async || console_keys::active(&cluster.simulator).await;
    let mut lent = vec![kept];
    while let reply = cluster.nodes[leader].call("POST", &check_out, json!({})).await
        && reply.status == 200
    {
        lent.push(reply.body);
    }
    assert_eq!(lent.len(), 2, "two are with those that were cut off");
    cluster
        .pass_until(Duration::ZERO, 4 * HOUR, "the others come back", async || {
            out().await.len() == lent.len() && cluster.nodes[leader].list("ai/keys").await.len() == lent.len()
        })
        .await;
    for _ in lent.len()..KEYS {
        lent.push(cluster.nodes[leader].write(&check_out, json!({})).await);
    }
    let keys: BTreeSet<&str> = lent.iter().map(|lease| text(lease, "key_id")).collect();
    assert_eq!(keys.len(), KEYS, "each is with one borrower");
    for lease in &lent {
        assert!(cluster.nodes[leader].revoke(lease).await.status < 300);
    }
    assert!(out().await.is_empty() && cluster.nodes[leader].list("ai/keys").await.is_empty());
}
