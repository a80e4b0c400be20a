//! The vendors that are plain, a file each and a line here; and AWS, which is not.

mod acme;
mod anthropic;
mod anthropic_console;
mod azure_openai;
mod azure_openai_keys;
mod baseten;
mod bedrock;
mod bifrost;
mod cloudflare;
mod dashscope;
mod databricks;
mod databricks_oauth;
mod deepgram;
mod deepgram_grant;
mod deepinfra;
mod elevenlabs;
mod fireworks;
mod gemini;
mod google_account;
mod ibm;
mod langfuse;
mod mistral;
mod oauth2;
mod openai_realtime;
mod pinecone;
mod portkey;
mod qdrant;
mod scaleway;
mod vercel;
mod weaviate;
mod xai;
mod xai_realtime;

use crate::world::Mounted;

pub fn all() -> Vec<Mounted> {
    let mut all = vec![
        Mounted::plain::<acme::Acme>("acme", "/acme"),
        Mounted::plain::<xai::Xai>("xai", "/xai"),
        Mounted::plain::<mistral::Mistral>("mistral", "/mistral"),
        Mounted::plain::<portkey::Portkey>("portkey", "/portkey"),
        Mounted::plain::<baseten::Baseten>("baseten", "/baseten"),
        Mounted::plain::<langfuse::Langfuse>("langfuse", "/langfuse"),
        Mounted::plain::<weaviate::Weaviate>("weaviate", "/weaviate"),
        Mounted::plain::<qdrant::Qdrant>("qdrant", "/qdrant"),
        Mounted::plain::<scaleway::Scaleway>("scaleway", "/scaleway"),
        Mounted::plain::<ibm::Ibm>("ibm", "/ibm"),
        Mounted::plain::<vercel::Vercel>("vercel", "/vercel"),
        Mounted::plain::<bifrost::Bifrost>("bifrost", "/bifrost"),
        Mounted::plain::<dashscope::Dashscope>("dashscope", "/dashscope"),
        Mounted::plain::<openai_realtime::OpenAiRealtime>("openai-realtime", "/openai-realtime"),
        Mounted::plain::<xai_realtime::XaiRealtime>("xai-realtime", "/xai-realtime"),
        Mounted::plain::<deepgram_grant::DeepgramGrant>("deepgram-grant", "/deepgram-grant"),
        Mounted::plain::<oauth2::OAuth2>("oauth2", "/oauth2"),
        Mounted::plain::<deepinfra::DeepInfra>("deepinfra", "/deepinfra"),
        Mounted::plain::<databricks_oauth::Databricks>("databricks-oauth", "/databricks-oauth"),
        Mounted::plain::<azure_openai::AzureOpenAi>("azure-openai", "/azure-openai"),
        Mounted::plain::<azure_openai_keys::AzureOpenAiKeys>("azure-openai-keys", "/azure-openai-keys"),
        Mounted::plain::<anthropic::Anthropic>("anthropic", "/anthropic"),
        Mounted::plain::<anthropic_console::Console>("anthropic-console", "/anthropic-console"),
        Mounted::plain::<elevenlabs::ElevenLabs>("elevenlabs", "/elevenlabs"),
        Mounted::plain::<deepgram::Deepgram>("deepgram", "/deepgram"),
        Mounted::plain::<cloudflare::Cloudflare>("cloudflare", "/cloudflare"),
        Mounted::plain::<fireworks::Fireworks>("fireworks", "/fireworks"),
        Mounted::plain::<pinecone::Pinecone>("pinecone", "/pinecone"),
        Mounted::plain::<databricks::Databricks>("databricks", "/databricks"),
        Mounted::plain::<gemini::Gemini>("gemini", "/gemini"),
    ];
    all.extend(bedrock::mounted());
    all
}
