//! A running hub of either form, and the clients that tests use on it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use proto::accounts::v1::accounts_service_client::AccountsServiceClient;
use proto::entitlements::v1::SetPlanRequest;
use proto::entitlements::v1::entitlements_service_client::EntitlementsServiceClient;
use proto::platforms::v1::platforms_service_client::PlatformsServiceClient;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::embedded::Embedded;
use crate::processes::{Hub, MEMBERS};
use crate::{Api, Form, Layout, Sandbox, Settings, addresses};

enum Running {
    Embedded(Box<Embedded>),
    Processes(Box<Hub>),
}

/// A hub with its own data, addresses and platforms.
pub struct Cluster {
    form: Form,
    addresses: [Ipv4Addr; 2],
    running: Running,
    /// The imitated platforms.
    pub sandbox: Sandbox,
}

impl Cluster {
    /// Starts one and waits until it is ready.
    pub async fn start(form: Form, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_as(form, Layout::default(), more).await
    }

    /// As [`Cluster::start`]; separate processes are those of `layout`.
    pub async fn start_as(form: Form, layout: Layout, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_at(addresses(), form, layout, more).await
    }

    /// As [`Cluster::start_as`], on addresses that were chosen before.
    pub async fn start_at(
        addresses: [Ipv4Addr; 2],
        form: Form,
        layout: Layout,
        more: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut settings = Settings::of(addresses);
        settings.extend(more);
        let running = match form {
            Form::Embedded => Running::Embedded(Box::new(Embedded::start(settings).await?)),
            Form::Processes => Running::Processes(Box::new(Box::pin(Hub::start(settings, addresses, layout)).await?)),
        };
        let sandbox = Sandbox::at(&format!("http://{}:8090", addresses[0]))?;
        Ok(Self {
            form,
            addresses,
            running,
            sandbox,
        })
    }

    /// Which form this is.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Where pages, API and callbacks are; the first of the gateways.
    pub fn url(&self) -> String {
        format!("http://{}:8080", self.addresses[0])
    }

    /// A gateway that is not the first, where there is one.
    pub fn other_url(&self) -> String {
        match self.form {
            Form::Embedded => self.url(),
            Form::Processes => format!("http://{}:8080", self.addresses[1]),
        }
    }

    /// The API as the owner of a workspace.
    pub fn owner(&self, workspace: &str) -> Api {
        self.api("usr_owner", workspace, "owner")
    }

    /// The API as somebody.
    pub fn api(&self, user: &str, workspace: &str, role: &str) -> Api {
        Api::new(self.url(), user, workspace, role)
    }

    /// The API as the owner, through another gateway where there is one.
    pub fn owner_elsewhere(&self, workspace: &str) -> Api {
        Api::new(self.other_url(), "usr_owner", workspace, "owner")
    }

    /// Where a service's first replica is, by its port.
    pub fn service_url(&self, port: u16) -> String {
        format!("http://{}:{port}", self.addresses[0])
    }

    /// Where each process tells its metrics.
    pub fn metrics(&self) -> Vec<String> {
        let processes = if self.form == Form::Processes { MEMBERS.len() } else { 1 };
        (0..processes)
            .map(|index| format!("http://{}:{}/metrics", self.addresses[0], 9464 + index))
            .collect()
    }

    fn channel(&self, port: u16) -> anyhow::Result<Channel> {
        Ok(Endpoint::from_shared(self.service_url(port))?.connect_lazy())
    }

    /// A connection to a service by its port, for clients that the harness does not have.
    pub fn connection(&self, port: u16) -> anyhow::Result<Channel> {
        self.channel(port)
    }

    /// accounts, as the developer's caller.
    pub fn accounts(&self) -> anyhow::Result<AccountsServiceClient<Channel>> {
        Ok(AccountsServiceClient::new(self.channel(50051)?))
    }

    /// A replica of tokens by its address.
    pub fn tokens_at(&self, address: SocketAddr) -> anyhow::Result<TokensServiceClient<Channel>> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        Ok(TokensServiceClient::new(endpoint.connect_lazy()))
    }

    /// tokens; `replica` 0 or 1.
    pub fn tokens(&self, replica: usize) -> anyhow::Result<TokensServiceClient<Channel>> {
        let address = if self.form == Form::Processes {
            self.addresses[replica]
        } else {
            self.addresses[0]
        };
        self.tokens_at((address, 50052).into())
    }

    /// platforms
    pub fn platforms(&self) -> anyhow::Result<PlatformsServiceClient<Channel>> {
        Ok(PlatformsServiceClient::new(self.channel(50053)?))
    }

    /// entitlements
    pub fn entitlements(&self) -> anyhow::Result<EntitlementsServiceClient<Channel>> {
        Ok(EntitlementsServiceClient::new(self.channel(50054)?))
    }

    /// Puts a workspace on a plan.
    pub async fn plan(&self, workspace: &str, plan: &str) -> anyhow::Result<()> {
        let request = SetPlanRequest {
            workspace_id: workspace.to_owned(),
            plan: plan.to_owned(),
        };
        self.entitlements()?.set_plan(request).await?;
        Ok(())
    }

    /// The separate processes, for tests that stop and kill them.
    pub fn hub(&self) -> Option<&Hub> {
        match &self.running {
            Running::Processes(hub) => Some(hub),
            Running::Embedded(_) => None,
        }
    }

    /// The hub's time, in the embedded form. Unix milliseconds.
    pub fn now_ms(&self) -> anyhow::Result<i64> {
        Ok(self.embedded()?.clock().now_ms())
    }

    /// Lets time pass, for hub and platforms alike; in the embedded form only.
    pub async fn advance(&self, by: Duration) -> anyhow::Result<()> {
        self.sandbox.advance(by).await?;
        self.embedded()?.clock().advance(by);
        Ok(())
    }

    /// Lets time pass for the hub alone, where no imitated platform is.
    pub fn advance_alone(&self, by: Duration) -> anyhow::Result<()> {
        self.embedded()?.clock().advance(by);
        Ok(())
    }

    fn embedded(&self) -> anyhow::Result<&Embedded> {
        match &self.running {
            Running::Embedded(embedded) => Ok(embedded),
            Running::Processes(_) => anyhow::bail!("the clock of separate processes is the machine's"),
        }
    }

    /// Where databases of the embedded form and logs of the processes are.
    pub fn folder(&self) -> &Path {
        match &self.running {
            Running::Embedded(embedded) => embedded.folder(),
            Running::Processes(hub) => hub.folder(),
        }
    }

    /// Shows what the processes said last; called when a test failed.
    pub fn report(&self) {
        if let Running::Processes(hub) = &self.running {
            hub.report();
        }
    }

    /// Ends it cleanly.
    pub async fn stop(self) -> anyhow::Result<()> {
        match self.running {
            Running::Embedded(embedded) => embedded.stop().await,
            Running::Processes(hub) => {
                drop(hub);
                Ok(())
            }
        }
    }
}
