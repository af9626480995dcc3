//! Accounts put on a grant: an exchanged credential becomes the grant's and starts a new lineage, over everything older.
//! Also the tokens of single destinations, after a sign-in and after a refresh.

use kit::db::Tx;
use proto::platforms::v1::{Credential, Destination, DiscoverResponse};
use proto::tokens::v1::{Attachment, GrantChangeCause};
use sqlx::Row;

use super::exchanges::{Exchange, Step};
use super::grants::{Sealing, Stored, lock, save, stored};
use super::{Store, announce, retry};
use crate::Error;
use crate::model::change::{Change, Rules};
use crate::model::sight::{Sight, View};
use crate::model::{Facts, Grant, State};
use crate::vault::Place;

/// What to hang on a grant, and the ids that new rows take.
pub struct Hanging<'a> {
    /// From which exchange.
    pub exchange: &'a Exchange,
    /// Which accounts.
    pub attachments: &'a [Attachment],
    /// Id of the grant when there is none yet.
    pub grant_id: &'a str,
}

impl Store {
    /// Makes an exchanged credential the grant's and hangs accounts on it. Repeated calls find it done. Also gives grants that
    /// the accounts hung on before and that carry nothing any more.
    pub async fn attach(&self, hanging: &Hanging<'_>, rules: Rules<'_>) -> Result<(Grant, Vec<String>), Error> {
        let exchange = hanging.exchange;
        let found = self
            .exchange_discovery(exchange)?
            .ok_or_else(|| Error::SessionState(exchange.step.as_str().to_owned()))?;
        let chosen = hanging
            .attachments
            .iter()
            .map(|wanted| chosen(&found, wanted))
            .collect::<Result<Vec<_>, _>>()?;
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let step = lock_exchange(&mut tx, exchange, rules.now).await?;
            let (mut grant, fresh) = match step {
                Step::Discovered => (self.connect(&mut tx, hanging, &found, rules).await?, true),
                Step::Attached => (self.attached_to(&mut tx, exchange).await?, false),
                other => return Err(Error::SessionState(other.as_str().to_owned())),
            };
            let mut emptied = Vec::new();
            for (account_id, destination) in &chosen {
                emptied.extend(self.hang(&mut tx, &grant, account_id, destination).await?);
            }
            if fresh {
                self.renew_siblings(&mut tx, &grant, &found).await?;
            } else {
                grant.version += 1;
                save(&mut tx, &grant, grant.generation, &Sealing::Keep).await?;
            }
            let connected = Change {
                cause: GrantChangeCause::Connected,
                announce: false,
            };
            announce(&mut tx, &grant, connected, rules.now).await?;
            tx.commit().await?;
            Ok((grant, emptied))
        })
        .await
    }

    async fn attached_to(&self, tx: &mut Tx, exchange: &Exchange) -> Result<Grant, Error> {
        let sql = "SELECT grant_id FROM exchanges WHERE session_id = $1 AND workspace_id = $2";
        let query = sqlx::query_scalar(sql)
            .bind(&exchange.session_id)
            .bind(&exchange.workspace_id);
        let grant_id: Option<String> = query.fetch_one(&mut **tx).await?;
        let grant_id = grant_id.ok_or(Error::Unreadable)?;
        let stored = lock(tx, &exchange.workspace_id, &grant_id)
            .await?
            .ok_or(Error::NoSuchSession)?;
        if stored.grant.state == State::Revoked {
            return Err(Error::SessionState("over: the account was disconnected".to_owned()));
        }
        Ok(stored.grant)
    }

    /// Upserts the grant of workspace, connector and person: the new credential wins over everything older.
    async fn connect(
        &self,
        tx: &mut Tx,
        hanging: &Hanging<'_>,
        found: &DiscoverResponse,
        rules: Rules<'_>,
    ) -> Result<Grant, Error> {
        let exchange = hanging.exchange;
        let credential = self.exchange_credential(exchange)?.ok_or(Error::Unreadable)?;
        let (facts, view) = facts(&credential, found, rules);
        let person = (&exchange.workspace_id, &exchange.connector, &found.platform_user_id);
        let mut grant = lock_or_insert(tx, hanging.grant_id, person).await?;
        let over = grant.generation;
        let first = grant.connected_at_ms == 0;
        rules.connected(&mut grant, &facts, &view);
        if first {
            (grant.generation, grant.version) = (1, 1);
        }
        let sealed = self.seal_credential(&grant, &credential)?;
        save(tx, &grant, over, &Sealing::Replace(sealed)).await?;
        for sql in [
            "UPDATE attempts SET state = 'abandoned', outcome = 'reconnected', sealed_receipt = NULL
             WHERE grant_id = $1 AND state IN ('open', 'unknown', 'abandoned')",
            "DELETE FROM quarantine WHERE grant_id = $1",
        ] {
            sqlx::query(sql).bind(&grant.id).execute(&mut **tx).await?;
        }
        let sql = "UPDATE exchanges SET state = 'attached', grant_id = $3, sealed_credential = NULL WHERE session_id = $1 AND workspace_id = $2";
        let query = sqlx::query(sql)
            .bind(&exchange.session_id)
            .bind(&exchange.workspace_id)
            .bind(&grant.id);
        query.execute(&mut **tx).await?;
        Ok(grant)
    }

    /// Hangs one account on the grant. Gives the grant that it hung on before, when that is empty now.
    async fn hang(
        &self,
        tx: &mut Tx,
        grant: &Grant,
        account_id: &str,
        destination: &Destination,
    ) -> Result<Option<String>, Error> {
        let sql = "SELECT grant_id, workspace_id FROM attachments WHERE account_id = $1";
        let before = sqlx::query(sql).bind(account_id).fetch_optional(&mut **tx).await?;
        if let Some(row) = &before
            && row.try_get::<String, _>(1)? != grant.workspace_id
        {
            return Err(Error::NoSuchAccount);
        }
        let sealed = self.seal_derived(&grant.workspace_id, account_id, destination)?;
        let sql = "INSERT INTO attachments (account_id, workspace_id, grant_id, platform_account_id, kind, sealed_derived,
                derived_expires_at_ms, can_publish, problem, state, revocation)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'attached', '')
             ON CONFLICT (account_id) DO UPDATE SET grant_id = $3, platform_account_id = $4, kind = $5, sealed_derived = $6,
                derived_expires_at_ms = $7, can_publish = $8, problem = $9, state = 'attached', revocation = ''";
        sqlx::query(sql)
            .bind(account_id)
            .bind(&grant.workspace_id)
            .bind(&grant.id)
            .bind(&destination.platform_account_id)
            .bind(&destination.kind)
            .bind(sealed)
            .bind(destination.derived_expires_at_ms)
            .bind(i64::from(destination.can_publish))
            .bind(&destination.publish_problem)
            .execute(&mut **tx)
            .await?;
        let Some(row) = before else { return Ok(None) };
        let old: String = row.try_get(0)?;
        if old == grant.id || accounts_left(tx, &old).await? > 0 {
            return Ok(None);
        }
        let old = lock(tx, &grant.workspace_id, &old).await?;
        Ok(old
            .filter(|old| old.grant.state != State::Revoked)
            .map(|old| old.grant.id))
    }

    /// One sign-in fixes all accounts of the grant: they get their new derived tokens too.
    async fn renew_siblings(&self, tx: &mut Tx, grant: &Grant, found: &DiscoverResponse) -> Result<(), Error> {
        let sql = "SELECT account_id, platform_account_id FROM attachments WHERE grant_id = $1 AND state = 'attached'";
        for row in sqlx::query(sql).bind(&grant.id).fetch_all(&mut **tx).await? {
            let (account_id, platform_account_id): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let destination = found
                .destinations
                .iter()
                .find(|destination| destination.platform_account_id == platform_account_id);
            self.rederive(tx, grant, &account_id, destination).await?;
        }
        Ok(())
    }

    async fn rederive(
        &self,
        tx: &mut Tx,
        grant: &Grant,
        account_id: &str,
        found: Option<&Destination>,
    ) -> Result<(), Error> {
        let lost = Destination {
            publish_problem: "platform_role_lost".to_owned(),
            ..Destination::default()
        };
        let destination = found.unwrap_or(&lost);
        let sealed = self.seal_derived(&grant.workspace_id, account_id, destination)?;
        let sql =
            "UPDATE attachments SET sealed_derived = $3, derived_expires_at_ms = $4, can_publish = $5, problem = $6
             WHERE account_id = $1 AND workspace_id = $2 AND state = 'attached'";
        let query = sqlx::query(sql).bind(account_id).bind(&grant.workspace_id).bind(sealed);
        let query = query
            .bind(destination.derived_expires_at_ms)
            .bind(i64::from(destination.can_publish));
        query.bind(&destination.publish_problem).execute(&mut **tx).await?;
        Ok(())
    }

    /// Stores the tokens of single destinations after a refresh, unless the grant moved on.
    pub async fn keep_derived(
        &self,
        of: &Grant,
        found: &DiscoverResponse,
        rules: Rules<'_>,
    ) -> Result<Option<Grant>, Error> {
        retry(|| async {
            let mut tx = self.db.begin().await?;
            let Some(Stored { mut grant, .. }) = lock(&mut tx, &of.workspace_id, &of.id).await? else {
                return Ok(None);
            };
            if grant.generation != of.generation || grant.state == State::Revoked {
                return Ok(None);
            }
            self.renew_siblings(&mut tx, &grant, found).await?;
            grant.derive_pending = false;
            let Sight::Works(view) = Sight::of(found, grant.has_refresh_token) else {
                return Ok(None);
            };
            let change = rules.seen(&mut grant, &view);
            save(&mut tx, &grant, of.generation, &Sealing::Keep).await?;
            announce(&mut tx, &grant, change, rules.now).await?;
            tx.commit().await?;
            Ok(Some(grant))
        })
        .await
    }

    fn seal_derived(
        &self,
        workspace_id: &str,
        account_id: &str,
        destination: &Destination,
    ) -> Result<Option<Vec<u8>>, Error> {
        let place = Place(workspace_id, account_id, "derived", 0);
        let token = &destination.derived_token;
        (!token.is_empty())
            .then(|| self.vault().seal_token(place, token))
            .transpose()
    }
}

