use std::sync::{Arc, OnceLock};

use super::definition::built_in;
use super::{Vendor, aws, deepinfra, federation, litellm, oauth2, openai, openrouter};

/// Every vendor, in the order of the README's table.
pub fn all() -> impl Iterator<Item = &'static Arc<dyn Vendor>> {
    VENDORS.iter().map(Listed::get)
}

/// The vendor of that name.
pub fn by_name(name: &str) -> Option<Arc<dyn Vendor>> {
    VENDORS.iter().find(|listed| listed.name == name).map(|listed| listed.get().clone())
}

/// A vendor that is made when somebody first asks for it: a process pays for the vendors that it uses, and starts in the
/// same time however many there are.
struct Listed {
    name: &'static str,
    make: fn() -> Arc<dyn Vendor>,
    made: OnceLock<Arc<dyn Vendor>>,
}

impl Listed {
    const fn new(name: &'static str, make: fn() -> Arc<dyn Vendor>) -> Self {
        Self { name, make, made: OnceLock::new() }
    }

    fn get(&self) -> &Arc<dyn Vendor> {
        self.made.get_or_init(self.make)
    }
}

/// A vendor that is data.
macro_rules! defined {
    ($name:literal) => {
        Listed::new($name, || built_in(include_str!(concat!("definitions/", $name, ".json"))))
    };
}

static VENDORS: [Listed; 36] = [
    Listed::new("openai", || Arc::new(openai::OpenAi)),
    Listed::new("openai-federated", || Arc::new(federation::openai())),
    Listed::new("anthropic", || Arc::new(federation::anthropic())),
    defined!("anthropic-console"),
    Listed::new("openrouter", || Arc::new(openrouter::OpenRouter)),
    Listed::new("openrouter-federated", || Arc::new(federation::openrouter())),
    Listed::new("litellm", || Arc::new(litellm::LiteLlm)),
    defined!("xai"),
    defined!("mistral"),
    defined!("gemini"),
    Listed::new("bedrock", || Arc::new(aws::Bedrock)),
    Listed::new("bedrock-iam", || Arc::new(aws::BedrockIam)),
    defined!("elevenlabs"),
    defined!("cloudflare"),
    defined!("deepgram"),
    defined!("deepgram-grant"),
    defined!("fireworks"),
    defined!("pinecone"),
    defined!("databricks"),
    Listed::new("databricks-oauth", || Arc::new(oauth2::OAuth2::databricks())),
    defined!("portkey"),
    Listed::new("azure-openai", || Arc::new(oauth2::OAuth2::azure_openai())),
    defined!("azure-openai-keys"),
    defined!("baseten"),
    defined!("langfuse"),
    defined!("weaviate"),
    defined!("qdrant"),
    defined!("scaleway"),
    defined!("ibm"),
    defined!("vercel"),
    defined!("bifrost"),
    Listed::new("deepinfra", || Arc::new(deepinfra::DeepInfra)),
    defined!("dashscope"),
    defined!("openai-realtime"),
    defined!("xai-realtime"),
    Listed::new("oauth2", || Arc::new(oauth2::OAuth2::any())),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The definitions are read on the way: a bad one panics with its place.
    #[test]
    fn every_vendor_is_listed_once_under_its_own_name() {
        let mut names: Vec<_> = VENDORS.iter().map(|listed| listed.name).collect();
        for listed in &VENDORS {
            assert_eq!(listed.get().about().name, listed.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), VENDORS.len());
    }
}
