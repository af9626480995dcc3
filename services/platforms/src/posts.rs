//! Reading and writing posts. The token comes from the tokens service, in the name of whoever asks; a token that the
//! platform refuses is reported back, once, and the caller is told in plain words. Publishing runs detached: once begun,
//! no caller's going away leaves a post half made.

use std::sync::Arc;

use kit::grpc::{Client, Context};
use kit::{Code, Failure};
use proto::common::v1::{ErrorClass, PlatformError};
use proto::platforms::v1::{ListPostsResponse, Post};
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use proto::tokens::v1::{GetAccessTokenRequest, GetAccessTokenResponse, ReportRejectedRequest};

use crate::adapter::{Adapter, Draft, Target};
use crate::ctx::Ctx;
use crate::discovery;
use crate::error::Error;
use crate::platforms;

/// Longest text that is passed on; every platform allows less.
const LONGEST_TEXT: usize = 20_000;

/// One account as a place for posts, with its token.
pub(crate) struct Place {
    pub(crate) adapter: &'static dyn Adapter,
    pub(crate) ctx: Arc<Ctx>,
    pub(crate) target: Target,
    account_id: String,
    workspace_id: String,
    generation: i64,
    tokens: TokensServiceClient<Client>,
    context: Context,
}

/// Asks tokens for the account's token.
pub(crate) async fn place(
    mut tokens: TokensServiceClient<Client>,
    context: Context,
    find: impl Fn(&str) -> Result<(&'static dyn Adapter, Arc<Ctx>), Failure>,
    workspace_id: &str,
    account_id: &str,
) -> Result<Place, Error> {
    let ask = GetAccessTokenRequest {
        workspace_id: workspace_id.to_owned(),
        account_id: account_id.to_owned(),
        min_ttl: None,
    };
    let answer = tokens
        .get_access_token(context.request(ask))
        .await
        .map_err(Failure::from)?
        .into_inner();
    let GetAccessTokenResponse {
        access_token,
        generation,
        connector,
        platform_account_id,
        ..
    } = answer;
    let (adapter, ctx) = find(&connector)?;
    Ok(Place {
        adapter,
        ctx,
        target: Target {
            token: access_token,
            id: platform_account_id,
        },
        account_id: account_id.to_owned(),
        workspace_id: workspace_id.to_owned(),
        generation,
        tokens,
        context,
    })
}

impl Place {
    fn platform(&self) -> &'static str {
        platforms::platform_of(self.adapter.spec().id).map_or("The platform", |platform| platform.short_title)
    }

    /// A page of posts, newest first.
    pub(crate) async fn list(mut self, limit: i32, cursor: &str) -> Result<ListPostsResponse, Error> {
        let platform = platforms::platform_of(self.adapter.spec().id);
        if !platform.is_some_and(|platform| platform.capabilities.contains(&"post_feed")) {
            let text = format!("{} shows no posts here", self.platform());
            return Err(Failure::new(Code::CapabilityNotSupported, text).into());
        }
        let limit = if limit == 0 {
            10
        } else {
            u32::try_from(limit).unwrap_or(0)
        };
        if !(1..=50).contains(&limit) {
            return Err(Failure::invalid("/limit", "must be 1 to 50").into());
        }
        match self.adapter.posts(&self.ctx, &self.target, limit, cursor).await {
            Ok((posts, next_cursor)) => Ok(ListPostsResponse { posts, next_cursor }),
            Err(error) => Err(self.refused(error).await),
        }
    }

    /// Publishes.
    pub(crate) async fn publish(mut self, draft: Draft) -> Result<Post, Error> {
        check(self.adapter, &draft)?;
        match self.adapter.publish(&self.ctx, &self.target, &draft).await {
            Ok(post) => Ok(post),
            Err(error) => Err(self.refused(error).await),
        }
    }

    /// Tells tokens when it was the token that was refused.
    async fn refused(&mut self, error: PlatformError) -> Error {
        if discovery::is_dead(&error) || error.class() == ErrorClass::RoleLost {
            let report = ReportRejectedRequest {
                workspace_id: self.workspace_id.clone(),
                account_id: self.account_id.clone(),
                generation: self.generation,
                error: format!("{} {}", error.code, error.message),
            };
            if let Err(status) = self.tokens.report_rejected(self.context.request(report)).await {
                tracing::warn!(code = ?status.code(), "a refused token could not be reported");
            }
        }
        Error::Platform {
            platform: self.platform(),
            error,
        }
    }
}

/// What can be refused without asking the platform.
fn check(adapter: &'static dyn Adapter, draft: &Draft) -> Result<(), Failure> {
    if draft.text.len() > LONGEST_TEXT {
        return Err(Failure::invalid("/text", "is too long"));
    }
    if draft.image_url.is_empty() {
        return match (adapter.spec().publish_needs_image, draft.text.trim().is_empty()) {
            (true, _) => Err(Failure::invalid("/image_url", "this platform publishes images only")),
            (false, true) => Err(Failure::invalid("/text", "is empty")),
            (false, false) => Ok(()),
        };
    }
    match url::Url::parse(&draft.image_url) {
        Ok(url) if url.scheme() == "https" && url.username().is_empty() && url.password().is_none() => Ok(()),
        _ => Err(Failure::invalid("/image_url", "must be an https address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_that_a_platform_cannot_take_is_refused_here() {
        let problem = |connector: &str, text: &str, image_url: &str| {
            let adapter = platforms::adapter(connector).unwrap();
            check(
                adapter,
                &Draft {
                    text: text.into(),
                    image_url: image_url.into(),
                },
            )
            .err()
            .map(|failure| failure.fields[0].0.clone())
        };
        assert_eq!(problem("x", "Bread", ""), None);
        assert_eq!(problem("x", " ", "").as_deref(), Some("/text"));
        assert_eq!(problem("instagram", "Bread", "").as_deref(), Some("/image_url"));
        assert_eq!(problem("instagram", "Bread", "https://example.test/b.jpg"), None);
        for bad in [
            "http://example.test/b.jpg",
            "file:///etc/passwd",
            "https://u:p@example.test/",
            "x",
        ] {
            assert_eq!(
                problem("instagram", "Bread", bad).as_deref(),
                Some("/image_url"),
                "{bad}"
            );
        }
    }
}
