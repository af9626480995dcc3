//! Delivering grant changes to accounts: at least once, in order per grant, until accounts has taken them.

use kit::grpc::{Client, Context};
use kit::outbox::{Delivery, Retry};
use kit::telemetry;
use prost::Message;
use proto::accounts::v1::ApplyGrantChangeRequest;
use proto::accounts::v1::accounts_service_client::AccountsServiceClient;
use proto::tokens::v1::{GrantChange, GrantState};
use tracing::Instrument;

/// Delivers to accounts.
#[derive(Clone)]
pub struct Announcer(AccountsServiceClient<Client>);

impl Announcer {
    /// Connects when it is first used.
    pub fn new(client: Client) -> Self {
        Self(AccountsServiceClient::new(client))
    }

    /// Delivers one change.
    pub async fn deliver(&self, item: Delivery) -> Result<(), Retry> {
        let change = match GrantChange::decode(item.payload.as_slice()) {
            Ok(change) => change,
            Err(error) => {
                // Written by us in a transaction: only a bug. It must not hold up what comes after it for ever.
                tracing::error!(grant = item.key, seq = item.seq, %error, "a change cannot be read and is dropped");
                return Ok(());
            }
        };
        count(&change);
        let span = tracing::info_span!("grant_change", grant = item.key, seq = item.seq, trace = change.trace);
        telemetry::join(&span, &change.trace);
        let trace = Some(change.trace.as_str())
            .filter(|trace| !trace.is_empty())
            .map(Into::into);
        let applied = async {
            let request = Context::background().request(ApplyGrantChangeRequest { change: Some(change) });
            self.0.clone().apply_grant_change(request).await
        };
        match telemetry::traced(trace, applied.instrument(span)).await {
            Ok(_) => Ok(()),
            Err(status) => {
                tracing::warn!(grant = item.key, seq = item.seq, code = ?status.code(), "accounts did not take a change");
                Err(Retry::default())
            }
        }
    }
}

fn count(change: &GrantChange) {
    let Some(grant) = &change.grant else { return };
    if grant.state() == GrantState::Dead {
        let reason = grant
            .dead
            .clone()
            .map(|dead| crate::error::reason(&dead.into()))
            .unwrap_or_default();
        metrics::counter!("tokens_dead_total", "connector" => grant.connector.clone(), "reason" => reason).increment(1);
    }
}
