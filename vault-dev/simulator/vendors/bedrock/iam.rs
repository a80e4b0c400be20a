//! IAM's actions (API 2010-05-08) as far as service-specific credentials need them, and STS's GetCallerIdentity. What is
//! asked, answered and refused is after botocore's model of them.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::query::{Query, invalid};
use super::sigv4::Refusal;
use super::{ACCOUNT, AccessKey, Bedrock, Credential, User};
use crate::book::{Record, random};
use crate::clock::Moment;

/// The service that credentials are for; IAM has others, which these are no keys for.
const SERVICE: &str = "bedrock.amazonaws.com";
/// Credentials of a user for one service.
const CREDENTIALS_MAX: usize = 2;
/// Managed policies of a user, unless the quota was raised.
const POLICIES_MAX: usize = 10;
const LONGEST_DAYS: usize = 36_600;
pub const DAY_SECONDS: i64 = 24 * 3600;
/// Managed policies that there are here. The third permits one model, the last no inference.
pub const POLICIES: [&str; 4] = [
    "arn:aws:iam::aws:policy/AmazonBedrockFullAccess",
    "arn:aws:iam::aws:policy/AmazonBedrockLimitedAccess",
    "arn:aws:iam::123456789012:policy/simulator-bedrock",
    "arn:aws:iam::aws:policy/AmazonBedrockReadOnly",
];

type Done = Result<Value, Refusal>;

impl Bedrock {
    /// One action of a caller whose signature was right.
    pub(super) fn act(&mut self, action: &str, query: Query<'_>, caller: &AccessKey) -> Done {
        match action {
            "GetCallerIdentity" => Ok(json!({
                "Arn": format!("arn:aws:iam::{ACCOUNT}:user/{}", caller.user), "UserId": "AIDASIMULATOR0ENGINE",
                "Account": ACCOUNT,
            })),
            "CreateUser" => self.create_user(query),
            "DeleteUser" => self.delete_user(query),
            "ListUsers" => self.list_users(query),
            "AttachUserPolicy" => self.attach(query),
            "DetachUserPolicy" => self.detach(query),
            "ListAttachedUserPolicies" => self.list_policies(query),
            "CreateServiceSpecificCredential" => self.create_credential(query),
            "DeleteServiceSpecificCredential" => self.delete_credential(query),
            "ListServiceSpecificCredentials" => self.list_credentials(query, caller),
            _ => Err(Refusal::new(400, "InvalidAction", format!("Could not find operation {action} here"))),
        }
    }

