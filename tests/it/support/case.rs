//! The vendors as the tests meet them: one entry each, gated by what the vendor declares.

use serde_json::{Value, json};
use vault_plugin_secrets_ai::providers::{Expiry, by_name};

use super::simulator::{LITELLM, OPENAI, OPENROUTER};

/// A vendor at the simulator, ready to be configured.
#[derive(Clone, Copy)]
pub struct Case {
    pub provider: &'static str,
    /// Below the simulator's URL.
    api_path: &'static str,
    admin_field: &'static str,
    pub admin_key: &'static str,
    pub model: &'static str,
    pub other_model: Option<&'static str>,
}

pub const CASES: [Case; 3] = [
    Case {
        provider: "openai",
        api_path: "/openai/v1",
        admin_field: "admin_key",
        admin_key: OPENAI,
        model: "gpt-4o-mini",
        other_model: None,
    },
    Case {
        provider: "openrouter",
        api_path: "/openrouter/api/v1",
        admin_field: "management_key",
        admin_key: OPENROUTER,
        model: "openai/gpt-4o-mini",
        other_model: Some("anthropic/claude-sonnet-4.5"),
    },
    Case {
        provider: "litellm",
        api_path: "/litellm",
        admin_field: "master_key",
        admin_key: LITELLM,
        model: "fake-small",
        other_model: Some("fake-big"),
    },
];

impl Case {
    pub fn named(provider: &str) -> Self {
        CASES.into_iter().find(|case| case.provider == provider).expect("a vendor of the table")
    }

    /// Whether the vendor's own expiry follows a renewal.
    pub fn expiry_moves(&self) -> bool {
        matches!(by_name(self.provider).expect("a vendor").about().can.expiry, Expiry::Movable(_))
    }

    /// The body of a config.
    pub fn config(&self, simulator_url: &str) -> Value {
        let mut body = json!({"provider": self.provider, "api_url": format!("{simulator_url}{}", self.api_path)});
        body[self.admin_field] = self.admin_key.into();
        if self.provider == "openai" {
            body["project_id"] = "proj_sim1".into();
        }
        body
    }

    /// The body of a role.
    pub fn role(&self, config: &str) -> Value {
        match self.provider {
            "openai" => json!({"config": config, "service_account_id": "svc_sim1", "scopes": ["api.model.request"]}),
            "openrouter" => json!({"config": config, "allowed_models": [self.model], "limit": 5}),
            _ => json!({"config": config, "models": [self.model], "max_budget": 5}),
        }
    }
}
