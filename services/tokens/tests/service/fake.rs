//! The platforms service as a test plays it: a platform that rotates refresh tokens, refuses, goes silent, or is gone, that
//! counts what it was asked, and keeps answers by attempt id as the real one does.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use kit::Clock;
use proto::common::v1::{ErrorClass, PlatformError};
use proto::platforms::v1::platforms_service_server::{PlatformsService, PlatformsServiceServer};
use proto::platforms::v1::*;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// What the platform does with the next refresh.
#[derive(Clone)]
pub(crate) enum Act {
    /// Renews, which is also what it does when nothing is said.
    Renew,
    /// Renews once the gate is opened.
    RenewAfter(watch::Receiver<bool>),
    /// Renews, and the answer is lost on the way.
    RenewInSilence,
    /// The connection ends before the platform has seen anything.
    Drop,
    /// Answers with a page that nobody can read.
    Garbage,
    /// Refuses with this class.
    Refuse(ErrorClass),
    /// Answers with a refresh token and nothing else, which is the only valid one then.
    OnlyRefreshToken,
    /// Is not sent at all.
    NotSent,
}

#[derive(Default)]
pub(crate) struct Truth {
    pub(crate) acts: VecDeque<Act>,
    /// Refreshes that reached the platform.
    pub(crate) refreshes: usize,
    pub(crate) exchanges: usize,
    pub(crate) inspections: usize,
    pub(crate) revoked: Vec<String>,
    /// Refresh tokens that were sent after they had been spent.
    pub(crate) reused: usize,
    /// The refresh token that is valid now, by user.
    pub(crate) valid: HashMap<String, String>,
    /// What an inspection finds; `None` = it works.
    pub(crate) inspection: Option<ErrorClass>,
    pub(crate) granted: Vec<String>,
    /// Pages of a user of the shared connector.
    pub(crate) pages: Vec<String>,
    pub(crate) discoveries: usize,
    pub(crate) lifetime_ms: i64,
    pub(crate) exchange_gate: Option<watch::Receiver<bool>>,
    pub(crate) reads_fail: bool,
    /// So many calls for a refresh break before platforms has taken anything in.
    pub(crate) breaks: usize,
    /// So many calls that need a marker are held back for want of one.
    pub(crate) unmarked: usize,
    /// So many calls for a refresh break once it is under way.
    pub(crate) cuts: usize,
    /// Revocations wait for this to be opened; then all tokens of the user end that there are.
    pub(crate) revoke_gate: Option<watch::Receiver<bool>>,
    /// Access tokens numbered up to this have ended, by user.
    ended: HashMap<String, usize>,
    /// Who asks for the answer of a call that is under way is told at once that there is none.
    pub(crate) impatient: bool,
    pub(crate) kept: HashMap<String, Answers>,
    /// Calls that the platform takes in a minute; 0 = it does not say.
    pub(crate) calls_per_minute: i32,
    /// When whose credential was renewed, by its access token.
    pub(crate) renewals: Vec<(i64, String)>,
    /// This connector's refreshes are never answered.
    pub(crate) hangs: Option<&'static str>,
    /// Attempts that were sent, whatever came of them.
    sent: HashSet<String>,
    under_way: HashMap<String, watch::Receiver<bool>>,
}

#[derive(Clone)]
pub(crate) struct Fake {
    truth: Arc<Mutex<Truth>>,
    clock: Clock,
}

pub(crate) fn failure(class: ErrorClass) -> PlatformError {
    PlatformError {
        class: class.into(),
        code: "code".into(),
        message: "said so".into(),
        retry_after_ms: None,
    }
}

fn silence() -> Answers {
    Answers {
        delivery: Delivery::Unknown.into(),
        reason: "no answer".into(),
        ..Answers::default()
    }
}

