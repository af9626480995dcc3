//! Sealing everything anew under the first key of the ring, online: a page of rows at a time, each replaced only while it still
//! holds what was read, so that nothing that changes meanwhile is overwritten.

use std::collections::BTreeSet;

use sqlx::Row;

use super::Store;
use crate::Error;
use crate::vault::{Place, SEALED};

const PAGE: i64 = 200;

impl Store {
    /// Seals everything anew. How many records were, and ids of keys that are still in use.
    pub async fn reseal(&self) -> Result<(i64, BTreeSet<String>), Error> {
        let (mut resealed, mut used) = (0, BTreeSet::new());
        for column in SEALED {
            resealed += self.reseal_column(column, &mut used).await?;
        }
        self.forget_keys(&used).await?;
        Ok((resealed, used))
    }

    async fn reseal_column(
        &self,
        column: &(&str, &str, &str, &str),
        used: &mut BTreeSet<String>,
    ) -> Result<i64, Error> {
        let (table, key, sealed, field) = column;
        // A grant's credential is sealed for its generation, everything else for 0.
        let generation = if *table == "grants" { "generation" } else { "0" };
        let page = format!(
            "SELECT {key}, workspace_id, {sealed}, CAST({generation} AS BIGINT) FROM {table}
             WHERE {key} > $1 AND {sealed} IS NOT NULL ORDER BY {key} LIMIT $2"
        );
        let replace = format!("UPDATE {table} SET {sealed} = $3 WHERE {key} = $1 AND {sealed} = $2");
        let (mut after, mut resealed) = (String::new(), 0);
        loop {
            let query = sqlx::query(sqlx::AssertSqlSafe(page.as_str())).bind(&after).bind(PAGE);
            let rows = query.fetch_all(self.db.pool()).await?;
            for row in &rows {
                let (id, workspace_id): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                let (old, generation): (Vec<u8>, i64) = (row.try_get(2)?, row.try_get(3)?);
                match self.vault.reseal(Place(&workspace_id, &id, field, generation), &old) {
                    Ok(Some(new)) => {
                        let query = sqlx::query(sqlx::AssertSqlSafe(replace.as_str()))
                            .bind(&id)
                            .bind(&old)
                            .bind(new);
                        resealed += i64::try_from(query.execute(self.db.pool()).await?.rows_affected()).unwrap_or(0);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        // A damaged record keeps its key in the ring and does not stop the others.
                        tracing::error!(table, %error, "a sealed record could not be sealed anew");
                        used.extend(kit::seal::key_id(&old).map(str::to_owned));
                    }
                }
                after = id;
            }
            if rows.is_empty() {
                break;
            }
        }
        used.extend(self.keys_of(table, key, sealed).await?);
        Ok(resealed)
    }

    /// Ids of the keys that a column's records are sealed under now.
    async fn keys_of(&self, table: &str, key: &str, sealed: &str) -> Result<BTreeSet<String>, Error> {
        let sql = format!(
            "SELECT {key}, {sealed} FROM {table} WHERE {key} > $1 AND {sealed} IS NOT NULL ORDER BY {key} LIMIT $2"
        );
        let (mut after, mut used) = (String::new(), BTreeSet::new());
        loop {
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql.as_str()))
                .bind(&after)
                .bind(PAGE * 5)
                .fetch_all(self.db.pool())
                .await?;
            for row in &rows {
                let envelope: Vec<u8> = row.try_get(1)?;
                used.extend(kit::seal::key_id(&envelope).map(str::to_owned));
            }
            let Some(last) = rows.last() else { return Ok(used) };
            after = last.try_get(0)?;
        }
    }
}
