//! The gRPC face of accounts: every RPC decodes, checks whose workspace it is, calls the hub and encodes.

mod accounts;
mod browsers;
mod checks;
mod events;
mod people;
mod policy;
mod posts;
mod webhooks;

use std::sync::Arc;

use kit::grpc::Context;
use kit::{Failure, Person};
use proto::accounts::v1 as pb;
use proto::accounts::v1::accounts_service_server::AccountsService;
use tonic::{Request, Response, Status};

pub use policy::POLICY;

use crate::error::Error;
use crate::hub::Hub;

type Answer<T> = Result<Response<T>, Status>;

/// The service over its hub.
pub(crate) struct Service(pub(crate) Hub);

/// A call made by a person, in their workspace.
fn by_person<T>(request: Request<T>, workspace_id: impl Fn(&T) -> &str) -> Result<(Context, Arc<Person>, T), Failure> {
    let context = Context::of(&request)?;
    let request = request.into_inner();
    let person = context.person_in(workspace_id(&request))?;
    Ok((context, person, request))
}

/// A call that a service may make without a person; a person's must be in their workspace.
fn in_workspace<T>(request: Request<T>, workspace_id: impl Fn(&T) -> &str) -> Result<(Context, T), Failure> {
    let context = Context::of(&request)?;
    let request = request.into_inner();
    context.workspace(workspace_id(&request))?;
    Ok((context, request))
}

/// The person of a call that is about nobody's workspace.
fn user_id<T>(request: &Request<T>) -> Result<String, Failure> {
    let context = Context::of(request)?;
    match &context.person {
        Some(person) => Ok(person.user_id.clone()),
        // Only a developer's call in dev mode comes this far without a person.
        None => Ok(context.person_in("demo")?.user_id.clone()),
    }
}

#[tonic::async_trait]
impl AccountsService for Service {
    type WatchEventsStream = events::Events;

    async fn complete_connect(
        &self,
        request: Request<pb::CompleteConnectRequest>,
    ) -> Answer<pb::CompleteConnectResponse> {
        let context = Context::of(&request)?;
        let (session, completion_code) = self.0.complete_connect(&context, request.into_inner()).await?;
        Ok(Response::new(pb::CompleteConnectResponse {
            session: Some(session),
            completion_code,
        }))
    }

    async fn watch_events(&self, request: Request<pb::WatchEventsRequest>) -> Answer<Self::WatchEventsStream> {
        let (_, request) = in_workspace(request, |request| &request.workspace_id)?;
        Ok(Response::new(
            self.0.watch(&request.workspace_id, request.after_id).await?,
        ))
    }

    async fn apply_grant_change(
        &self,
        request: Request<pb::ApplyGrantChangeRequest>,
    ) -> Answer<pb::ApplyGrantChangeResponse> {
        let change = request.into_inner().change.ok_or(Error::Corrupt("grant change"))?;
        self.0.apply_grant_change(&change).await?;
        Ok(Response::new(pb::ApplyGrantChangeResponse {}))
    }

    async fn apply_plan_change(
        &self,
        request: Request<pb::ApplyPlanChangeRequest>,
    ) -> Answer<pb::ApplyPlanChangeResponse> {
        let workspace = request.into_inner().workspace.ok_or(Error::Corrupt("plan change"))?;
        self.0.apply_plan_change(&workspace).await?;
        Ok(Response::new(pb::ApplyPlanChangeResponse {}))
    }

    async fn get_preferences(&self, request: Request<pb::GetPreferencesRequest>) -> Answer<pb::GetPreferencesResponse> {
        let preferences = self.0.store.preferences(&user_id(&request)?).await?;
        Ok(Response::new(pb::GetPreferencesResponse {
            preferences: Some(preferences),
        }))
    }

    async fn set_preferences(&self, request: Request<pb::SetPreferencesRequest>) -> Answer<pb::SetPreferencesResponse> {
        let user_id = user_id(&request)?;
        let preferences = self
            .0
            .set_preferences(&user_id, request.into_inner().preferences)
            .await?;
        Ok(Response::new(pb::SetPreferencesResponse {
            preferences: Some(preferences),
        }))
    }

