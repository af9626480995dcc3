//! The protobuf contract of the hub, `socializioz.<service>.v1`, and the code generated from it.
//!
//! The `.proto` files beside this crate are the contract and carry its documentation. Messages that hold
//! tokens, codes or raw platform answers have no `Debug` (see build.rs).
#![allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]

/// Serialised `FileDescriptorSet` of the whole contract, for gRPC reflection and for tests over all RPCs.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// What more than one service speaks of.
pub mod common {
    pub mod v1 {
        tonic::include_proto!("socializioz.common.v1");
    }
}
pub mod accounts {
    pub mod v1 {
        tonic::include_proto!("socializioz.accounts.v1");
    }
}
pub mod tokens {
    pub mod v1 {
        tonic::include_proto!("socializioz.tokens.v1");
    }
}
pub mod platforms {
    pub mod v1 {
        tonic::include_proto!("socializioz.platforms.v1");
    }
}
pub mod entitlements {
    pub mod v1 {
        tonic::include_proto!("socializioz.entitlements.v1");
    }
}
