//! Compiles the protobuf contract without protoc: protox parses, tonic-prost-build generates.

const FILES: &[&str] = &[
    "socializioz/common/v1/common.proto",
    "socializioz/accounts/v1/accounts.proto",
    "socializioz/tokens/v1/tokens.proto",
    "socializioz/platforms/v1/platforms.proto",
    "socializioz/entitlements/v1/entitlements.proto",
];

/// Messages that carry secrets get no `Debug`: they cannot be printed by accident.
const SECRET: &[&str] = &[
    "socializioz.platforms.v1.RawAnswer",
    "socializioz.platforms.v1.Answers",
    "socializioz.platforms.v1.Credential",
    "socializioz.platforms.v1.Destination",
    "socializioz.platforms.v1.AuthorizationUrlRequest",
    "socializioz.platforms.v1.AuthorizationUrlResponse",
    "socializioz.platforms.v1.ExchangeRequest",
    "socializioz.platforms.v1.ExchangeResponse",
    "socializioz.platforms.v1.RefreshRequest",
    "socializioz.platforms.v1.RefreshResponse",
    "socializioz.platforms.v1.InterpretRequest",
    "socializioz.platforms.v1.InterpretResponse",
    "socializioz.platforms.v1.DiscoverRequest",
    "socializioz.platforms.v1.DiscoverResponse",
    "socializioz.platforms.v1.InspectRequest",
    "socializioz.platforms.v1.InspectResponse",
    "socializioz.platforms.v1.RevokeRequest",
    "socializioz.platforms.v1.VerifyCallbackRequest",
    "socializioz.tokens.v1.ExchangeRequest",
    "socializioz.tokens.v1.ExchangeResponse",
    "socializioz.tokens.v1.GetAccessTokenResponse",
    "socializioz.accounts.v1.CompleteConnectRequest",
    "socializioz.accounts.v1.CompleteConnectResponse",
    "socializioz.accounts.v1.BeginConnectResponse",
    "socializioz.accounts.v1.FinishNativeConnectRequest",
    "socializioz.accounts.v1.CreateWebhookEndpointResponse",
    "socializioz.accounts.v1.RotateWebhookSecretResponse",
];

#[allow(
    clippy::disallowed_methods,
    reason = "cargo tells build scripts through the environment"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = protox::compile(FILES, ["."])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    let mut prost = tonic_prost_build::Config::new();
    prost.skip_debug(SECRET.iter().copied());
    tonic_prost_build::configure().compile_fds_with_config(descriptors, prost)?;
    println!("cargo:rerun-if-changed=socializioz");
    Ok(())
}
