//! What declared vendors are asked, and what the simulator answers in their place, against the vendors' own documents.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vault_plugin_secrets_ai::providers::{End, Expiry};

use super::stage::Stage;
use crate::support::openapi_check::{self, Spec};
use crate::support::simulator::plain_client;

/// A vendor whose document there is.
struct Paper {
    name: &'static str,
    spec: Spec,
    /// What is before the document's paths here.
    base: &'static str,
    /// How the credential is presented, `{field}` being a secret of the config, and `Basic` the pair of two.
    header: (&'static str, &'static str),
    /// Calls whose answers the document describes.
    calls: Vec<(&'static str, &'static str, Value)>,
}

impl Paper {
    /// A key's life, then the calls: what is wrong.
    async fn check(self) -> Vec<String> {
        let stage = Stage::of_example(self.name).await;
        stage.probe().await.expect("probed");
        let (_, issued) = stage.issue().await;
        if matches!(stage.vendor.about().can.expiry, Expiry::Movable(_)) {
            stage.extend(&issued.key, stage.now() + Duration::from_secs(900)).await.expect("moved");
        }
        stage.list(&stage.tag).await.expect("listed");
        if stage.vendor.about().can.end == End::Delete {
            stage.end(&issued.key).await.expect("ended");
        }
        let (count, mut problems) = self.spec.check_recorded(stage.simulator(), self.base).await;
        assert!(count > 0, "{}: no request was recorded", self.name);

        let secrets = &stage.account.secrets;
        let value = match self.header.1 {
            "Basic" => {
                let pair = ["public_key", "secret_key"].map(|name| secrets[name].expose()).join(":");
                format!("Basic {}", STANDARD.encode(pair))
            }
            form => secrets
                .iter()
                .fold(form.to_owned(), |value, (name, secret)| value.replace(&format!("{{{name}}}"), secret.expose())),
        };
        for (method, path, body) in &self.calls {
            let url = format!("{}{}{path}", stage.simulator().url, self.base);
            let mut request =
                plain_client().request(method.parse().expect("a method"), url).header(self.header.0, &value);
            if !body.is_null() {
                request = request.json(body);
            }
            let reply = request.send().await.expect("an answer");
            let status = reply.status().as_u16();
            let body: Value = reply.json().await.unwrap_or_default();
            let bare = path.split('?').next().unwrap_or_default();
            let found = self.spec.check_answer(method, bare, status, &body);
            problems.extend(found.into_iter().map(|problem| format!("answer {method} {path} {status}: {problem}")));
        }
        problems
    }
}

#[tokio::test]
async fn declared_vendors_are_asked_and_answer_as_their_documents_say() {
    let Some(folder) = openapi_check::folder() else { return };
    let papers = [
        Paper {
            name: "portkey",
            spec: openapi_check::document(&folder, "portkey-admin.openapi.json"),
            base: "/portkey/v1",
            header: ("x-portkey-api-key", "{admin_key}"),
            calls: vec![
                (
                    "POST",
                    "/api-keys/workspace/service",
                    json!({"name": "a", "scopes": [], "workspace_id": "ws-simulator-1"}),
                ),
                ("GET", "/api-keys?page_size=1", Value::Null),
            ],
        },
        Paper {
            name: "weaviate",
            spec: openapi_check::swagger(&folder, "weaviate-users.swagger.json"),
            base: "/weaviate/v1",
            header: ("authorization", "Bearer {admin_key}"),
            calls: vec![
                ("POST", "/users/db/alice", Value::Null),
                ("POST", "/users/db/alice", Value::Null),
                ("POST", "/authz/users/alice/assign", json!({"roles": ["nobody"], "userType": "db"})),
                ("GET", "/users/db", Value::Null),
                ("GET", "/users/own-info", Value::Null),
            ],
        },
        Paper {
            name: "qdrant",
            spec: openapi_check::swagger(&folder, "qdrant-cloud-database-api-key.v2.swagger.json"),
            base: "/qdrant",
            header: ("authorization", "apikey {management_key}"),
            calls: vec![(
                "GET",
                "/api/cluster/auth/v2/accounts/5a1c0c52-7a4e-4a53-9d0e-000000000001/database-api-keys",
                Value::Null,
            )],
        },
        Paper {
            name: "langfuse",
            spec: openapi_check::document(&folder, "langfuse-projects.openapi.json"),
            base: "/langfuse",
            header: ("authorization", "Basic"),
            calls: vec![
                ("POST", "/api/public/projects/simulator-project-1/apiKeys", json!({"note": "a"})),
                ("GET", "/api/public/projects/simulator-project-1/apiKeys", Value::Null),
                ("DELETE", "/api/public/projects/simulator-project-1/apiKeys/none", Value::Null),
                ("GET", "/api/public/projects/none/apiKeys", Value::Null),
            ],
        },
        Paper {
            name: "mistral",
            spec: openapi_check::document(&folder, "mistral-admin.openapi.json"),
            base: "/mistral",
            header: ("authorization", "Bearer {admin_key}"),
            calls: vec![("GET", "/v1/admin/api-keys", Value::Null)],
        },
        Paper {
            name: "openai-realtime",
            spec: openapi_check::openai(&folder),
            base: "/openai-realtime/v1",
            header: ("authorization", "Bearer {api_key}"),
            calls: vec![("POST", "/realtime/client_secrets", json!({}))],
        },
        Paper {
            name: "deepgram-grant",
            spec: openapi_check::document(&folder, "deepgram-manage.openapi.json"),
            base: "/deepgram-grant",
            header: ("authorization", "Token {api_key}"),
            calls: vec![
                ("POST", "/v1/auth/grant", json!({})),
                ("POST", "/v1/auth/grant", json!({"ttl_seconds": "soon"})),
            ],
        },
    ];
    for paper in papers {
        let name = paper.name;
        let problems = paper.check().await;
        assert!(problems.is_empty(), "{name}: {problems:#?}");
    }
}
