//! Which keys of the ring have sealed something: a key is forgotten only after nothing is sealed under it any more, so that a
//! ring without a key that is still needed is noticed at the start and not at the first record that does not open.

use std::collections::BTreeSet;

use super::Store;
use crate::Error;

impl Store {
    /// Notes that this process seals under the first key of its ring. Before it seals anything.
    pub async fn note_sealing_key(&self) -> Result<(), Error> {
        let note = "INSERT INTO sealing_keys (id) VALUES ($1) ON CONFLICT (id) DO NOTHING";
        let note = sqlx::query(note).bind(self.vault.ring().primary_id());
        note.execute(self.db.pool()).await?;
        Ok(())
    }

    /// Keys that may have sealed something and are not in the ring.
    pub async fn missing_keys(&self) -> Result<Vec<String>, Error> {
        let known: Vec<String> = sqlx::query_scalar("SELECT id FROM sealing_keys ORDER BY id")
            .fetch_all(self.db.pool())
            .await?;
        let ring: BTreeSet<&str> = self.vault.ring().ids().collect();
        Ok(known.into_iter().filter(|id| !ring.contains(id.as_str())).collect())
    }

    /// Forgets keys that nothing is sealed under any more.
    pub(super) async fn forget_keys(&self, used: &BTreeSet<String>) -> Result<(), Error> {
        let known: Vec<String> = sqlx::query_scalar("SELECT id FROM sealing_keys")
            .fetch_all(self.db.pool())
            .await?;
        for id in known {
            if !used.contains(&id) && id != self.vault.ring().primary_id() {
                let forget = sqlx::query("DELETE FROM sealing_keys WHERE id = $1").bind(id);
                forget.execute(self.db.pool()).await?;
            }
        }
        Ok(())
    }
}
