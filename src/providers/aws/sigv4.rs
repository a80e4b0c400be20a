use std::fmt::Write as _;

use reqwest::Url;
use ring::{digest, hmac};

use super::Credentials;
use crate::base::{Secret, Time};

/// Signs requests to one service in one region at one moment: AWS Signature Version 4 (IAM User Guide, "Create a signed
/// AWS API request"). AWS takes a signature for five minutes around its own clock, and a presigned one until it expires.
pub(super) struct Signer<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) at: Time,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

impl Signer<'_> {
    /// Headers that a request needs beside `headers`, which are signed too: names in lower case, no white space around
    /// the values. The host is that of the URL, as an HTTP client sends it.
    pub(super) fn headers(
        &self,
        method: &str,
        url: &Url,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Vec<(&'static str, Secret)> {
        let stamp = self.stamp();
        let mut own = vec![("x-amz-date", Secret::from(stamp.as_str()))];
        own.extend(self.credentials.session_token.clone().map(|token| ("x-amz-security-token", token)));
        let host = host(url);
        let mut signed: Vec<(&str, &str)> = vec![("host", &host)];
        signed.extend(headers.iter().copied());
        signed.extend(own.iter().map(|(name, value)| (*name, value.expose())));
        signed.sort_unstable();
        let query = url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let query = query.map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") }).collect();
        let signature = self.signature(&stamp, &canonical(method, &path(url), query, &signed, body));
        let names = names(&signed);
        let authorization = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={names}, Signature={signature}",
            self.credentials.access_key_id,
            self.scope(&stamp)
        );
        own.push(("authorization", authorization.into()));
        own
    }

    /// The query of a presigned request without a body to the root of a host, good for `seconds` from the signer's
    /// whole second on (AWS: at most 604 800): what it is to do comes first, then how it is signed, as AWS's SDKs write it.
    pub(super) fn presigned_query(&self, method: &str, host: &str, params: &[(&str, &str)], seconds: u64) -> Secret {
        let stamp = self.stamp();
        let credential = format!("{}/{}", self.credentials.access_key_id, self.scope(&stamp));
        let seconds = seconds.to_string();
        let mut all = params.to_vec();
        all.extend([
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &stamp),
            ("X-Amz-Expires", &seconds),
            ("X-Amz-SignedHeaders", "host"),
        ]);
        all.extend(self.credentials.session_token.iter().map(|token| ("X-Amz-Security-Token", token.expose())));
        let pairs: Vec<String> = all.iter().map(|(name, value)| pair(name, value)).collect();
        let mut query = pairs.join("&");
        let signature = self.signature(&stamp, &canonical(method, "/", pairs, &[("host", host)], b""));
        query.push_str(&format!("&X-Amz-Signature={signature}"));
        query.into()
    }

    fn stamp(&self) -> String {
        self.at.format("%Y%m%dT%H%M%SZ").to_string()
    }

    fn scope(&self, stamp: &str) -> String {
        format!("{}/{}/{}/aws4_request", date(stamp), self.region, self.service)
    }

    fn signature(&self, stamp: &str, canonical: &str) -> String {
        let scope = self.scope(stamp);
        let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{hash}");
        let secret = Secret::from(format!("AWS4{}", self.credentials.secret_access_key.expose()));
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        for part in [date(stamp), self.region, self.service, "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        hex(hmac::sign(&key, text.as_bytes()).as_ref())
    }
}

/// A pair of a query or a form, percent-encoded as signatures want it: unreserved characters (RFC 3986) stay.
pub(super) fn pair(name: &str, value: &str) -> String {
    format!("{}={}", encoded(name, false), encoded(value, false))
}

