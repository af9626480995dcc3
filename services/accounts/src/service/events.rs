//! Following a workspace's events, and the lists that are made of them.

use std::time::Duration;

use kit::Person;
use proto::accounts::v1 as pb;
use proto::accounts::v1::watch_events_response::Item;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::error::Error;
use crate::hub::Hub;
use crate::model::cursor;

/// Events that a slow reader may leave unread in this process.
const BUFFER: usize = 64;
const BATCH: i64 = 100;
/// How often events are looked for without a wake-up: lost ones are made up for within this.
const POLL: Duration = Duration::from_secs(2);
/// A reader that takes nothing for this long is let go.
const STUCK: Duration = Duration::from_secs(30);

/// The stream of one reader.
pub(crate) type Events = ReceiverStream<Result<pb::WatchEventsResponse, Status>>;

impl Hub {
    /// Events after a given one, or only new ones, until the reader goes or the process ends.
    pub(crate) async fn watch(&self, workspace_id: &str, after_id: Option<i64>) -> Result<Events, Error> {
        let range = self.store.range(workspace_id).await?;
        let resumable = after_id.is_none_or(|after| (range.pruned_through..=range.seq).contains(&after));
        let start = after_id.filter(|_| resumable).unwrap_or(range.seq);
        let (sender, receiver) = mpsc::channel(BUFFER);
        let (hub, workspace_id) = (self.clone(), workspace_id.to_owned());
        let follow = async move {
            let first = Item::StartedAfter(start);
            let sync = (!resumable).then_some(Item::SyncRequired(start));
            for item in std::iter::once(first).chain(sync) {
                if !send(&sender, Ok(item)).await {
                    return;
                }
            }
            if let Err(error) = hub.follow(&workspace_id, start, &sender).await {
                let _ = sender.try_send(Err(error.into()));
            }
        };
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move { shutdown.run_until_cancelled(follow).await });
        Ok(ReceiverStream::new(receiver))
    }

    async fn follow(
        &self,
        workspace_id: &str,
        mut after: i64,
        reader: &mpsc::Sender<Result<pb::WatchEventsResponse, Status>>,
    ) -> Result<(), Error> {
        // Subscribed before the first look, so that nothing falls between the two.
        let mut wakeups = self.store.cache().wakeups().await;
        loop {
            let events = self.store.events_after(workspace_id, after, BATCH).await?;
            let full = events.len() == usize::try_from(BATCH).unwrap_or(usize::MAX);
            for event in self.with_accounts(workspace_id, events).await? {
                after = event.id;
                if !send(reader, Ok(Item::Event(event))).await {
                    return Ok(());
                }
            }
            if full {
                continue;
            }
            let woken = async {
                match wakeups.as_mut() {
                    Some(wakeups) => {
                        while !matches!(wakeups.recv().await.as_slice(), message if message.is_empty() || message == workspace_id.as_bytes())
                        {
                        }
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(POLL) => {}
                () = reader.closed() => return Ok(()),
            }
        }
    }

    /// Events with their accounts as they are now.
    async fn with_accounts(&self, workspace_id: &str, mut events: Vec<pb::Event>) -> Result<Vec<pb::Event>, Error> {
        if events.iter().any(|event| !event.account_id.is_empty()) {
            for event in events.iter_mut().filter(|event| !event.account_id.is_empty()) {
                event.account = self.account(workspace_id, &event.account_id).await.ok();
            }
        }
        Ok(events)
    }

    pub(crate) async fn history(&self, request: &pb::ListHistoryRequest) -> Result<pb::ListHistoryResponse, Error> {
        let row = self.store.account(&request.workspace_id, &request.account_id).await?;
        let limit = cursor::limit(request.limit, 20, 100)?;
        let list = format!("history {}", row.id);
        let position = self.cursors.decode(&row.workspace_id, &list, &request.cursor)?;
        let before = position.and_then(|position| position.parse().ok()).unwrap_or(i64::MAX);
        let more = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
        let mut events = self.store.history(&row.workspace_id, &row.id, before, more).await?;
        let there_is_more = events.len() > limit;
        events.truncate(limit);
        let next = events
            .last()
            .filter(|_| there_is_more)
            .map(|last| self.cursors.encode(&row.workspace_id, &list, &last.id.to_string()));
        Ok(pb::ListHistoryResponse {
            events,
            next_cursor: next.unwrap_or_default(),
        })
    }

    pub(crate) async fn notifications(
        &self,
        person: &Person,
        request: &pb::ListNotificationsRequest,
    ) -> Result<pb::ListNotificationsResponse, Error> {
        let workspace_id = &request.workspace_id;
        let limit = cursor::limit(request.limit, 25, 100)?;
        let before = self
            .cursors
            .decode(workspace_id, "notifications", &request.cursor)?
            .unwrap_or_default();
        let more = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
        let mut notifications = self
            .store
            .notifications(workspace_id, &person.user_id, &before, more)
            .await?;
        let there_is_more = notifications.len() > limit;
        notifications.truncate(limit);
        let next = notifications
            .last()
            .filter(|_| there_is_more)
            .map(|last| self.cursors.encode(workspace_id, "notifications", &last.id));
        let unread = self.store.unread(workspace_id, &person.user_id).await?;
        Ok(pb::ListNotificationsResponse {
            notifications,
            next_cursor: next.unwrap_or_default(),
            unread,
        })
    }
}

async fn send(reader: &mpsc::Sender<Result<pb::WatchEventsResponse, Status>>, item: Result<Item, Status>) -> bool {
    let item = item.map(|item| pb::WatchEventsResponse { item: Some(item) });
    reader.send_timeout(item, STUCK).await.is_ok()
}
