//! Looking at a session, choosing its destinations, cancelling it. Only for the person who started it.

use kit::grpc::Context;
use kit::{Failure, Person};
use proto::accounts::v1 as pb;

use super::lease_ms;
use crate::error::Error;
use crate::hub::Hub;
use crate::model::session::Session;
use crate::store::again;
use crate::store::sessions::End;

impl Hub {
    /// A session of this person; to anybody else it does not exist.
    pub(super) async fn own_session(&self, person: &Person, id: &str) -> Result<Session, Error> {
        let session = self.store.session(&person.workspace_id, id).await?;
        if session.user_id == person.user_id {
            Ok(session)
        } else {
            Err(Error::NotFound)
        }
    }

    /// The session as it is now; one whose time is over ends here.
    pub(crate) async fn connect_session(&self, person: &Person, id: &str) -> Result<pb::ConnectSession, Error> {
        let mut session = self.own_session(person, id).await?;
        let open = matches!(session.status.as_str(), "pending" | "choosing");
        if open && session.expires_at_ms <= self.clock.now_ms() {
            self.expire(&session).await?;
            session = self.own_session(person, id).await?;
        }
        self.show_session(&session).await
    }

    /// Connects what the person picked, all or nothing.
    pub(crate) async fn select_destinations(
        &self,
        context: &Context,
        request: pb::SelectDestinationsRequest,
    ) -> Result<pb::ConnectSession, Error> {
        let person = context.person_in(&request.workspace_id)?;
        let session = self.own_session(&person, &request.session_id).await?;
        let mut picks = request.destination_ids;
        picks.sort();
        picks.dedup();
        if session.status == "completed" && same(&picks, session.picks()) {
            return self.show_session(&session).await;
        }
        if session.status == "expired" || (session.status == "choosing" && session.expires_at_ms <= self.clock.now_ms())
        {
            self.connect_session(&person, &session.id).await?;
            return Err(Error::SessionExpired);
        }
        if session.status != "choosing" {
            return Err(Error::SessionState);
        }
        let places = session.places();
        if picks.is_empty() || picks.iter().any(|pick| places.iter().all(|place| place.id != *pick)) {
            return Err(Failure::invalid("/destination_ids", "Pick one or more of the destinations offered.").into());
        }
        let taken = again(|| async {
            let mut tx = self.store.change(&session.workspace_id, self.clock.now_ms()).await?;
            let taken = tx.pick(&session, &picks, &self.settings.instance, lease_ms()).await?;
            tx.commit().await?;
            Ok(taken)
        })
        .await?;
        if !taken {
            return Err(Error::SessionState);
        }
        let picked = places
            .into_iter()
            .filter(|place| picks.contains(&place.id))
            .collect::<Vec<_>>();
        let (hub, mine) = (self.clone(), session.clone());
        let work = self.tasks.spawn(async move { hub.attach(&mine, &picked).await });
        let left = context
            .deadline
            .saturating_duration_since(tokio::time::Instant::now())
            .min(super::PATIENCE);
        if let Ok(Ok(Err(error))) = tokio::time::timeout(left, work).await {
            return Err(error);
        }
        let session = self.own_session(&person, &session.id).await?;
        self.show_session(&session).await
    }

    /// Cancels a session that is open; one that is over, or is being exchanged, stays as it is.
    pub(crate) async fn cancel_connect(&self, person: &Person, id: &str) -> Result<pb::ConnectSession, Error> {
        let session = self.own_session(person, id).await?;
        let parked = session.status == "authorizing" && session.step == "parked";
        if matches!(session.status.as_str(), "pending" | "choosing") || parked {
            let discard = session.status != "pending";
            let end = End {
                status: "cancelled",
                problem: None,
                results: &[],
                discard,
                release: true,
            };
            self.end_session(&session, &[session.status.as_str()], &end).await?;
        }
        let session = self.own_session(person, id).await?;
        self.show_session(&session).await
    }
}

fn same(picks: &[String], mut known: Vec<String>) -> bool {
    known.sort();
    picks == known
}
