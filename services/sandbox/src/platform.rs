//! What an imitation must provide, and the list of imitations. A new platform is one file and one line in
//! `imitation` and `ALL`.

use serde::{Deserialize, Serialize};

use crate::call::{Call, Reply};
use crate::consent::{Dialog, Verdict};
use crate::switches::{Effects, RateLimit};
use crate::world::World;

/// The imitated platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Facebook Pages, and Instagram through Facebook.
    Facebook,
    /// Instagram Login.
    Instagram,
    /// TikTok Login Kit and Content Posting.
    TikTok,
    /// X with OAuth 2.0.
    X,
    /// LinkedIn members and organisations.
    LinkedIn,
}

/// All platforms, in the order the index page lists them.
pub const ALL: [Platform; 5] = [
    Platform::Facebook,
    Platform::Instagram,
    Platform::TikTok,
    Platform::X,
    Platform::LinkedIn,
];

impl Platform {
    /// The name in the control API and the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Facebook => "facebook",
            Self::Instagram => "instagram",
            Self::TikTok => "tiktok",
            Self::X => "x",
            Self::LinkedIn => "linkedin",
        }
    }

    /// The name as people write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Facebook => "Facebook",
            Self::Instagram => "Instagram",
            Self::TikTok => "TikTok",
            Self::X => "X",
            Self::LinkedIn => "LinkedIn",
        }
    }

    pub(crate) fn imitation(self) -> &'static dyn Imitation {
        match self {
            Self::Facebook => &crate::facebook::Facebook,
            Self::Instagram => &crate::instagram::Instagram,
            Self::TikTok => &crate::tiktok::TikTok,
            Self::X => &crate::x::X,
            Self::LinkedIn => &crate::linkedin::LinkedIn,
        }
    }
}

/// What a request is for, in words that all platforms share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// The consent page is shown.
    Dialog,
    /// The consent page is answered, by form or by `/_sandbox/consent`.
    Consent,
    /// A code, or Meta's short-lived token, becomes a token.
    Exchange,
    /// A token is renewed.
    Refresh,
    /// A token or its permissions are looked at.
    Inspect,
    /// A token or a permission is given up by the app.
    Revoke,
    /// Who is this.
    Identity,
    /// Which Pages, businesses, organisations.
    Discover,
    /// Recent posts are read.
    Posts,
    /// Something is published, or the steps before that.
    Publish,
}

/// The app, as this platform knows it, is `world.apps.of(platform)`.
pub(crate) trait Imitation: Sync {
    /// What the request means here; `None` when the path is not this platform's.
    fn recognise(&self, call: &Call) -> Option<Operation>;

    /// Everything except the consent page.
    fn answer(&self, cx: &mut Cx<'_>) -> Reply;

    /// Checks an authorization request; the error is the platform's own page or redirect.
    fn dialog(&self, world: &World, call: &Call) -> Result<Dialog, Reply>;

    /// Where the browser goes after the person decided.
    fn callback(&self, dialog: &Dialog, verdict: &Verdict) -> String;

    fn rate_limited(&self, limit: &RateLimit, now_ms: i64) -> Reply;
    fn server_error(&self, status: u16) -> Reply;
    fn wrong_secret(&self) -> Reply;
    fn version_retired(&self) -> Reply;
}

/// One call being answered.
pub(crate) struct Cx<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) call: &'a Call,
    pub(crate) effects: &'a Effects,
}
