//! What a platform must be able to do. The defaults do OAuth from `Spec`; a platform's file overrides its quirks. Methods
//! that are not `async` are pure. `Ctx` sends; errors are already classified by the platform's table.

use proto::common::v1::PlatformError;
use proto::platforms::v1::{Answers, Credential, Destination, DiscoverResponse, Post, RawAnswer};

use crate::app::App;
use crate::ctx::Ctx;
use crate::http::Outgoing;
use crate::interpret::{self, Outcome};
use crate::oauth::{self, Ask, CodeGrant};
use crate::spec::Spec;

/// What a platform call gives back.
pub(crate) type Result<T> = std::result::Result<T, PlatformError>;

/// Where to read or write posts, and with which token.
pub(crate) struct Target {
    pub(crate) token: String,
    /// The destination's id, as `discover` gave it.
    pub(crate) id: String,
}

/// What is published.
pub(crate) struct Draft {
    pub(crate) text: String,
    /// Empty = text only.
    pub(crate) image_url: String,
}

/// Some posts and where the next page is.
pub(crate) type PostPage = (Vec<Post>, String);

/// One connector.
#[tonic::async_trait]
pub(crate) trait Adapter: Send + Sync {
    /// What can be said as data.
    fn spec(&self) -> &'static Spec;

    /// Another connector whose app and hosts serve here when none are configured.
    fn shares_app_with(&self) -> Option<&'static str> {
        None
    }

    /// Parameters of the consent page besides the common ones.
    fn dialog_extras(&self, _ask: &Ask<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The call that trades a code.
    fn code_call(&self, app: &App, grant: &CodeGrant<'_>) -> Outgoing {
        oauth::code_call(self.spec(), app, grant)
    }

    /// The call that an exchange makes after these answers. It may be repeated without harm.
    fn next_call(&self, _app: &App, _answers: &[RawAnswer]) -> Option<Outgoing> {
        None
    }

    /// The one call that renews; none when this credential cannot be.
    fn refresh_call(&self, app: &App, credential: &Credential) -> Option<Outgoing> {
        oauth::refresh_call(self.spec(), app, credential)
    }

    /// Reads the answers of an exchange (no previous credential) or of a refresh.
    fn interpret(&self, answers: &Answers, previous: Option<&Credential>) -> Outcome {
        interpret::interpret(self.spec(), answers, previous)
    }

    /// Who granted what, and where it can be published.
    async fn discover(&self, ctx: &Ctx, credential: &Credential) -> Result<DiscoverResponse>;

    /// Whether the credential still works, and for what. `known` are the destinations that the hub has.
    async fn inspect(&self, ctx: &Ctx, credential: &Credential, _known: &[Destination]) -> Result<DiscoverResponse> {
        self.discover(ctx, credential).await
    }

    /// Ends the grant, or the tokens where the platform ends no grants. Called only when `spec().revocable`.
    async fn revoke(&self, _ctx: &Ctx, _credential: &Credential, _platform_user_id: &str) -> Result<()> {
        Ok(())
    }

    /// Recent posts, newest first. Called only when the platform has the capability `post_feed`.
    async fn posts(&self, _ctx: &Ctx, _target: &Target, _limit: u32, _cursor: &str) -> Result<PostPage> {
        Ok(PostPage::default())
    }

    /// Publishes.
    async fn publish(&self, ctx: &Ctx, target: &Target, draft: &Draft) -> Result<Post>;
}
