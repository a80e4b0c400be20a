//! The vendors that are plain: a file each, and a line here.

mod cloudflare;
mod databricks;
mod deepgram;
mod elevenlabs;
mod fireworks;
mod gemini;
mod google_account;
mod mistral;
mod pinecone;
mod xai;

use crate::world::Mounted;

pub fn all() -> Vec<Mounted> {
    vec![
        Mounted::plain::<xai::Xai>("xai", "/xai"),
        Mounted::plain::<mistral::Mistral>("mistral", "/mistral"),
        Mounted::plain::<elevenlabs::ElevenLabs>("elevenlabs", "/elevenlabs"),
        Mounted::plain::<deepgram::Deepgram>("deepgram", "/deepgram"),
        Mounted::plain::<cloudflare::Cloudflare>("cloudflare", "/cloudflare"),
        Mounted::plain::<fireworks::Fireworks>("fireworks", "/fireworks"),
        Mounted::plain::<pinecone::Pinecone>("pinecone", "/pinecone"),
        Mounted::plain::<databricks::Databricks>("databricks", "/databricks"),
        Mounted::plain::<gemini::Gemini>("gemini", "/gemini"),
    ]
}