    async fn begin_connect(&self, request: Request<pb::BeginConnectRequest>) -> Answer<pb::BeginConnectResponse> {
        let (context, person, request) = by_person(request, |request| &request.workspace_id)?;
        let (session, authorize_url) = self.0.begin_connect(&context, &person, request).await?;
        Ok(Response::new(pb::BeginConnectResponse {
            session: Some(session),
            authorize_url,
        }))
    }

    async fn finish_native_connect(
        &self,
        request: Request<pb::FinishNativeConnectRequest>,
    ) -> Answer<pb::FinishNativeConnectResponse> {
        let (context, _, request) = by_person(request, |request| &request.workspace_id)?;
        let session = self.0.finish_native(&context, request).await?;
        Ok(Response::new(pb::FinishNativeConnectResponse {
            session: Some(session),
        }))
    }

    async fn get_connect_session(
        &self,
        request: Request<pb::GetConnectSessionRequest>,
    ) -> Answer<pb::GetConnectSessionResponse> {
        let (_, person, request) = by_person(request, |request| &request.workspace_id)?;
        let session = self.0.connect_session(&person, &request.session_id).await?;
        Ok(Response::new(pb::GetConnectSessionResponse { session: Some(session) }))
    }

    async fn select_destinations(
        &self,
        request: Request<pb::SelectDestinationsRequest>,
    ) -> Answer<pb::SelectDestinationsResponse> {
        let (context, _, request) = by_person(request, |request| &request.workspace_id)?;
        let session = self.0.select_destinations(&context, request).await?;
        Ok(Response::new(pb::SelectDestinationsResponse { session: Some(session) }))
    }

    async fn cancel_connect(&self, request: Request<pb::CancelConnectRequest>) -> Answer<pb::CancelConnectResponse> {
        let (_, person, request) = by_person(request, |request| &request.workspace_id)?;
        let session = self.0.cancel_connect(&person, &request.session_id).await?;
        Ok(Response::new(pb::CancelConnectResponse { session: Some(session) }))
    }