fn chosen<'a>(found: &'a DiscoverResponse, wanted: &Attachment) -> Result<(String, &'a Destination), Error> {
    let destination = found
        .destinations
        .iter()
        .find(|destination| destination.platform_account_id == wanted.platform_account_id);
    Ok((wanted.account_id.clone(), destination.ok_or(Error::NoSuchDestination)?))
}

fn facts(credential: &Credential, found: &DiscoverResponse, rules: Rules<'_>) -> (Facts, View) {
    let mut facts = Facts::of(credential, rules.traits);
    if found.access_expires_at_ms > 0 {
        facts.access_expires_at_ms = found.access_expires_at_ms;
    }
    let view = match Sight::of(found, facts.has_refresh_token) {
        Sight::Works(view) => view,
        Sight::Gone(_) | Sight::Nothing(_) => View::default(),
    };
    (facts, view)
}

async fn lock_exchange(tx: &mut Tx, exchange: &Exchange, now: i64) -> Result<Step, Error> {
    let sql = "UPDATE exchanges SET updated_at_ms = $3 WHERE session_id = $1 AND workspace_id = $2 RETURNING *";
    let query = sqlx::query(sql)
        .bind(&exchange.session_id)
        .bind(&exchange.workspace_id)
        .bind(now);
    let row = query.fetch_optional(&mut **tx).await?.ok_or(Error::NoSuchSession)?;
    Ok(super::exchanges::read(&row)?.step)
}