impl Fake {
    /// A platform on a port of its own; its address.
    pub(crate) async fn start(clock: Clock) -> (Self, String) {
        let truth = Truth {
            lifetime_ms: 7_200_000,
            pages: vec!["p1".into(), "p2".into()],
            ..Truth::default()
        };
        let fake = Self {
            truth: Arc::new(Mutex::new(truth)),
            clock,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder().add_service(PlatformsServiceServer::new(fake.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (fake, url)
    }

    pub(crate) fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap()
    }

    /// Refreshes that reached the platform, and spent tokens among them.
    pub(crate) fn calls(&self) -> (usize, usize) {
        let truth = self.truth();
        (truth.refreshes, truth.reused)
    }

    /// A call is under way at the platform.
    pub(crate) fn is_calling(&self) -> bool {
        !self.truth().under_way.is_empty()
    }

    /// How many are.
    pub(crate) fn calls_under_way(&self) -> usize {
        self.truth().under_way.len()
    }

    pub(crate) fn next(&self, act: Act) {
        self.truth().acts.push_back(act);
    }

    fn credential(&self, user: &str, number: usize, connector: &str) -> Credential {
        let now = self.clock.now_ms();
        let renewal = renewal(connector);
        let rotating = renewal == Renewal::Rotating;
        let life = if rotating {
            self.truth().lifetime_ms
        } else {
            60 * 86_400_000
        };
        Credential {
            access_token: format!("access-{user}-{number}"),
            refresh_token: if rotating {
                format!("refresh-{user}-{number}")
            } else {
                String::new()
            },
            token_type: "Bearer".into(),
            access_expires_at_ms: now + life,
            issued_at_ms: now,
            renewal: renewal.into(),
            ..Credential::default()
        }
    }

    /// The next call renews once the gate is opened, and whoever made it loses sight of it.
    pub(crate) fn next_unseen(&self) -> watch::Sender<bool> {
        let (open, gate) = watch::channel(false);
        let mut truth = self.truth();
        truth.acts.push_back(Act::RenewAfter(gate));
        (truth.cuts, truth.impatient) = (1, true);
        open
    }

    /// The one-time number in an access token.
    fn number(token: &str) -> usize {
        token
            .rsplit('-')
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or_default()
    }

    fn answered(body: &str) -> Answers {
        let answer = RawAnswer {
            step: "refresh".into(),
            status: 200,
            body: body.into(),
            ..RawAnswer::default()
        };
        Answers {
            answers: vec![answer],
            delivery: Delivery::Answered.into(),
            ..Answers::default()
        }
    }

    /// The platform spends the refresh token and issues the next.
    fn rotate(&self, sent: &Credential) -> Option<String> {
        let mut truth = self.truth();
        truth.refreshes += 1;
        truth.renewals.push((self.clock.now_ms(), sent.access_token.clone()));
        let number = truth.refreshes;
        let user = sent.access_token.split('-').nth(1).unwrap_or_default().to_owned();
        if sent.refresh_token.is_empty() {
            return Some(format!("renewed {user} {number}"));
        }
        if truth.valid.get(&user) != Some(&sent.refresh_token) {
            truth.reused += 1;
            return None;
        }
        truth.valid.insert(user.clone(), format!("refresh-{user}-{number}"));
        Some(format!("renewed {user} {number}"))
    }

    async fn act(&self, sent: &Credential) -> Answers {
        let act = self.truth().acts.pop_front().unwrap_or(Act::Renew);
        let or_refused =
            |body: Option<String>| body.unwrap_or_else(|| format!("refused {}", ErrorClass::Revoked as i32));
        match act {
            Act::Renew => Self::answered(&or_refused(self.rotate(sent))),
            Act::RenewAfter(mut gate) => {
                gate.wait_for(|open| *open).await.unwrap();
                Self::answered(&or_refused(self.rotate(sent)))
            }
            Act::RenewInSilence => {
                self.rotate(sent);
                silence()
            }
            Act::Drop => silence(),
            Act::Garbage => Self::answered("<html>Attention required</html>"),
            Act::Refuse(class) => {
                self.truth().refreshes += 1;
                Self::answered(&format!("refused {}", class as i32))
            }
            Act::OnlyRefreshToken => {
                let body = or_refused(self.rotate(sent)).replace("renewed", "salvage");
                Self::answered(&body)
            }
            Act::NotSent => Answers {
                delivery: Delivery::NotSent.into(),
                reason: "refused".into(),
                ..Answers::default()
            },
        }
    }
}

pub(crate) fn renewal(connector: &str) -> Renewal {
    match connector {
        "rotating" => Renewal::Rotating,
        "shared" => Renewal::Exchange,
        _ => Renewal::ReconnectOnly,
    }
}

fn connector(id: &str) -> Connector {
    let shared = id == "shared";
    Connector {
        id: id.into(),
        method: "oauth".into(),
        scopes: vec![Scope {
            name: "publish".into(),
            required: true,
            ..Scope::default()
        }],
        renewal: renewal(id).into(),
        repeatable_refresh: shared,
        announced_refresh: shared,
        shared_grant: shared,
        revocable: id != "plain",
        ..Connector::default()
    }
}

#[tonic::async_trait]
impl PlatformsService for Fake {
    async fn list_platforms(
        &self,
        _: Request<ListPlatformsRequest>,
    ) -> Result<Response<ListPlatformsResponse>, Status> {
        let calls_per_minute = self.truth().calls_per_minute;
        let paced = |id| Connector {
            calls_per_minute,
            ..connector(id)
        };
        let connectors = ["rotating", "shared", "plain"].map(paced).into();
        let platforms = vec![Platform {
            id: "fake".into(),
            connectors,
            ..Platform::default()
        }];
        Ok(Response::new(ListPlatformsResponse { platforms }))
    }

    async fn exchange(&self, request: Request<ExchangeRequest>) -> Result<Response<ExchangeResponse>, Status> {
        let message = request.into_inner();
        let kept = self.truth().kept.get(&message.session_id).cloned();
        if let Some(kept) = kept {
            return Ok(Response::new(ExchangeResponse { answers: Some(kept) }));
        }
        // The code names the user.
        let user = message.code;
        let body = {
            let mut truth = self.truth();
            truth.exchanges += 1;
            let number = 1000 + truth.exchanges;
            truth.valid.insert(user.clone(), format!("refresh-{user}-{number}"));
            format!("renewed {user} {number}")
        };
        let answers = Self::answered(&body);
        self.truth().kept.insert(message.session_id, answers.clone());
        let gate = self.truth().exchange_gate.clone();
        if let Some(mut gate) = gate {
            gate.wait_for(|open| *open).await.unwrap();
        }
        Ok(Response::new(ExchangeResponse { answers: Some(answers) }))
    }

    async fn refresh(&self, request: Request<RefreshRequest>) -> Result<Response<RefreshResponse>, Status> {
        let message = request.into_inner();
        let hangs = self.truth().hangs;
        if hangs == Some(message.connector.as_str()) {
            std::future::pending::<()>().await;
        }
        let id = message.attempt_id;
        if message.needs_marker
            && let Some(left) = { self.truth().unmarked.checked_sub(1) }
        {
            self.truth().unmarked = left;
            let answers = Answers {
                delivery: Delivery::HeldBack.into(),
                unmarked: true,
                ..Answers::default()
            };
            return Ok(Response::new(RefreshResponse { answers: Some(answers) }));
        }
        if let Some(left) = { self.truth().breaks.checked_sub(1) } {
            self.truth().breaks = left;
            return Err(Status::unavailable("broken"));
        }
        loop {
            let (kept, under_way, silent) = {
                let truth = self.truth();
                let under_way = truth.under_way.get(&id).cloned();
                let silent = truth.sent.contains(&id) && (truth.impatient || under_way.is_none());
                (truth.kept.get(&id).cloned(), under_way, silent)
            };
            if let Some(answers) = kept {
                return Ok(Response::new(RefreshResponse { answers: Some(answers) }));
            }
            if silent {
                return Ok(Response::new(RefreshResponse {
                    answers: Some(silence()),
                }));
            }
            let Some(mut under_way) = under_way else { break };
            let _ = under_way.wait_for(|done| *done).await;
        }
        if message.send_before_ms <= self.clock.now_ms() {
            let answers = Answers {
                delivery: Delivery::NotSent.into(),
                ..Answers::default()
            };
            return Ok(Response::new(RefreshResponse { answers: Some(answers) }));
        }
        let (done, under_way) = watch::channel(false);
        self.truth().under_way.insert(id.clone(), under_way);
        self.truth().sent.insert(id.clone());
        // Detached, as in the real one: a caller that dies does not take the answer with it.
        let fake = self.clone();
        let working = tokio::spawn(async move {
            let answers = fake.act(&message.credential.unwrap_or_default()).await;
            if answers.delivery() == Delivery::Answered {
                fake.truth().kept.insert(id.clone(), answers.clone());
            }
            if answers.delivery() == Delivery::NotSent {
                fake.truth().sent.remove(&id);
            }
            fake.truth().under_way.remove(&id);
            let _ = done.send(true);
            answers
        });
        if let Some(left) = { self.truth().cuts.checked_sub(1) } {
            self.truth().cuts = left;
            return Err(Status::unavailable("cut"));
        }
        Ok(Response::new(RefreshResponse {
            answers: Some(working.await.unwrap()),
        }))
    }

    async fn interpret(&self, request: Request<InterpretRequest>) -> Result<Response<InterpretResponse>, Status> {
        if self.truth().reads_fail {
            return Err(Status::unavailable("away"));
        }
        let message = request.into_inner();
        let answers = message.answers.unwrap_or_default();
        let body = answers
            .answers
            .first()
            .map(|answer| String::from_utf8_lossy(&answer.body).into_owned())
            .unwrap_or_default();
        let words = body.split(' ').collect::<Vec<_>>();
        let read = match words[..] {
            ["renewed", user, number] => {
                let credential = self.credential(user, number.parse().unwrap(), &message.connector);
                InterpretResponse {
                    outcome: Some(interpret_response::Outcome::Renewed(credential)),
                    ..InterpretResponse::default()
                }
            }
            ["salvage", user, number] => InterpretResponse {
                outcome: Some(interpret_response::Outcome::Refused(failure(ErrorClass::Transient))),
                salvaged_refresh_token: format!("refresh-{user}-{number}"),
            },
            ["refused", class] => {
                let class = ErrorClass::try_from(class.parse::<i32>().unwrap()).unwrap();
                let outcome = Some(interpret_response::Outcome::Refused(failure(class)));
                InterpretResponse {
                    outcome,
                    ..InterpretResponse::default()
                }
            }
            _ => InterpretResponse::default(),
        };
        Ok(Response::new(read))
    }

    async fn acknowledge(&self, _: Request<AcknowledgeRequest>) -> Result<Response<AcknowledgeResponse>, Status> {
        Ok(Response::new(AcknowledgeResponse {}))
    }

    async fn discover(&self, request: Request<DiscoverRequest>) -> Result<Response<DiscoverResponse>, Status> {
        let message = request.into_inner();
        let token = message.credential.unwrap_or_default().access_token;
        let user = token.split('-').nth(1).unwrap_or_default().to_owned();
        let mut truth = self.truth();
        truth.discoveries += 1;
        if truth.ended.get(&user).is_some_and(|last| Self::number(&token) <= *last) {
            return Ok(Response::new(DiscoverResponse {
                error: Some(failure(ErrorClass::Revoked)),
                ..DiscoverResponse::default()
            }));
        }
        let shared = message.connector == "shared";
        let ids = if shared {
            truth.pages.clone()
        } else {
            vec![format!("at-{user}")]
        };
        let destinations = ids.into_iter().map(|id| Destination {
            derived_token: if shared {
                format!("page-{id}-of-{token}")
            } else {
                String::new()
            },
            platform_account_id: id,
            kind: "page".into(),
            can_publish: true,
            ..Destination::default()
        });
        Ok(Response::new(DiscoverResponse {
            platform_user_id: user.clone(),
            user_name: format!("User {user}"),
            granted_scopes: vec!["publish".into()],
            destinations: destinations.collect(),
            ..DiscoverResponse::default()
        }))
    }

    async fn inspect(&self, _: Request<InspectRequest>) -> Result<Response<InspectResponse>, Status> {
        let mut truth = self.truth();
        truth.inspections += 1;
        let found = match truth.inspection {
            Some(class) => DiscoverResponse {
                error: Some(failure(class)),
                ..DiscoverResponse::default()
            },
            None => DiscoverResponse {
                granted_scopes: truth.granted.clone(),
                ..DiscoverResponse::default()
            },
        };
        Ok(Response::new(InspectResponse { found: Some(found) }))
    }

    async fn revoke(&self, request: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        let credential = request.into_inner().credential.unwrap_or_default();
        let gate = self.truth().revoke_gate.clone();
        if let Some(mut gate) = gate {
            gate.wait_for(|open| *open).await.unwrap();
            let user = credential.access_token.split('-').nth(1).unwrap_or_default().to_owned();
            let last = 1000 + self.truth().exchanges;
            self.truth().ended.insert(user, last);
        }
        self.truth().revoked.push(credential.access_token);
        Ok(Response::new(RevokeResponse {
            supported: true,
            error: None,
        }))
    }

    async fn authorization_url(
        &self,
        _: Request<AuthorizationUrlRequest>,
    ) -> Result<Response<AuthorizationUrlResponse>, Status> {
        Err(Status::unimplemented("not for tokens"))
    }

    async fn list_posts(&self, _: Request<ListPostsRequest>) -> Result<Response<ListPostsResponse>, Status> {
        Err(Status::unimplemented("not for tokens"))
    }

    async fn publish_post(&self, _: Request<PublishPostRequest>) -> Result<Response<PublishPostResponse>, Status> {
        Err(Status::unimplemented("not for tokens"))
    }

    async fn verify_callback(
        &self,
        _: Request<VerifyCallbackRequest>,
    ) -> Result<Response<VerifyCallbackResponse>, Status> {
        Err(Status::unimplemented("not for tokens"))
    }
}
