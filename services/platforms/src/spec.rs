//! What a platform and each of its connectors is, as data. Lists, links, lifetimes, error tables and health rules of
//! the whole hub are derived from these values: there is no second list of platforms. The OAuth defaults in `adapter`
//! and `interpret` read them; what cannot be said as data is an override in the platform's own file.

use proto::platforms::v1::{self as pb, Renewal};

use crate::adapter::Adapter;
use crate::app::App;
use crate::classify::Row;

/// Milliseconds in an hour and in a day, for lifetimes below.
pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A platform as people know it.
pub(crate) struct Platform {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// For sentences.
    pub(crate) short_title: &'static str,
    pub(crate) capabilities: &'static [&'static str],
    /// Granted and missing scopes are shown to admins.
    pub(crate) token_diagnostics: bool,
    /// Where a person finds our app in the platform's settings.
    pub(crate) settings_hint: &'static str,
    /// Ways to connect; none for a platform to come.
    pub(crate) connectors: &'static [&'static dyn Adapter],
}

/// Proof key of RFC 7636 as the platform wants it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pkce {
    None,
    /// S256 as the RFC writes it.
    Base64Url,
    /// TikTok's hexadecimal S256, when the app's configuration says so.
    HexIfConfigured,
}

/// Where the client secret goes in a token call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// GET, everything in the query.
    Query,
    /// POST form, secret in the body.
    Body,
    /// POST form, HTTP Basic.
    Basic,
}

/// One permission.
pub(crate) struct Scope {
    pub(crate) name: &'static str,
    /// Plain words.
    pub(crate) label: &'static str,
    pub(crate) need: Need,
    /// Kinds of destination that need it; empty = all.
    pub(crate) kinds: &'static [&'static str],
}

/// What the lack of a permission does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Some feature is limited.
    Optional,
    /// The account is amber.
    Required,
    /// Amber, and nothing can be published.
    Publish,
}

/// One way to connect.
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts about a platform, not states"
)]
pub(crate) struct Spec {
    pub(crate) id: &'static str,
    /// `oauth`, `instagram_login` or `facebook_login`.
    pub(crate) method: &'static str,
    pub(crate) scopes: &'static [Scope],
    /// Between scopes in the authorization URL.
    pub(crate) separator: &'static str,
    /// `client_id` or what the platform calls it.
    pub(crate) client_id: &'static str,
    pub(crate) client_auth: ClientAuth,
    pub(crate) pkce: Pkce,
    /// Below `dialog_base`; `{version}` is the configured API version.
    pub(crate) dialog_path: &'static str,
    /// Below `token_base`.
    pub(crate) token_path: &'static str,
    /// How a credential without a refresh token is renewed.
    pub(crate) renewal: Renewal,
    /// How one with a refresh token is.
    pub(crate) renewal_by_refresh_token: Renewal,
    /// A refresh that got no answer may be sent again without harm.
    pub(crate) repeatable_refresh: bool,
    pub(crate) min_refresh_age_ms: i64,
    pub(crate) announced_refresh: bool,
    pub(crate) shared_grant: bool,
    pub(crate) revocable: bool,
    pub(crate) publish_needs_image: bool,
    /// Limits end at midnight UTC when an answer does not say when.
    pub(crate) daily_limits: bool,
    /// Calls name an API version.
    pub(crate) versioned: bool,
    /// When the reply does not say: of a code's token that is exchanged once more, and of the lasting one.
    pub(crate) first_lifetime_ms: i64,
    pub(crate) default_lifetime_ms: i64,
    /// First match wins.
    pub(crate) errors: &'static [Row],
}

impl Scope {
    /// Words for a permission, required or not.
    pub(crate) const fn new(name: &'static str, label: &'static str, need: Need) -> Self {
        Self {
            name,
            label,
            need,
            kinds: &[],
        }
    }

    /// The same for some kinds of destination only.
    pub(crate) const fn only(self, kinds: &'static [&'static str]) -> Self {
        Self { kinds, ..self }
    }
}

impl Spec {
    /// The permissions that the configuration asks for; one we have no words for speaks for itself.
    fn asked(&self, app: &App) -> Vec<pb::Scope> {
        let scope = |name: &String| match self.scopes.iter().find(|scope| scope.name == name) {
            Some(scope) => pb::Scope {
                name: name.clone(),
                label: scope.label.to_owned(),
                required: scope.need != Need::Optional,
                publish: scope.need == Need::Publish,
                kinds: scope.kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            },
            None => pb::Scope {
                name: name.clone(),
                label: name.clone(),
                ..pb::Scope::default()
            },
        };
        app.scopes.iter().map(scope).collect()
    }

    /// The connector as other services see it.
    pub(crate) fn connector(&self, app: &App) -> pb::Connector {
        pb::Connector {
            id: self.id.to_owned(),
            method: self.method.to_owned(),
            scopes: self.asked(app),
            renewal: self.renewal_by_refresh_token.into(),
            repeatable_refresh: self.repeatable_refresh,
            min_refresh_age_ms: self.min_refresh_age_ms,
            announced_refresh: self.announced_refresh,
            shared_grant: self.shared_grant,
            revocable: self.revocable,
            publish_needs_image: self.publish_needs_image,
            default_lifetime_ms: self.default_lifetime_ms,
            dialog_origin: app.dialog_base.clone(),
            calls_per_minute: i32::try_from(app.calls_per_minute).unwrap_or(i32::MAX),
        }
    }
}

impl Platform {
    /// The platform as other services see it, with those connectors that `app` knows.
    pub(crate) fn describe<'a>(&self, app: impl Fn(&str) -> Option<&'a App>) -> pb::Platform {
        let known = |adapter: &&'static dyn Adapter| Some((adapter.spec(), app(adapter.spec().id)?));
        let mut connectors: Vec<_> = self.connectors.iter().filter_map(known).collect();
        // What is not set up is described all the same: accounts of it may be there since it was.
        connectors.sort_by_key(|(_, app)| !app.is_set_up);
        let connectable = connectors.iter().any(|(_, app)| app.is_set_up);
        pb::Platform {
            id: self.id.to_owned(),
            title: self.title.to_owned(),
            short_title: self.short_title.to_owned(),
            connectors: connectors.into_iter().map(|(spec, app)| spec.connector(app)).collect(),
            capabilities: self
                .capabilities
                .iter()
                .map(|capability| (*capability).to_owned())
                .collect(),
            connectable,
            token_diagnostics: self.token_diagnostics,
            settings_hint: self.settings_hint.to_owned(),
        }
    }
}
