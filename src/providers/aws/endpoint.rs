use reqwest::Url;

/// A service with a Query API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Iam,
    Sts,
}

impl Service {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
        }
    }

    /// Of its API (botocore 1.44.8, `iam/2010-05-08` and `sts/2011-06-15`).
    pub(super) const fn version(self) -> &'static str {
        match self {
            Self::Iam => "2010-05-08",
            Self::Sts => "2011-06-15",
        }
    }
}

/// A part of AWS with accounts of its own and one IAM (botocore 1.44.8, `endpoints.json`). Bedrock's other parts, the
/// isolated ones and the European one, are not on the open internet or have other domains: nobody has tried them here.
pub(super) struct Partition {
    pub(super) iam: &'static str,
    sts: &'static str,
    /// The region that requests to both are signed for.
    region: &'static str,
}

const PUBLIC: Partition =
    Partition { iam: "https://iam.amazonaws.com", sts: "https://sts.us-east-1.amazonaws.com", region: "us-east-1" };
const GOVERNMENT: Partition = Partition {
    iam: "https://iam.us-gov.amazonaws.com",
    sts: "https://sts.us-gov-west-1.amazonaws.com",
    region: "us-gov-west-1",
};

impl Partition {
    /// The part that a region belongs to; none where it is not supported, or is not the name of a region.
    pub(super) fn of_region(region: &str) -> Option<&'static Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let words: Vec<&str> = region.split('-').collect();
        let foreign = ["cn-", "eusc-", "us-iso", "eu-iso"].iter().any(|prefix| region.starts_with(prefix));
        if !region.chars().all(plain) || words.len() < 3 || words.iter().any(|word| word.is_empty()) || foreign {
            return None;
        }
        Some(if region.starts_with("us-gov-") { &GOVERNMENT } else { &PUBLIC })
    }
}

/// Where requests to a service go and what they are signed for.
pub(super) struct Endpoint {
    pub(super) url: Url,
    pub(super) service: Service,
    pub(super) region: &'static str,
}

impl Endpoint {
    /// STS has a host of its own beside AWS's IAM. Anywhere else, as at an emulator, one URL serves both.
    pub(super) fn of(service: Service, iam: &Url) -> Self {
        let at_aws = [&PUBLIC, &GOVERNMENT].into_iter().find(|partition| is_at(iam, partition.iam));
        let region = at_aws.map_or(PUBLIC.region, |partition| partition.region);
        let sts = at_aws.filter(|_| service == Service::Sts).and_then(|partition| partition.sts.parse().ok());
        let mut url = sts.unwrap_or_else(|| iam.clone());
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Self { url, service, region }
    }
}

/// Whether it is a host of AWS's own other than a partition's IAM: STS would not be found beside it, and neither would the
/// region that it wants signed.
pub(super) fn is_unknown(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let own =
        [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"].iter().any(|end| host.ends_with(end));
    own && ![&PUBLIC, &GOVERNMENT].iter().any(|partition| is_at(url, partition.iam))
}

fn is_at(url: &Url, base: &str) -> bool {
    base.parse::<Url>().is_ok_and(|base| base.origin() == url.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_a_name_in_a_partition_that_is_known() {
        for (region, iam) in [("eu-central-1", PUBLIC.iam), ("us-gov-east-1", GOVERNMENT.iam)] {
            assert_eq!(Partition::of_region(region).map(|partition| partition.iam), Some(iam), "{region}");
        }
        for bad in
            ["", "us", "us-east", "us--1", "cn-north-1", "eusc-de-east-1", "us-iso-east-1", "a.b/c-d-e", "US-EAST-1"]
        {
            assert!(Partition::of_region(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn other_hosts_of_aws_are_not_taken_for_emulators() {
        for (url, unknown) in [
            (PUBLIC.iam, false),
            (GOVERNMENT.iam, false),
            ("http://127.0.0.1:5000", false),
            ("https://iam.amazonaws.com:8443", true),
            ("https://iam-fips.amazonaws.com", true),
            ("https://iam.global.api.aws", true),
        ] {
            assert_eq!(is_unknown(&url.parse().expect("a URL")), unknown, "{url}");
        }
    }

    #[test]
    fn sts_is_beside_iam_or_at_the_same_place() {
        let of = |service, iam: &str| {
            let endpoint = Endpoint::of(service, &iam.parse().expect("a URL"));
            (endpoint.url.to_string(), endpoint.region)
        };
        assert_eq!(of(Service::Iam, PUBLIC.iam), ("https://iam.amazonaws.com/".into(), "us-east-1"));
        assert_eq!(of(Service::Sts, PUBLIC.iam), ("https://sts.us-east-1.amazonaws.com/".into(), "us-east-1"));
        let government = ("https://sts.us-gov-west-1.amazonaws.com/".into(), "us-gov-west-1");
        assert_eq!(of(Service::Sts, GOVERNMENT.iam), government);
        assert_eq!(of(Service::Sts, "http://127.0.0.1:5000/aws"), ("http://127.0.0.1:5000/aws/".into(), "us-east-1"));
    }
}
