//! Messages that carry secrets cannot be printed: this does not compile otherwise.

use std::fmt::Debug;

use proto::{accounts::v1 as accounts, platforms::v1 as platforms, tokens::v1 as tokens};
use static_assertions::assert_not_impl_any;

assert_not_impl_any!(platforms::RawAnswer: Debug);
assert_not_impl_any!(platforms::Answers: Debug);
assert_not_impl_any!(platforms::Credential: Debug);
assert_not_impl_any!(platforms::Destination: Debug);
assert_not_impl_any!(platforms::AuthorizationUrlResponse: Debug);
assert_not_impl_any!(platforms::ExchangeRequest: Debug);
assert_not_impl_any!(platforms::ExchangeResponse: Debug);
assert_not_impl_any!(platforms::RefreshRequest: Debug);
assert_not_impl_any!(platforms::RefreshResponse: Debug);
assert_not_impl_any!(platforms::InterpretRequest: Debug);
assert_not_impl_any!(platforms::InterpretResponse: Debug);
assert_not_impl_any!(platforms::RevokeRequest: Debug);
assert_not_impl_any!(platforms::VerifyCallbackRequest: Debug);
assert_not_impl_any!(tokens::ExchangeRequest: Debug);
assert_not_impl_any!(tokens::GetAccessTokenResponse: Debug);
assert_not_impl_any!(accounts::BeginConnectResponse: Debug);
assert_not_impl_any!(accounts::CompleteConnectRequest: Debug);
assert_not_impl_any!(accounts::FinishNativeConnectRequest: Debug);
assert_not_impl_any!(accounts::CreateWebhookEndpointResponse: Debug);
assert_not_impl_any!(accounts::RotateWebhookSecretResponse: Debug);

/// Fields whose name says that they hold a secret.
const TELLING: &[&str] = &[
    "access_token",
    "refresh_token",
    "code_verifier",
    "completion_code",
    "client_secret",
    "credential",
    "secret",
];

/// The list of messages that get no `Debug`.
const BUILD: &str = include_str!("../build.rs");

#[test]
fn s7_every_message_with_a_telling_field_is_kept_from_being_printed() {
    let files = <prost_types::FileDescriptorSet as prost::Message>::decode(proto::DESCRIPTORS).unwrap();
    for file in files
        .file
        .iter()
        .filter(|file| file.package().starts_with("socializioz"))
    {
        for message in &file.message_type {
            let tells = message.field.iter().find(|field| TELLING.contains(&field.name()));
            if let Some(field) = tells {
                let full = format!("\"{}.{}\"", file.package(), message.name());
                assert!(BUILD.contains(&full), "{full} has {} and can be printed", field.name());
            }
        }
    }
}