    fn create_user(&mut self, query: Query<'_>) -> Done {
        let (name, path) = (query.need("UserName")?, query.get("Path").unwrap_or("/"));
        if name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)) {
            return Err(invalid("userName", "must satisfy regular expression pattern: [\\w+=,.@-]+"));
        }
        if !path.starts_with('/') || !path.ends_with('/') || path.len() > 512 {
            return Err(invalid("path", "must begin and end with a slash"));
        }
        let boundary = query.get("PermissionsBoundary");
        boundary.map(policy).transpose()?;
        if self.users.get(name).is_some() {
            let message = format!("User with name {name} already exists.");
            return Err(Refusal::new(409, "EntityAlreadyExists", message));
        }
        let user = User {
            id: random("AIDA"),
            path: path.to_owned(),
            boundary: boundary.map(str::to_owned),
            policies: Vec::new(),
        };
        let record = self.users.add(Record::new(name, name, "", query.at, user));
        let mut shown = show_user(record);
        shown["PermissionsBoundary"] = record.more.boundary.as_ref().map_or(
            Value::Null,
            |arn| json!({"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn}),
        );
        Ok(json!({"User": shown}))
    }

    fn delete_user(&mut self, query: Query<'_>) -> Done {
        let user = self.user(query)?;
        let conflict =
            |what: &str| Err(Refusal::new(409, "DeleteConflict", format!("Cannot delete entity, must {what} first.")));
        if !user.more.policies.is_empty() {
            return conflict("detach all policies");
        }
        let name = user.id.clone();
        if self.keys.existing().any(|key| key.more.user == name) {
            return conflict("delete all service specific credentials");
        }
        self.users.delete(&name, query.at);
        Ok(Value::Null)
    }

    fn list_users(&self, query: Query<'_>) -> Done {
        let prefix = query.get("PathPrefix").unwrap_or("/");
        let users = self.users.listed(query.at).filter(|user| user.more.path.starts_with(prefix));
        query.page("Users", users.filter_map(|user| Some((self.users.place(&user.id)?, show_user(user)))))
    }

    fn attach(&mut self, query: Query<'_>) -> Done {
        let arn = policy(query.need("PolicyArn")?)?;
        let policies = &mut self.user(query)?.more.policies;
        if !policies.iter().any(|known| known == arn) {
            if policies.len() >= POLICIES_MAX {
                let message = format!("Cannot exceed quota for PoliciesPerUser: {POLICIES_MAX}");
                return Err(Refusal::new(409, "LimitExceeded", message));
            }
            policies.push(arn.to_owned());
        }
        Ok(Value::Null)
    }

    fn detach(&mut self, query: Query<'_>) -> Done {
        let arn = query.need("PolicyArn")?;
        let policies = &mut self.user(query)?.more.policies;
        let place = policies.iter().position(|known| known == arn);
        policies.remove(place.ok_or_else(|| unknown(&format!("Policy {arn} was not found.")))?);
        Ok(Value::Null)
    }

    fn list_policies(&mut self, query: Query<'_>) -> Done {
        let policies = self.user(query)?.more.policies.clone().into_iter().enumerate();
        let name = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        query.page(
            "AttachedPolicies",
            policies.map(|(place, arn)| (place, json!({"PolicyName": name(&arn), "PolicyArn": arn}))),
        )
    }

    fn create_credential(&mut self, query: Query<'_>) -> Done {
        let service = query.need("ServiceName")?;
        let days = query.number("CredentialAgeDays", 1, LONGEST_DAYS)?;
        let name = self.user(query)?.id.clone();
        if service != SERVICE {
            return Err(Refusal::new(404, "NotSupportedService", format!("{service} is not supported here.")));
        }
        if self.keys.existing().filter(|key| key.more.user == name).count() >= CREDENTIALS_MAX {
            let message = format!("Cannot exceed quota for ServiceSpecificCredentialsPerUser: {CREDENTIALS_MAX}");
            return Err(Refusal::new(409, "LimitExceeded", message));
        }
        let secret = format!("{}=", random("ABSK"));
        let id = random("ACCA").to_uppercase();
        let mut record = Record::new(&id, &name, &secret, whole(query.at), Credential { user: name.clone() });
        record.expires = days
            .and_then(|days| i64::try_from(days).ok())
            .map(|days| whole(query.at).after_seconds(days * DAY_SECONDS));
        let mut shown = show_credential(self.keys.add(record));
        shown["ServiceCredentialSecret"] = secret.into();
        Ok(json!({"ServiceSpecificCredential": shown}))
    }

    fn delete_credential(&mut self, query: Query<'_>) -> Done {
        let id = query.need("ServiceSpecificCredentialId")?;
        let name = self.user(query)?.id.clone();
        if self.keys.get(id).is_none_or(|key| key.more.user != name) || !self.keys.delete(id, query.at) {
            return Err(unknown(&format!("Service Specific Credential {id} does not exist.")));
        }
        Ok(Value::Null)
    }

    fn list_credentials(&mut self, query: Query<'_>, caller: &AccessKey) -> Done {
        let all = query.get("AllUsers") == Some("true");
        let user = match query.get("UserName") {
            Some(_) if all => return Err(invalid("AllUsers", "does not go with UserName")),
            Some(_) => self.user(query)?.id.clone(),
            None => caller.user.to_owned(),
        };
        let service = query.get("ServiceName").is_none_or(|service| service == SERVICE);
        let keys = self.keys.listed(query.at).filter(|key| service && (all || key.more.user == user));
        let entries = keys.filter_map(|key| Some((self.keys.place(&key.id)?, show_credential(key))));
        query.page("ServiceSpecificCredentials", entries)
    }

    fn user(&mut self, query: Query<'_>) -> Result<&mut Record<User>, Refusal> {
        let name = query.need("UserName")?;
        let missing = || unknown(&format!("The user with name {name} cannot be found."));
        self.users.get_mut(name).ok_or_else(missing)
    }
}

fn unknown(message: &str) -> Refusal {
    Refusal::new(404, "NoSuchEntity", message)
}

fn policy(arn: &str) -> Result<&str, Refusal> {
    let missing = || unknown(&format!("Policy {arn} does not exist or is not attachable."));
    POLICIES.contains(&arn).then_some(arn).ok_or_else(missing)
}

/// IAM tells whole seconds, and so it counts days from one.
const fn whole(at: Moment) -> Moment {
    Moment { ms: at.ms - at.ms.rem_euclid(1000), ..at }
}

fn date(ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn show_user(user: &Record<User>) -> Value {
    let User { id, path, .. } = &user.more;
    json!({
        "UserName": user.id, "UserId": id.to_uppercase(), "Path": path, "CreateDate": date(user.created),
        "Arn": format!("arn:aws:iam::{ACCOUNT}:user{path}{}", user.id),
    })
}

fn show_credential(key: &Record<Credential>) -> Value {
    json!({
        "ServiceSpecificCredentialId": key.id, "UserName": key.more.user, "ServiceName": SERVICE, "Status": "Active",
        "ServiceCredentialAlias": format!("{}-at-{ACCOUNT}", key.more.user), "CreateDate": date(key.created),
        "ExpirationDate": key.expires.map(date),
    })
}
