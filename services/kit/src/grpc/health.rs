//! Whether a service can do its work, over the standard health protocol: as long as its database answers. Liveness is another
//! question: a process without its database is well, and goes on by itself when that is back.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus as Said;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;

use super::{Client, Context};
use crate::db::Db;
use crate::{Code, Failure};

const LOOK: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);
/// Looks in a row that fail before it counts: one may meet a busy pool.
const FAILURES: u32 = 2;

/// Keeps a service's health true until `ended`.
pub(super) async fn follow(health: HealthReporter, name: &'static str, database: Db, ended: CancellationToken) {
    let (mut failures, mut serving) = (0, true);
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let asked = timeout(PATIENCE, sqlx::query("SELECT 1").execute(database.pool())).await;
        failures = if matches!(asked, Ok(Ok(_))) { 0 } else { failures + 1 };
        let serves = failures < FAILURES;
        if serves != serving && !ended.is_cancelled() {
            serving = serves;
            tracing::warn!(service = name, serving, "the database was lost or is back");
            say(
                &health,
                name,
                if serving {
                    ServingStatus::Serving
                } else {
                    ServingStatus::NotServing
                },
            )
            .await;
        }
    }
}

/// Says it of the service and of the process.
pub(super) async fn say(health: &HealthReporter, name: &'static str, status: ServingStatus) {
    health.set_service_status(name, status).await;
    health.set_service_status("", status).await;
}

/// Asks a peer whether it can do its work.
pub async fn check(client: Client, context: &Context) -> Result<(), Failure> {
    let asked = HealthClient::new(client)
        .check(context.request(HealthCheckRequest::default()))
        .await;
    match asked.map(|answer| answer.into_inner().status()) {
        Ok(Said::Serving) => Ok(()),
        Ok(_) => Err(Failure::new(Code::Unavailable, "a part of the hub cannot do its work")),
        Err(status) => Err(Failure::from_status(&status)),
    }
}
