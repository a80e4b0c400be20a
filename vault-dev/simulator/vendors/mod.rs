//! The vendors that are plain: a file each, and a line here.

mod azure_openai;
mod databricks_oauth;
mod deepinfra;
mod mistral;
mod oauth2;
mod xai;

use crate::world::Mounted;

pub fn all() -> Vec<Mounted> {
    vec![
        Mounted::plain::<xai::Xai>("xai", "/xai"),
        Mounted::plain::<mistral::Mistral>("mistral", "/mistral"),
        Mounted::plain::<oauth2::OAuth2>("oauth2", "/oauth2"),
        Mounted::plain::<deepinfra::DeepInfra>("deepinfra", "/deepinfra"),
        Mounted::plain::<databricks_oauth::Databricks>("databricks-oauth", "/databricks-oauth"),
        Mounted::plain::<azure_openai::AzureOpenAi>("azure-openai", "/azure-openai"),
    ]
}
