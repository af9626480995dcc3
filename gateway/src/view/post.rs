//! A published post.

use proto::platforms::v1::Post;
use serde::Serialize;
use utoipa::ToSchema;

use super::Time;

/// A post published through an account.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Post)]
pub struct PostView {
    /// The platform's id of it.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Pictures and videos.
    pub media: Vec<MediaView>,
    /// Where it is to be seen.
    pub permalink: String,
    /// When it was published.
    pub published_at: Option<Time>,
    /// null where the platform does not tell, here and below.
    pub reactions: Option<i64>,
    /// How many comments.
    pub comments: Option<i64>,
    /// How many shares.
    pub shares: Option<i64>,
    /// The first comments.
    pub comment_previews: Vec<CommentPreview>,
}

/// A picture or a video.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Media)]
pub struct MediaView {
    /// `image` or `video`.
    pub kind: String,
    /// At the platform.
    pub url: String,
}

/// A comment under a post.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CommentPreview {
    /// Who wrote it.
    pub author: String,
    /// What it says.
    pub text: String,
}

/// The post as people see it.
pub fn post(post: &Post) -> PostView {
    PostView {
        id: post.platform_post_id.clone(),
        text: post.text.clone(),
        media: post
            .media
            .iter()
            .map(|m| MediaView {
                kind: m.kind.clone(),
                url: m.url.clone(),
            })
            .collect(),
        permalink: post.permalink.clone(),
        published_at: Time::of(post.published_at_ms),
        reactions: post.reactions,
        comments: post.comments,
        shares: post.shares,
        comment_previews: post
            .comment_previews
            .iter()
            .map(|c| CommentPreview {
                author: c.author.clone(),
                text: c.text.clone(),
            })
            .collect(),
    }
}
