//! Posts published through an account: asked at the platform while that answers, remembered for when it does not.

use kit::grpc::Context;
use kit::{Code, Failure};
use proto::accounts::v1 as pb;
use proto::platforms::v1 as platforms;

use crate::catalogue::is_capable;
use crate::error::Error;
use crate::hub::Hub;
use crate::model::account::AccountRow;
use crate::model::cursor;

/// Longest text that is passed on; the platforms' own limits are lower.
const LONGEST_TEXT: usize = 10_000;
const LONGEST_URL: usize = 2_048;

impl Hub {
    pub(crate) async fn recent_posts(
        &self,
        context: &Context,
        request: &pb::ListRecentPostsRequest,
    ) -> Result<pb::ListRecentPostsResponse, Error> {
        let row = self.store.account(&request.workspace_id, &request.account_id).await?;
        let known = self.catalogue.platforms().await?;
        let (platform, _) = known.connector(&row.connector)?;
        if !is_capable(platform, "post_feed") {
            return Err(Failure::new(Code::CapabilityNotSupported, "The platform has no feed of posts here.").into());
        }
        let limit = cursor::limit(request.limit, 10, 50)?;
        let list = format!("posts {}", row.id);
        let position = self.cursors.decode(&row.workspace_id, &list, &request.cursor)?;
        let remembered = position.as_deref().and_then(|position| position.strip_prefix("kept "));
        if row.is_connected() && remembered.is_none() {
            let live = position
                .as_deref()
                .and_then(|position| position.strip_prefix("live "))
                .unwrap_or_default();
            if let Ok(page) = self.ask_posts(context, &row, limit, live).await {
                self.store.remember(&row.workspace_id, &row.id, &page.posts).await?;
                let next = |next: &str| self.cursors.encode(&row.workspace_id, &list, &format!("live {next}"));
                let next_cursor = if page.next_cursor.is_empty() {
                    String::new()
                } else {
                    next(&page.next_cursor)
                };
                return Ok(pb::ListRecentPostsResponse {
                    posts: page.posts,
                    next_cursor,
                    remembered: false,
                });
            }
        }
        self.remembered_posts(&row, &list, limit, remembered).await
    }

    async fn ask_posts(
        &self,
        context: &Context,
        row: &AccountRow,
        limit: usize,
        cursor: &str,
    ) -> Result<platforms::ListPostsResponse, Error> {
        let ask = platforms::ListPostsRequest {
            workspace_id: row.workspace_id.clone(),
            account_id: row.id.clone(),
            limit: i32::try_from(limit).unwrap_or(i32::MAX),
            cursor: cursor.to_owned(),
        };
        Ok(self
            .platforms
            .clone()
            .list_posts(context.request(ask))
            .await?
            .into_inner())
    }

    async fn remembered_posts(
        &self,
        row: &AccountRow,
        list: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<pb::ListRecentPostsResponse, Error> {
        let place = |text: &str| {
            text.split_once(' ')
                .and_then(|(at, id)| Some((at.parse::<i64>().ok()?, id.to_owned())))
        };
        let more = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
        let mut posts = self
            .store
            .posts(&row.workspace_id, &row.id, after.and_then(place), more)
            .await?;
        let there_is_more = posts.len() > limit;
        posts.truncate(limit);
        let next_cursor = match posts.last().filter(|_| there_is_more) {
            Some(last) => {
                let position = format!("kept {} {}", last.published_at_ms, last.platform_post_id);
                self.cursors.encode(&row.workspace_id, list, &position)
            }
            None => String::new(),
        };
        Ok(pb::ListRecentPostsResponse {
            posts,
            next_cursor,
            remembered: true,
        })
    }

    /// Publishes through the account and remembers the post. Goes on when the caller goes away.
    pub(crate) async fn create_post(
        &self,
        context: &Context,
        request: &pb::CreatePostRequest,
    ) -> Result<platforms::Post, Error> {
        let account = self.account(&request.workspace_id, &request.account_id).await?;
        if account.status() != pb::AccountStatus::Connected {
            return Err(Error::AccountNotFound);
        }
        if !account.can_publish {
            return Err(unpublishable(&account).into());
        }
        let known = self.catalogue.platforms().await?;
        let (_, connector) = known.connector(&account.connector)?;
        check_post(request, connector.publish_needs_image)?;
        let ask = platforms::PublishPostRequest {
            workspace_id: request.workspace_id.clone(),
            account_id: request.account_id.clone(),
            text: request.text.clone(),
            image_url: request.image_url.clone(),
        };
        let (hub, call) = (self.clone(), context.request(ask));
        let (workspace_id, id) = (request.workspace_id.clone(), request.account_id.clone());
        let publishing = self.tasks.spawn(async move {
            let post = hub
                .platforms
                .clone()
                .publish_post(call)
                .await?
                .into_inner()
                .post
                .ok_or(Error::Corrupt("post"))?;
            // It is out: failing now would have it published twice.
            if let Err(error) = hub
                .store
                .remember(&workspace_id, &id, std::slice::from_ref(&post))
                .await
            {
                tracing::warn!(account = id, %error, "a published post could not be remembered");
            }
            Ok::<_, Error>(post)
        });
        publishing.await.map_err(|_| Error::Corrupt("task"))?
    }

    /// Remembers a post that another service published.
    pub(crate) async fn record_post(&self, request: &pb::RecordPostRequest) -> Result<(), Error> {
        let row = self.store.account(&request.workspace_id, &request.account_id).await?;
        let post = request.post.as_ref().filter(|post| !post.platform_post_id.is_empty());
        let post = post.ok_or_else(|| Failure::invalid("/post", "A post has the platform's id."))?;
        self.store
            .remember(&row.workspace_id, &row.id, std::slice::from_ref(post))
            .await
    }
}

fn check_post(request: &pb::CreatePostRequest, needs_image: bool) -> Result<(), Failure> {
    if request.text.trim().is_empty() && request.image_url.is_empty() {
        return Err(Failure::invalid("/text", "Write something."));
    }
    if request.text.chars().count() > LONGEST_TEXT {
        return Err(Failure::invalid("/text", "The text is too long."));
    }
    if needs_image && request.image_url.is_empty() {
        return Err(Failure::invalid("/image_url", "This platform needs an image."));
    }
    let web = request.image_url.starts_with("https://") || request.image_url.starts_with("http://");
    if !request.image_url.is_empty() && (!web || request.image_url.len() > LONGEST_URL) {
        return Err(Failure::invalid("/image_url", "The image is a web address."));
    }
    Ok(())
}

/// Why nothing can be published through the account now.
fn unpublishable(account: &pb::Account) -> Failure {
    let problem = account.publish_problem.as_str();
    let failure = match problem {
        "token" => Failure::new(Code::TokenUnavailable, "The account needs to be reconnected first."),
        "plan_locked" => Failure::new(Code::PlanLocked, "The workspace's plan does not cover this account."),
        "permission_missing" => Failure::new(
            Code::TokenUnavailable,
            "The permission to publish is missing; reconnect the account.",
        ),
        _ => Failure::new(Code::CapabilityNotSupported, "This account cannot receive posts."),
    };
    failure.param("reason", problem).param("account_id", &account.id)
}
