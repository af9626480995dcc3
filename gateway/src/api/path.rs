//! Ids in paths. What is no id of ours does not exist.

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::problem::Problem;
use crate::state::App;

/// The parameters of a path.
pub(crate) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let raw = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::not_found())?;
        if raw.iter().any(|(_, value)| !is_id(value)) {
            return Err(Problem::not_found());
        }
        let path = axum::extract::Path::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::not_found())?;
        Ok(Self(path.0))
    }
}

fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// A workspace.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct InWorkspace {
    /// Id of the workspace.
    pub(crate) workspace_id: String,
}

/// An account of a workspace.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct InAccount {
    /// Id of the workspace.
    pub(crate) workspace_id: String,
    /// `acc_…`
    pub(crate) account_id: String,
}

/// A connect session of a workspace.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct InSession {
    /// Id of the workspace.
    pub(crate) workspace_id: String,
    /// `cs_…`
    pub(crate) session_id: String,
}

/// A notification of a workspace.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct InNotification {
    /// Id of the workspace.
    pub(crate) workspace_id: String,
    /// `ntf_…`
    pub(crate) notification_id: String,
}

/// A webhook endpoint of a workspace.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct InEndpoint {
    /// Id of the workspace.
    pub(crate) workspace_id: String,
    /// `whe_…`
    pub(crate) endpoint_id: String,
}

/// What was sent to a webhook endpoint.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(clippy::struct_field_names, reason = "named as the path names them")]
pub(crate) struct InDelivery {
    /// Id of the workspace.
    pub(crate) workspace_id: String,
    /// `whe_…`
    pub(crate) endpoint_id: String,
    /// `msg_…`
    pub(crate) delivery_id: String,
}

/// A platform, seen from a workspace.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct InPlatform {
    /// Id of the workspace.
    #[allow(
        dead_code,
        reason = "documented; who waits for a platform is the person's own affair"
    )]
    pub(crate) workspace_id: String,
    /// Id of the platform.
    pub(crate) platform: String,
}
