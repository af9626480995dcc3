//! Posts that were published through accounts, remembered for when the platform cannot be asked any more.

use prost::Message;
use proto::platforms::v1::Post;

use super::Store;
use crate::error::Error;

impl Store {
    /// Remembers posts, or what is newly known of them.
    pub(crate) async fn remember(&self, workspace_id: &str, account_id: &str, posts: &[Post]) -> Result<(), Error> {
        for post in posts.iter().filter(|post| !post.platform_post_id.is_empty()) {
            let put = "INSERT INTO posts (workspace_id, account_id, platform_post_id, published_at_ms, post) \
                       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace_id, account_id, platform_post_id) \
                       DO UPDATE SET published_at_ms = excluded.published_at_ms, post = excluded.post";
            sqlx::query(put)
                .bind(workspace_id)
                .bind(account_id)
                .bind(&post.platform_post_id)
                .bind(post.published_at_ms)
                .bind(post.encode_to_vec())
                .execute(self.db.pool())
                .await?;
        }
        Ok(())
    }

    /// Remembered posts before a place in the list, newest first.
    pub(crate) async fn posts(
        &self,
        workspace_id: &str,
        account_id: &str,
        before: Option<(i64, String)>,
        limit: i64,
    ) -> Result<Vec<Post>, Error> {
        let (at_ms, id) = before.unwrap_or((i64::MAX, String::new()));
        let page = "SELECT post FROM posts WHERE workspace_id = $1 AND account_id = $2 AND (published_at_ms < $3 \
                    OR (published_at_ms = $3 AND platform_post_id < $4)) \
                    ORDER BY published_at_ms DESC, platform_post_id DESC LIMIT $5";
        let page = sqlx::query_scalar::<_, Vec<u8>>(page)
            .bind(workspace_id)
            .bind(account_id)
            .bind(at_ms)
            .bind(id)
            .bind(limit);
        let rows = page.fetch_all(self.db.pool()).await?;
        rows.iter()
            .map(|bytes| Post::decode(bytes.as_slice()).map_err(|_| Error::Corrupt("post")))
            .collect()
    }
}
