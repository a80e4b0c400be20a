//! How long a request takes, beside the server's own ones of the same rounds.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::quantile;
use crate::support::case::CASES;
use crate::support::server::Stage;
use crate::support::simulator::Reply;
use crate::vendor::Direct;

const CLIENTS: usize = 8;
/// Not counted: connections are made, accounts opened, caches filled.
const WARM_UP: usize = 5;
/// What everything is measured against: one lease of the server's own, without a plugin.
const UNIT: &str = "kv v1 with leases, read";

/// Durations by kind of request, in the order of a round.
#[derive(Default)]
struct Times(Vec<(String, Vec<Duration>)>);

impl Times {
    async fn take<T>(&mut self, kind: impl Into<String>, request: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let answer = request.await;
        self.of(kind.into()).push(begun.elapsed());
        answer
    }

    fn of(&mut self, kind: String) -> &mut Vec<Duration> {
        let at = self.0.iter().position(|(known, _)| *known == kind).unwrap_or_else(|| {
            self.0.push((kind, Vec::new()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    fn merge(&mut self, other: Self) {
        for (kind, times) in other.0 {
            self.of(kind).extend(times);
        }
    }
}

/// The table of one server: one client alone, then eight at a time.
pub async fn latency(stage: &Stage, (alone, of_eight): (usize, usize)) {
    prepare(stage).await;
    let directs: Vec<Direct> = CASES.iter().map(|case| Direct::new(case, &stage.simulator)).collect();
    rounds(stage, &directs, 0, WARM_UP).await;
    let calls = calls(stage).await;
    let one = rounds(stage, &directs, 0, alone).await;
    let together = (0..CLIENTS).map(|client| rounds(stage, &directs, client, of_eight));
    let mut eight = Times::default();
    for times in futures_util::future::join_all(together).await {
        eight.merge(times);
    }
    print(one, eight);
    println!("\nCalls to the vendor for one key: {calls}.");
}

async fn prepare(stage: &Stage) {
    for (mount, leases) in [("kv", "false"), ("leased", "true")] {
        let options = json!({"type": "kv", "options": {"version": "1", "leased_passthrough": leases}});
        stage.server.write(&format!("sys/mounts/{mount}"), options).await;
        stage.server.write(&format!("{mount}/a"), json!({"value": "v".repeat(50), "ttl": "10m"})).await;
    }
    for case in &CASES {
        stage.configure("ai", case).await;
    }
}

/// How many requests each vendor gets for one key.
async fn calls(stage: &Stage) -> String {
    let mut texts = Vec::new();
    for case in &CASES {
        let before = admin_requests(stage).await;
        let lease = stage.creds(case).await;
        let calls = admin_requests(stage).await - before;
        texts.push(format!("{} {calls}", case.provider));
        done(stage.server.revoke(&lease).await);
    }
    texts.join(", ")
}

async fn admin_requests(stage: &Stage) -> u64 {
    let state = stage.simulator.state().await;
    state["requests"].as_object().expect("counts").values().filter_map(Value::as_u64).sum()
}

/// All kinds in turn, again and again, so that a drift of the machine is in all of them alike.
async fn rounds(stage: &Stage, directs: &[Direct], client: usize, count: usize) -> Times {
    let mut times = Times::default();
    for _ in 0..count {
        own(stage, &mut times).await;
        // Clients that start alike would ask for the same at the same time.
        for step in 0..CASES.len() {
            let at = (client + step) % CASES.len();
            of_vendor(stage, at, &directs[at], &mut times).await;
        }
    }
    times
}

async fn own(stage: &Stage, times: &mut Times) {
    let server = &stage.server;
    times.take("sys/health, read", server.read("sys/health")).await;
    times.take("kv v1, read", server.read("kv/a")).await;
    let lease = times.take(UNIT, server.read("leased/a")).await;
    // Its renewal is left out: OpenBao 2.7.2 panics in it.
    done(times.take("kv v1 with leases, revoke", server.revoke(&lease)).await);
    times.take("ai/roles, read", server.read("ai/roles/openai")).await;
}

async fn of_vendor(stage: &Stage, at: usize, direct: &Direct, times: &mut Times) {
    let case = &CASES[at];
    let name = case.provider;
    let issued = times.take(format!("{name} without Vault, create"), direct.issue()).await;
    let lease = times.take(format!("{name}, ai/creds"), stage.creds(case)).await;
    done(times.take(format!("{name}, renew"), stage.server.renew(&lease, 0)).await);
    times.take(format!("{name} without Vault, delete"), direct.end(&issued.key)).await;
    done(times.take(format!("{name}, revoke"), stage.server.revoke(&lease)).await);
}

#[track_caller]
fn done(reply: Reply) {
    assert!(reply.status < 300, "{}", reply.body);
}

fn print(mut one: Times, mut eight: Times) {
    println!("| request | 1 client: p50 µs | p99 µs | ratio | {CLIENTS} clients: p50 µs | p99 µs | ratio |");
    println!("|---|---|---|---|---|---|---|");
    let unit = |times: &mut Times| quantile(times.of(UNIT.into()), 0.5).as_secs_f64();
    let units = (unit(&mut one), unit(&mut eight));
    for (kind, times) in &mut one.0 {
        let columns = |times: &mut [Duration], unit: f64| {
            let (p50, p99) = (quantile(times, 0.5), quantile(times, 0.99));
            format!("{} | {} | {:.1}", p50.as_micros(), p99.as_micros(), p50.as_secs_f64() / unit)
        };
        println!("| {kind} | {} | {} |", columns(times, units.0), columns(eight.of(kind.clone()), units.1));
    }
}