/// The request in the one form that both sides hash. `headers` are sorted by name, `query` holds encoded pairs.
fn canonical(method: &str, path: &str, mut query: Vec<String>, headers: &[(&str, &str)], body: &[u8]) -> String {
    // By name and then by value: "=" sorts above some characters that a name may hold.
    query.sort_unstable_by(|a, b| a.split_once('=').cmp(&b.split_once('=')));
    let mut text = format!("{method}\n{path}\n{}\n", query.join("&"));
    for (name, value) in headers {
        text.push_str(&format!("{name}:{}\n", value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")));
    }
    let hash = hex(digest::digest(&digest::SHA256, body).as_ref());
    text.push_str(&format!("\n{}\n{hash}", names(headers)));
    text
}

fn names(headers: &[(&str, &str)]) -> String {
    headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
}

/// A URL's path, encoded once more, as every service but S3 wants it.
fn path(url: &Url) -> String {
    let mut path = encoded(url.path(), true);
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    path
}

/// As the `Host` header: the port only where it is not the scheme's own.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn date(stamp: &str) -> &str {
    stamp.split_once('T').map_or(stamp, |(date, _)| date)
}

fn encoded(text: &str, keep_slash: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (keep_slash && byte == b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const ODD: &str = r##"a/b+c=%20&?~_-.!*'()<>\"{}|^`#$,:;@[]"##;
    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

    fn credentials(id: &str, secret: &str, token: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: id.to_owned(),
            secret_access_key: secret.into(),
            session_token: token.map(Secret::from),
        }
    }

    fn at(text: &str) -> Time {
        chrono::NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").expect("a time").and_utc()
    }

    fn authorization(
        signer: &Signer<'_>,
        (method, url): (&str, &str),
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> String {
        let url = url.parse().expect("a URL");
        let signed = signer.headers(method, &url, headers, body.as_bytes());
        signed.last().expect("an authorization").1.expose().to_owned()
    }

    /// The key and the moment that AWS's documents use for examples; the signatures are those that `SigV4Auth.add_auth` of
    /// botocore 1.44.8 makes of these requests, with `botocore.auth.get_current_datetime` set to the moment.
    #[test]
    fn a_signature_depends_on_the_service_the_query_and_the_body_as_botocores_does() {
        let credentials = credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None);
        let signed = |service, request, headers: &[(&'static str, &str)], body| {
            let at = at("20150830T123600Z");
            let signer = Signer { credentials: &credentials, region: "us-east-1", service, at };
            let authorization = authorization(&signer, request, headers, body);
            authorization.rsplit_once("Signature=").expect("a signature").1.to_owned()
        };
        let list = ("GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08");
        assert_eq!(
            signed("iam", list, &[("content-type", FORM)], ""),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
        assert_eq!(
            signed("service", ("GET", "https://example.amazonaws.com/"), &[], ""),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        let query = ("GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1");
        assert_eq!(
            signed("service", query, &[], ""),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        );
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(
            signed("service", ("POST", "https://example.amazonaws.com/"), &form, "Param1=value1"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
    }

    /// Made with botocore 1.44.8: `SigV4Auth.add_auth`, with `botocore.auth.get_current_datetime` set to the moment.
    #[test]
    fn posts_are_signed_as_botocore_signs_them() {
        let headers = [("content-type", FORM)];
        let check = |credentials: &Credentials, service, url, body, expected: &str| {
            let signer = Signer { credentials, region: "us-east-1", service, at: at("20261124T130807Z") };
            assert_eq!(authorization(&signer, ("POST", url), &headers, body), expected, "{url} {body}");
        };
        let plain = credentials(ID, SECRET, None);
        check(
            &plain,
            "iam",
            "https://iam.amazonaws.com/",
            "Action=ListUsers&Version=2010-05-08",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=ce2c9f02bf3ff792e4d593c2a6303450f6e94211fa75f7404df6f4e6349011a7",
        );
        check(
            &credentials("ASIAIOSFODNN7EXAMPLE", ODD, Some("AQoDYXdzEJr/+==")),
            "iam",
            "https://iam.amazonaws.com/",
            "Action=CreateUser&UserName=a%2Bb&Version=2010-05-08",
            "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20261124/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
             Signature=c328c4b1d6b188fde49c3015e4d2a6836613c03d5b6f817efb1a793f2bc09c97",
        );
        check(
            &plain,
            "sts",
            "http://127.0.0.1:5000/a%20b//c/?b=2&a=1&a=0&a-b=3&c",
            "Action=GetCallerIdentity&Version=2011-06-15",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/sts/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=eea125cc50d5432ac791c50ff1bca9f5e25ad237b2775fe0b05d717d35033ca9",
        );
    }

    #[test]
    fn a_pair_keeps_unreserved_characters_only() {
        assert_eq!(pair("a b", "\u{e4}/+~"), "a%20b=%C3%A4%2F%2B~");
    }
}