    async fn list_accounts(&self, request: Request<pb::ListAccountsRequest>) -> Answer<pb::ListAccountsResponse> {
        let (_, request) = in_workspace(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.list_accounts(&request).await?))
    }

    async fn get_account(&self, request: Request<pb::GetAccountRequest>) -> Answer<pb::GetAccountResponse> {
        let (_, request) = in_workspace(request, |request| &request.workspace_id)?;
        let account = self.0.account(&request.workspace_id, &request.account_id).await?;
        Ok(Response::new(pb::GetAccountResponse { account: Some(account) }))
    }

    async fn summarize_accounts(
        &self,
        request: Request<pb::SummarizeAccountsRequest>,
    ) -> Answer<pb::SummarizeAccountsResponse> {
        let (_, person, request) = by_person(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.summarize(&request.workspace_id, &person).await?))
    }

    async fn get_versions(&self, request: Request<pb::GetVersionsRequest>) -> Answer<pb::GetVersionsResponse> {
        Ok(Response::new(self.0.versions(&request.into_inner()).await?))
    }

    async fn get_health(&self, request: Request<pb::GetHealthRequest>) -> Answer<pb::GetHealthResponse> {
        let (_, request) = in_workspace(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.health(&request).await?))
    }

    async fn check_health(&self, request: Request<pb::CheckHealthRequest>) -> Answer<pb::CheckHealthResponse> {
        let (context, request) = in_workspace(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.check_health(&context, &request).await?))
    }

    async fn refresh_token(&self, request: Request<pb::RefreshTokenRequest>) -> Answer<pb::RefreshTokenResponse> {
        let (context, _, request) = by_person(request, |request| &request.workspace_id)?;
        let account = self.0.refresh_token(&context, &request).await?;
        Ok(Response::new(pb::RefreshTokenResponse { account: Some(account) }))
    }

    async fn get_diagnostics(&self, request: Request<pb::GetDiagnosticsRequest>) -> Answer<pb::GetDiagnosticsResponse> {
        let (context, _, request) = by_person(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.diagnostics(&context, &request).await?))
    }

    async fn disconnect(&self, request: Request<pb::DisconnectRequest>) -> Answer<pb::DisconnectResponse> {
        let (_, person, request) = by_person(request, |request| &request.workspace_id)?;
        let account = self.0.disconnect(&person, &request).await?;
        Ok(Response::new(pb::DisconnectResponse { account: Some(account) }))
    }

    async fn list_recent_posts(
        &self,
        request: Request<pb::ListRecentPostsRequest>,
    ) -> Answer<pb::ListRecentPostsResponse> {
        let (context, _, request) = by_person(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.recent_posts(&context, &request).await?))
    }

    async fn create_post(&self, request: Request<pb::CreatePostRequest>) -> Answer<pb::CreatePostResponse> {
        let (context, _, request) = by_person(request, |request| &request.workspace_id)?;
        let post = self.0.create_post(&context, &request).await?;
        Ok(Response::new(pb::CreatePostResponse { post: Some(post) }))
    }

    async fn record_post(&self, request: Request<pb::RecordPostRequest>) -> Answer<pb::RecordPostResponse> {
        let (_, request) = in_workspace(request, |request| &request.workspace_id)?;
        self.0.record_post(&request).await?;
        Ok(Response::new(pb::RecordPostResponse {}))
    }

    async fn list_history(&self, request: Request<pb::ListHistoryRequest>) -> Answer<pb::ListHistoryResponse> {
        let (_, _, request) = by_person(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.history(&request).await?))
    }

    async fn list_notifications(
        &self,
        request: Request<pb::ListNotificationsRequest>,
    ) -> Answer<pb::ListNotificationsResponse> {
        let (_, person, request) = by_person(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.notifications(&person, &request).await?))
    }

    async fn mark_notification_read(
        &self,
        request: Request<pb::MarkNotificationReadRequest>,
    ) -> Answer<pb::MarkNotificationReadResponse> {
        let (_, person, request) = by_person(request, |request| &request.workspace_id)?;
        self.0
            .store
            .mark_read(&request.workspace_id, &person.user_id, &request.notification_id)
            .await?;
        Ok(Response::new(pb::MarkNotificationReadResponse {}))
    }

    async fn request_reconnect(
        &self,
        request: Request<pb::RequestReconnectRequest>,
    ) -> Answer<pb::RequestReconnectResponse> {
        let (_, person, request) = by_person(request, |request| &request.workspace_id)?;
        self.0.request_reconnect(&person, &request).await?;
        Ok(Response::new(pb::RequestReconnectResponse {}))
    }

    async fn set_scheduled_posts(
        &self,
        request: Request<pb::SetScheduledPostsRequest>,
    ) -> Answer<pb::SetScheduledPostsResponse> {
        let (_, request) = in_workspace(request, |request| &request.workspace_id)?;
        self.0.set_scheduled(&request).await?;
        Ok(Response::new(pb::SetScheduledPostsResponse {}))
    }

    async fn claim_request(&self, request: Request<pb::ClaimRequestRequest>) -> Answer<pb::ClaimRequestResponse> {
        let (_, request) = in_workspace(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.claim_request(&request).await?))
    }

    async fn finish_request(&self, request: Request<pb::FinishRequestRequest>) -> Answer<pb::FinishRequestResponse> {
        let (_, request) = in_workspace(request, |request| &request.workspace_id)?;
        self.0
            .store
            .finish(&request.workspace_id, &request.key, request.answer.as_ref())
            .await?;
        Ok(Response::new(pb::FinishRequestResponse {}))
    }

    async fn list_webhook_endpoints(
        &self,
        request: Request<pb::ListWebhookEndpointsRequest>,
    ) -> Answer<pb::ListWebhookEndpointsResponse> {
        let (_, _, request) = by_person(request, |request| &request.workspace_id)?;
        let endpoints = self.0.webhook_endpoints(&request.workspace_id).await?;
        Ok(Response::new(pb::ListWebhookEndpointsResponse { endpoints }))
    }

    async fn get_webhook_endpoint(
        &self,
        request: Request<pb::GetWebhookEndpointRequest>,
    ) -> Answer<pb::GetWebhookEndpointResponse> {
        let (_, _, request) = by_person(request, |request| &request.workspace_id)?;
        let store = &self.0.store;
        let row = store
            .webhook_endpoint(&request.workspace_id, &request.endpoint_id)
            .await?;
        Ok(Response::new(pb::GetWebhookEndpointResponse {
            endpoint: Some(row.shown()),
        }))
    }

    async fn create_webhook_endpoint(
        &self,
        request: Request<pb::CreateWebhookEndpointRequest>,
    ) -> Answer<pb::CreateWebhookEndpointResponse> {
        let (_, person, request) = by_person(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.create_webhook_endpoint(&person, request).await?))
    }

    async fn update_webhook_endpoint(
        &self,
        request: Request<pb::UpdateWebhookEndpointRequest>,
    ) -> Answer<pb::UpdateWebhookEndpointResponse> {
        let (_, _, request) = by_person(request, |request| &request.workspace_id)?;
        let endpoint = self.0.update_webhook_endpoint(request).await?;
        Ok(Response::new(pb::UpdateWebhookEndpointResponse {
            endpoint: Some(endpoint),
        }))
    }

    async fn delete_webhook_endpoint(
        &self,
        request: Request<pb::DeleteWebhookEndpointRequest>,
    ) -> Answer<pb::DeleteWebhookEndpointResponse> {
        let (_, _, request) = by_person(request, |request| &request.workspace_id)?;
        let store = &self.0.store;
        store
            .remove_webhook_endpoint(&request.workspace_id, &request.endpoint_id)
            .await?;
        Ok(Response::new(pb::DeleteWebhookEndpointResponse {}))
    }

    async fn rotate_webhook_secret(
        &self,
        request: Request<pb::RotateWebhookSecretRequest>,
    ) -> Answer<pb::RotateWebhookSecretResponse> {
        let (_, _, request) = by_person(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.rotate_webhook_secret(&request).await?))
    }

    async fn ping_webhook_endpoint(
        &self,
        request: Request<pb::PingWebhookEndpointRequest>,
    ) -> Answer<pb::PingWebhookEndpointResponse> {
        let (_, _, request) = by_person(request, |request| &request.workspace_id)?;
        let delivery = self.0.ping_webhook_endpoint(&request).await?;
        Ok(Response::new(pb::PingWebhookEndpointResponse {
            delivery: Some(delivery),
        }))
    }

    async fn list_webhook_deliveries(
        &self,
        request: Request<pb::ListWebhookDeliveriesRequest>,
    ) -> Answer<pb::ListWebhookDeliveriesResponse> {
        let (_, _, request) = by_person(request, |request| &request.workspace_id)?;
        Ok(Response::new(self.0.webhook_deliveries(&request).await?))
    }

    async fn replay_webhook_delivery(
        &self,
        request: Request<pb::ReplayWebhookDeliveryRequest>,
    ) -> Answer<pb::ReplayWebhookDeliveryResponse> {
        let (_, _, request) = by_person(request, |request| &request.workspace_id)?;
        let delivery = self.0.replay_webhook_delivery(&request).await?;
        Ok(Response::new(pb::ReplayWebhookDeliveryResponse {
            delivery: Some(delivery),
        }))
    }

    async fn create_browser_session(
        &self,
        request: Request<pb::CreateBrowserSessionRequest>,
    ) -> Answer<pb::CreateBrowserSessionResponse> {
        let session = self.0.create_browser_session(request.into_inner()).await?;
        Ok(Response::new(pb::CreateBrowserSessionResponse {
            session: Some(session),
        }))
    }

    async fn get_browser_session(
        &self,
        request: Request<pb::GetBrowserSessionRequest>,
    ) -> Answer<pb::GetBrowserSessionResponse> {
        let session = self.0.browser_session(request.get_ref()).await?;
        Ok(Response::new(pb::GetBrowserSessionResponse { session: Some(session) }))
    }

    async fn lease_browser_session(
        &self,
        request: Request<pb::LeaseBrowserSessionRequest>,
    ) -> Answer<pb::LeaseBrowserSessionResponse> {
        let leased = self.0.lease_browser_session(request.get_ref()).await?;
        Ok(Response::new(pb::LeaseBrowserSessionResponse { leased }))
    }

    async fn update_browser_session(
        &self,
        request: Request<pb::UpdateBrowserSessionRequest>,
    ) -> Answer<pb::UpdateBrowserSessionResponse> {
        let updated = self.0.update_browser_session(request.into_inner()).await?;
        Ok(Response::new(pb::UpdateBrowserSessionResponse { updated }))
    }

    async fn end_browser_session(
        &self,
        request: Request<pb::EndBrowserSessionRequest>,
    ) -> Answer<pb::EndBrowserSessionResponse> {
        let session = self.0.end_browser_session(request.get_ref()).await?;
        Ok(Response::new(pb::EndBrowserSessionResponse { session }))
    }
}
