use reqwest::Url;

use super::Credentials;
use super::credentials::SECRET_ACCESS_KEY;
use super::endpoint::{Partition, is_unknown};
use crate::providers::Account;
use crate::providers::account::base_url;
use crate::schema::{Field, Invalid, Kind, Values};

/// What every account at AWS has, parsed.
pub(super) struct Base {
    /// Where IAM is; STS goes by it (`Endpoint`).
    pub(super) endpoint: Url,
    pub(super) region: String,
    pub(super) credentials: Credentials,
}

/// Fields of a config, those of `Credentials` included. The URL is called `api_url` as every vendor's: a write that changes
/// it has to bring the credential.
pub(super) fn fields() -> Vec<Field> {
    let mut fields = Credentials::fields().to_vec();
    fields.extend([
        Field::new("region", Kind::Text, "Region whose Bedrock the keys are for, such as eu-central-1.").required(),
        Field::new("api_url", Kind::Url, "URL of IAM; one that is not AWS's own serves STS too, as an emulator does.")
            .default("https://iam.amazonaws.com, or that of the region's partition"),
    ]);
    fields
}

impl Base {
    pub(super) fn read(values: &Values) -> Result<Self, Invalid> {
        let region = values.need("region")?;
        let partition = Partition::of_region(region).ok_or_else(|| {
            Invalid::new("region", "is not the name of a region of AWS or of its US government partition")
        })?;
        let endpoint = base_url("api_url", values.text("api_url").unwrap_or(partition.iam))?;
        if is_unknown(&endpoint) {
            let problem =
                format!("is a host of AWS whose STS is not known here: leave it out, or name {}", partition.iam);
            return Err(Invalid::new("api_url", problem));
        }
        Ok(Self { endpoint, region: region.to_owned(), credentials: Credentials::read(values)? })
    }

    /// The account of that identity. All parts of the credentials are among its secrets, the id of the access key too:
    /// another key is no other account.
    pub(super) fn account(self, identity: Values) -> Account {
        // What clients set as their base URL (botocore 1.44.8, `bedrock-runtime`).
        let client_url = format!("https://bedrock-runtime.{}.amazonaws.com", self.region);
        let credential_field = Some(SECRET_ACCESS_KEY.to_owned());
        Account {
            endpoint: self.endpoint,
            client_url,
            identity,
            apart: Vec::new(),
            secrets: self.credentials.into_secrets(),
            credential_field,
        }
    }
}
