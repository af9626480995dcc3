//! Starting a session: may this person, in this workspace, connect this platform now?

use kit::clock::millis;
use kit::grpc::Context;
use kit::{Failure, Person, id};
use proto::accounts::v1 as pb;
use proto::entitlements::v1 as entitlements;
use proto::platforms::v1::{AuthorizationUrlRequest, Connector, Platform};

use crate::error::Error;
use crate::hub::Hub;
use crate::model::account::AccountRow;
use crate::model::session::{Session, json};

impl Hub {
    /// Makes a session and the address that the person's browser is sent to.
    pub(crate) async fn begin_connect(
        &self,
        context: &Context,
        person: &Person,
        request: pb::BeginConnectRequest,
    ) -> Result<(pb::ConnectSession, String), Error> {
        check(&request)?;
        // A constant of the hub: nobody who asks, the gateway included, chooses where a code is sent.
        if request.redirect_uri != format!("{}/oauth/{}/callback", self.settings.public_url, request.platform) {
            return Err(Failure::invalid("/redirect_uri", "The redirect URI is the hub's own.").into());
        }
        self.check_platform(context, &request).await?;
        let platforms = self.catalogue.platforms().await?;
        let platform = platforms.connectable(&request.platform)?;
        let targets = self.targets(&request).await?;
        let connector = connector(platform, &targets, &request.method)?;
        let now_ms = self.clock.now_ms();
        let state = id::secret();
        let session = Session {
            id: id::new("cs", &self.clock),
            workspace_id: request.workspace_id.clone(),
            state_hash: id::sha256_hex(state.as_bytes()),
            browser_hash: hex::encode(&request.browser_hash),
            user_id: person.user_id.clone(),
            user_name: person.name.clone(),
            intent: if request.intent() == pb::Intent::Reconnect {
                "reconnect"
            } else {
                "connect"
            }
            .into(),
            platform: request.platform.clone(),
            connector: connector.id.clone(),
            account_ids: json(&request.account_ids),
            channel: channel(request.channel()).into(),
            return_to: if request.return_to.is_empty() {
                "connections".into()
            } else {
                request.return_to.clone()
            },
            redirect_uri: request.redirect_uri.clone(),
            sealed_verifier: Vec::new(),
            status: "pending".into(),
            created_at_ms: now_ms,
            expires_at_ms: now_ms + millis(self.settings.session_ttl),
            ..Session::default()
        };
        // Whoever reconnects connected accounts has their slots already.
        if targets.is_empty() || targets.iter().any(|target| !target.is_connected()) {
            self.reserve(context, &session).await?;
        }
        let ask = AuthorizationUrlRequest {
            connector: connector.id.clone(),
            session_id: session.id.clone(),
            state,
            redirect_uri: request.redirect_uri,
            rerequest: session.is_reconnect(),
        };
        let answer = match self.platforms.clone().authorization_url(context.request(ask)).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                self.release_slot(&session.workspace_id, &session.id).await.ok();
                return Err(status.into());
            }
        };
        let session = Session {
            sealed_verifier: answer.sealed_verifier,
            ..session
        };
        self.store.begin_session(&session).await?;
        Ok((session.view(Vec::new()), answer.url))
    }

    async fn check_platform(&self, context: &Context, request: &pb::BeginConnectRequest) -> Result<(), Error> {
        let ask = entitlements::CheckPlatformRequest {
            workspace_id: request.workspace_id.clone(),
            platform: request.platform.clone(),
        };
        self.entitlements.clone().check_platform(context.request(ask)).await?;
        Ok(())
    }

    pub(super) async fn reserve(&self, context: &Context, session: &Session) -> Result<(), Error> {
        let ask = entitlements::ReserveSlotRequest {
            workspace_id: session.workspace_id.clone(),
            session_id: session.id.clone(),
            user_id: session.user_id.clone(),
            expires_at_ms: session.expires_at_ms,
        };
        self.entitlements.clone().reserve_slot(context.request(ask)).await?;
        Ok(())
    }

    /// The accounts to reconnect: all of the workspace and of the platform, under one sign-in.
    async fn targets(&self, request: &pb::BeginConnectRequest) -> Result<Vec<AccountRow>, Error> {
        let mut targets: Vec<AccountRow> = Vec::new();
        for id in &request.account_ids {
            let account = self.store.account(&request.workspace_id, id).await?;
            if account.platform != request.platform {
                return Err(Failure::invalid("/account_ids", "The accounts are not of this platform.").into());
            }
            if targets.first().is_some_and(|first| first.grant_id != account.grant_id) {
                return Err(Failure::invalid("/account_ids", "The accounts are not under one sign-in.").into());
            }
            targets.push(account);
        }
        Ok(targets)
    }
}

/// What does not depend on anything stored.
fn check(request: &pb::BeginConnectRequest) -> Result<(), Failure> {
    let reconnect = request.intent() == pb::Intent::Reconnect;
    if request.intent() == pb::Intent::Unspecified {
        return Err(Failure::invalid("/intent", "The intent is connect or reconnect."));
    }
    if reconnect == request.account_ids.is_empty() || request.account_ids.len() > 100 {
        return Err(Failure::invalid(
            "/account_ids",
            "Reconnecting names 1 to 100 accounts, connecting none.",
        ));
    }
    if !matches!(request.return_to.as_str(), "" | "connections" | "overview" | "composer") {
        return Err(Failure::invalid(
            "/return_to",
            "The way back is connections, overview or composer.",
        ));
    }
    match request.channel() {
        pb::Channel::Unspecified => {
            return Err(Failure::invalid(
                "/channel",
                "The channel is popup, redirect or native.",
            ));
        }
        pb::Channel::Native if request.browser_hash.is_empty() => {}
        pb::Channel::Popup | pb::Channel::Redirect if request.browser_hash.len() == 32 => {}
        _ => {
            return Err(Failure::invalid(
                "/channel",
                "A browser's session is bound to its cookie, a native app's to none.",
            ));
        }
    }
    Ok(())
}

/// The way to connect: as asked for, as the accounts are connected now, or the platform's first. An account of an older
/// method that cannot publish is moved to the current one.
fn connector<'a>(platform: &'a Platform, targets: &[AccountRow], method: &str) -> Result<&'a Connector, Error> {
    let unknown = || Failure::invalid("/method", "The platform has no such method.");
    if !method.is_empty() {
        let found = platform.connectors.iter().find(|connector| connector.method == method);
        return Ok(found.ok_or_else(unknown)?);
    }
    let outdated = |account: &AccountRow| {
        account
            .assessment()
            .reasons
            .iter()
            .any(|reason| reason.fix == "reconnect_meta")
    };
    let kept = targets.first().filter(|account| !outdated(account));
    let kept = kept.and_then(|account| {
        platform
            .connectors
            .iter()
            .find(|connector| connector.id == account.connector)
    });
    Ok(kept.or(platform.connectors.first()).ok_or_else(unknown)?)
}

fn channel(channel: pb::Channel) -> &'static str {
    match channel {
        pb::Channel::Native => "native",
        pb::Channel::Redirect => "redirect",
        _ => "popup",
    }
}