/// Locks the grant of a person, making it when there is none. Two sessions of one person that end together meet at the unique
/// index: the second finds what the first made.
async fn lock_or_insert(tx: &mut Tx, id: &str, person: (&String, &String, &String)) -> Result<Grant, Error> {
    let sql = "INSERT INTO grants (id, workspace_id, connector, platform_user_id, user_name, generation, version, state, renewal,
            has_refresh_token, issued_at_ms, access_expires_at_ms, refresh_expires_at_ms, data_access_expires_at_ms, granted_scopes,
            refusals, troubles, last_attempt_at_ms, last_refreshed_at_ms, next_refresh_at_ms, checked_at_ms, next_check_at_ms,
            check_delayed, derive_pending, connected_at_ms)
         VALUES ($1, $2, $3, $4, '', 1, 1, 'active', 'RENEWAL_UNSPECIFIED', 0, 0, 0, 0, 0, '[]', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
         ON CONFLICT (workspace_id, connector, platform_user_id) DO UPDATE SET version = grants.version
         RETURNING *";
    let row = sqlx::query(sql)
        .bind(id)
        .bind(person.0)
        .bind(person.1)
        .bind(person.2)
        .fetch_one(&mut **tx)
        .await?;
    Ok(stored(&row)?.grant)
}

pub(super) async fn accounts_left(tx: &mut Tx, grant_id: &str) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) FROM attachments WHERE grant_id = $1 AND state = 'attached'";
    Ok(sqlx::query_scalar(sql).bind(grant_id).fetch_one(&mut **tx).await?)
}
