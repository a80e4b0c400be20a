use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Credentials, Signer};
use crate::base::{Secret, Time};

/// Longest life of a short-term key, in seconds: 12 hours (aws-bedrock-token-generator 1.1.0).
pub(super) const LONGEST: u64 = 43_200;

const HOST: &str = "bedrock.amazonaws.com";
const SERVICE: &str = "bedrock";

/// A short-term API key of Bedrock: a presigned request, made without asking anybody. It is good in one region, for
/// `seconds` (1 to `LONGEST`) from the whole second of `at` on, and no longer than what signs it. To the letter what
/// AWS's own generator makes (aws-bedrock-token-generator 1.1.0 for Python).
pub(super) fn bedrock_token(credentials: &Credentials, region: &str, at: Time, seconds: u64) -> Secret {
    let signer = Signer { credentials, region, service: SERVICE, at };
    let query = signer.presigned_query("POST", HOST, &[("Action", "CallWithBearerToken")], seconds);
    let url = Secret::from(format!("{HOST}/?{}&Version=1", query.expose()));
    format!("bedrock-api-key-{}", STANDARD.encode(url.expose())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const ODD: &str = r##"a/b+c=%20&?~_-.!*'()<>\"{}|^`#$,:;@[]"##;

    fn token(at: &str, (id, secret): (&str, &str), session: Option<&str>, region: &str, seconds: u64) -> String {
        let credentials = Credentials {
            access_key_id: id.to_owned(),
            secret_access_key: secret.into(),
            session_token: session.map(Secret::from),
        };
        let at = chrono::NaiveDateTime::parse_from_str(at, "%Y%m%dT%H%M%SZ").expect("a time").and_utc();
        // AWS's generator cuts the second off.
        let at = at + chrono::Duration::milliseconds(999);
        bedrock_token(&credentials, region, at, seconds).expose().to_owned()
    }

    /// Made with aws-bedrock-token-generator 1.1.0 over botocore 1.44.8: `_generate_token`, with
    /// `botocore.auth.get_current_datetime` set to the moment. tests/it/aws runs both on more of them.
    #[test]
    fn a_token_is_what_aws_own_generator_makes() {
        let user = "AKIAIOSFODNN7EXAMPLE";
        assert_eq!(
            token("20261124T130807Z", (user, SECRET), None, "us-east-1", LONGEST),
            "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29tLz9BY3Rpb249Q2FsbFdpdGhCZWFyZXJUb2tlbiZYLUFtei1BbGdv\
             cml0aG09QVdTNC1ITUFDLVNIQTI1NiZYLUFtei1DcmVkZW50aWFsPUFLSUFJT1NGT0ROTjdFWEFNUExFJTJGMjAyNjExMjQl\
             MkZ1cy1lYXN0LTElMkZiZWRyb2NrJTJGYXdzNF9yZXF1ZXN0JlgtQW16LURhdGU9MjAyNjExMjRUMTMwODA3WiZYLUFtei1F\
             eHBpcmVzPTQzMjAwJlgtQW16LVNpZ25lZEhlYWRlcnM9aG9zdCZYLUFtei1TaWduYXR1cmU9MTE4NjgxNmU1MmFiYmU1YjYy\
             YjJmMzk1MmZlZWEyMzBjNGZjYTI0NjU5MzkxMzUzNTZmY2VhYThkOGFiOWNmMSZWZXJzaW9uPTE="
        );
        assert_eq!(
            token("20260101T000000Z", (user, ODD), None, "eu-central-1", 1),
            "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29tLz9BY3Rpb249Q2FsbFdpdGhCZWFyZXJUb2tlbiZYLUFtei1BbGdv\
             cml0aG09QVdTNC1ITUFDLVNIQTI1NiZYLUFtei1DcmVkZW50aWFsPUFLSUFJT1NGT0ROTjdFWEFNUExFJTJGMjAyNjAxMDEl\
             MkZldS1jZW50cmFsLTElMkZiZWRyb2NrJTJGYXdzNF9yZXF1ZXN0JlgtQW16LURhdGU9MjAyNjAxMDFUMDAwMDAwWiZYLUFt\
             ei1FeHBpcmVzPTEmWC1BbXotU2lnbmVkSGVhZGVycz1ob3N0JlgtQW16LVNpZ25hdHVyZT0wMDkyNjJjNDM0OTIzYTAzNGQ1\
             NmFmODNiZDg1NmY1NmU2OTkxY2RiZGYwZDg0NDZkNTc3OTE1ZTk4YzI1ZGM2JlZlcnNpb249MQ=="
        );
        let session = format!("{ODD}AQoDYXdzEJr==");
        let temporary = ("ASIAIOSFODNN7EXAMPLE", SECRET);
        assert_eq!(
            token("20280229T235959Z", temporary, Some(&session), "us-gov-west-1", 900),
            "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29tLz9BY3Rpb249Q2FsbFdpdGhCZWFyZXJUb2tlbiZYLUFtei1BbGdv\
             cml0aG09QVdTNC1ITUFDLVNIQTI1NiZYLUFtei1DcmVkZW50aWFsPUFTSUFJT1NGT0ROTjdFWEFNUExFJTJGMjAyODAyMjkl\
             MkZ1cy1nb3Ytd2VzdC0xJTJGYmVkcm9jayUyRmF3czRfcmVxdWVzdCZYLUFtei1EYXRlPTIwMjgwMjI5VDIzNTk1OVomWC1B\
             bXotRXhwaXJlcz05MDAmWC1BbXotU2lnbmVkSGVhZGVycz1ob3N0JlgtQW16LVNlY3VyaXR5LVRva2VuPWElMkZiJTJCYyUz\
             RCUyNTIwJTI2JTNGfl8tLiUyMSUyQSUyNyUyOCUyOSUzQyUzRSU1QyUyMiU3QiU3RCU3QyU1RSU2MCUyMyUyNCUyQyUzQSUz\
             QiU0MCU1QiU1REFRb0RZWGR6RUpyJTNEJTNEJlgtQW16LVNpZ25hdHVyZT0zOTk4ODI1YTI2ZjYzZGFhMzZjNzM1NjBmZjhi\
             M2MyNDU2NzZlYWJmOGNlNmExZTI4ZWUyMGEyZWU0NDU4YzBjJlZlcnNpb249MQ=="
        );
    }
}
