use std::time::Duration;

use chrono::DateTime;

use super::json;
use super::proto::pb;
use crate::logical::{Lease, Operation, Request, Result};

/// What the host asks, as a plain type.
///
/// # Errors
/// `Invalid` where its data is not a JSON object.
pub(super) fn request(asked: pb::Request) -> Result<Request> {
    Ok(Request {
        id: asked.id,
        operation: Operation::from(asked.operation.as_str()),
        path: asked.path,
        data: json::object(&asked.data)?,
        lease: asked.secret.map(lease).transpose()?,
        accessor: asked.client_token_accessor,
        display_name: asked.display_name,
        entity_id: asked.entity_id,
        mount_point: asked.mount_point,
        remote_address: asked.connection.map(|connection| connection.remote_addr).unwrap_or_default(),
    })
}

/// The lease of a renewal or revocation. Its id is left out: a host that unmounts sends none.
fn lease(secret: pb::Secret) -> Result<Lease> {
    let options = secret.lease_options.unwrap_or_default();
    let issued = |time: prost_types::Timestamp| {
        DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).unwrap_or_default())
    };
    Ok(Lease {
        ttl: duration(options.ttl),
        max_ttl: duration(options.max_ttl),
        renewable: options.renewable,
        increment: duration(options.increment),
        issue_time: options.issue_time.and_then(issued),
        internal: json::object(&secret.internal_data)?,
    })
}

/// Durations are nanoseconds. A negative one means none.
pub(super) fn duration(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::Error;

    /// A renewal as OpenBao 2.7.2 sends it: no id, no token, no entity, no connection.
    fn renewal() -> pb::Request {
        let options = pb::LeaseOptions {
            ttl: 3_600_000_000_000,
            max_ttl: -1,
            renewable: true,
            increment: 5_500_000_000,
            issue_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 }),
        };
        let secret = pb::Secret {
            lease_options: Some(options),
            internal_data: r#"{"id":"k1"}"#.to_owned(),
            lease_id: String::new(),
        };
        pb::Request {
            operation: "renew".to_owned(),
            path: "creds/app".to_owned(),
            data: r#"{"key":"v"}"#.to_owned(),
            secret: Some(secret),
            ..pb::Request::default()
        }
    }

    #[test]
    fn a_renewal_carries_its_lease_and_its_data() {
        let request = request(renewal()).unwrap();
        assert_eq!((request.operation, request.path.as_str()), (Operation::Renew, "creds/app"));
        assert_eq!(request.data["key"], "v");
        let lease = request.lease.unwrap();
        assert_eq!((lease.ttl, lease.max_ttl), (Duration::from_secs(3600), Duration::ZERO));
        assert_eq!(lease.increment, Duration::from_millis(5500));
        assert_eq!(lease.issue_time.unwrap().to_rfc3339(), "2023-11-14T22:13:20.000000005+00:00");
        assert!(lease.renewable);
        assert_eq!(lease.internal["id"], "k1");
    }

    #[test]
    fn data_that_is_no_object_is_the_callers_fault() {
        let asked = pb::Request { data: "[1]".to_owned(), ..renewal() };
        assert!(matches!(request(asked), Err(Error::Invalid(_))));
    }

    #[test]
    fn an_operation_of_a_newer_host_keeps_its_name() {
        let asked = pb::Request { operation: "resolve-path".to_owned(), ..renewal() };
        assert_eq!(request(asked).unwrap().operation, Operation::Unknown("resolve-path".to_owned()));
    }
}
