//! Small conversions between protobuf's types and ours.

use std::time::Duration;

use proto::common::v1 as pb;

use crate::Role;

/// Milliseconds since the epoch as a protobuf timestamp; `None` for 0, which means "none" in our messages.
pub fn timestamp(ms: i64) -> Option<prost_types::Timestamp> {
    (ms != 0).then(|| prost_types::Timestamp {
        seconds: ms.div_euclid(1000),
        nanos: i32::try_from(ms.rem_euclid(1000) * 1_000_000).unwrap_or(0),
    })
}

/// A protobuf duration; negative ones count as zero.
pub fn duration(duration: &prost_types::Duration) -> Duration {
    Duration::try_from(*duration).unwrap_or_default()
}

/// Our role as the contract names it.
pub fn role(role: Role) -> pb::Role {
    match role {
        Role::Member => pb::Role::Member,
        Role::Admin => pb::Role::Admin,
        Role::Owner => pb::Role::Owner,
    }
}

/// A duration in configuration and documents: `90s`, `7d`.
pub mod human {
    pub use humantime_serde::*;
}
