//! The last steps of a session: hold slots, hang the accounts on their grant, write them. All of it or none, and repeatable.

use std::collections::BTreeSet;

use kit::grpc::Context;
use kit::{Code, Failure, id};
use proto::entitlements::v1 as entitlements;
use proto::tokens::v1 as tokens;
use proto::tokens::v1::GrantChangeCause;

use super::work::technical;
use crate::error::Error;
use crate::hub::{Hub, Turn};
use crate::model::account::AccountRow;
use crate::model::session::{Place, Session};
use crate::store::accounts::Connected;
use crate::store::again;
use crate::store::sessions::End;

impl Hub {
    /// Holds slots, hangs the accounts on their grant and writes them. Ends the session either way; an error is one that the
    /// person can still do something about.
    pub(super) async fn attach(&self, session: &Session, places: &[Place]) -> Result<(), Error> {
        let rows = self
            .trying(|| {
                self.store
                    .claim_accounts(session, places, || id::new("acc", &self.clock))
            })
            .await?;
        for row in &rows {
            // What an earlier disconnect left behind is finished first, so that it cannot undo this connection later.
            self.trying(|| self.finish_disconnect(&row.workspace_id, &row.id))
                .await?;
        }
        if let Err(error) = self.trying(|| self.hold(session, &rows)).await {
            if error.is_transient() {
                self.owe(session, &rows).await?;
            }
            return self.unheld(session, places, error).await;
        }
        let attached = self
            .trying(|| async {
                let attachment = |row: &AccountRow| tokens::Attachment {
                    account_id: row.id.clone(),
                    platform_account_id: row.platform_account_id.clone(),
                };
                let ask = tokens::AttachRequest {
                    workspace_id: session.workspace_id.clone(),
                    session_id: session.id.clone(),
                    attachments: rows.iter().map(attachment).collect(),
                };
                let answer = self.tokens.clone().attach(Context::background().request(ask)).await?;
                answer.into_inner().grant.ok_or(Error::Corrupt("grant"))
            })
            .await;
        match attached {
            Ok(grant) => self.connected(session, places, &rows, &grant).await,
            Err(error) => {
                self.owe(session, &rows).await?;
                self.fail(session, technical(error), true).await.map(drop)
            }
        }
    }

    /// Slots that may have been taken for accounts that are not connected after all are given back.
    async fn owe(&self, session: &Session, rows: &[AccountRow]) -> Result<(), Error> {
        let new = rows
            .iter()
            .filter(|row| !row.is_connected())
            .map(|row| row.id.clone())
            .collect::<Vec<_>>();
        self.store
            .owe_release(&session.workspace_id, &new, self.clock.now_ms())
            .await
    }

    async fn hold(&self, session: &Session, rows: &[AccountRow]) -> Result<(), Error> {
        let slot = |row: &AccountRow| entitlements::SlotAccount {
            account_id: row.id.clone(),
            platform: row.platform.clone(),
        };
        let ask = entitlements::HoldSlotsRequest {
            workspace_id: session.workspace_id.clone(),
            session_id: session.id.clone(),
            accounts: rows.iter().map(slot).collect(),
        };
        self.entitlements
            .clone()
            .hold_slots(Context::background().request(ask))
            .await?;
        Ok(())
    }

    /// The plan has no room. Where fewer destinations would fit, the person chooses again; else the session is over.
    async fn unheld(&self, session: &Session, places: &[Place], error: Error) -> Result<(), Error> {
        let failure = Failure::from(error);
        let number = |name: &str| {
            failure
                .params
                .get(name)
                .and_then(|text| text.parse::<i64>().ok())
                .unwrap_or(0)
        };
        let room = number("limit") - number("used");
        if failure.code == Code::AccountLimitReached && room > 0 && places.len() > 1 && !session.is_reconnect() {
            let current = self.store.session(&session.workspace_id, &session.id).await?;
            self.offer(session, &current.places(), &[]).await?;
            return Err(failure.into());
        }
        self.fail(session, failure, true).await.map(drop)
    }

    /// Writes what is connected now: accounts, health, events and the session's result, together.
    async fn connected(
        &self,
        session: &Session,
        places: &[Place],
        rows: &[AccountRow],
        grant: &tokens::Grant,
    ) -> Result<(), Error> {
        let platforms = self.trying(|| self.catalogue.platforms()).await?;
        let results = rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
        let end = End {
            status: "completed",
            problem: None,
            results: &results,
            discard: false,
            release: false,
        };
        self.trying(|| {
            again(|| async {
                let mut tx = self.store.change(&session.workspace_id, self.clock.now_ms()).await?;
                if !tx.end_session(session, &["authorizing"], &end).await? {
                    return Ok(());
                }
                let before = tx.grant(&grant.grant_id).await?;
                tx.mirror(grant).await?;
                // A change that tokens made since is newer than its answer.
                let grant = tx.grant(&grant.grant_id).await?.unwrap_or_else(|| grant.clone());
                let mut told = BTreeSet::new();
                for (row, place) in rows.iter().zip(places) {
                    let was_connected = tx.account(&row.id).await?.is_connected();
                    let row = tx
                        .connect(
                            &row.id,
                            &Connected {
                                session,
                                place,
                                grant_id: &grant.grant_id,
                            },
                        )
                        .await?;
                    let turn = turn(before.as_ref(), &grant, was_connected, &session.user_name);
                    self.reassess(&mut tx, &platforms, &row, &turn).await?;
                    told.insert(row.id);
                }
                // Their siblings under the same sign-in have a new credential too.
                for row in tx.accounts_of(&grant.grant_id).await? {
                    if row.is_connected() && !told.contains(&row.id) {
                        let turn = Turn {
                            cause: GrantChangeCause::Checked,
                            ..turn(before.as_ref(), &grant, true, "")
                        };
                        self.reassess(&mut tx, &platforms, &row, &turn).await?;
                    }
                }
                tx.commit().await.map(drop)
            })
        })
        .await?;
        metrics::counter!("connect_sessions_total", "platform" => session.platform.clone(), "outcome" => "completed")
            .increment(1);
        Ok(())
    }
}

fn turn<'a>(
    before: Option<&'a tokens::Grant>,
    grant: &'a tokens::Grant,
    was_connected: bool,
    actor: &'a str,
) -> Turn<'a> {
    Turn {
        before,
        grant,
        cause: GrantChangeCause::Connected,
        announce: false,
        was_connected,
        actor,
    }
}
