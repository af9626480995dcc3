//! Mutual TLS between all roles, each a process with a certificate of its own.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, ensure};
use harness::{Authority, Cluster, Form, Issued, Layout, Outcome, addresses, eventually, separate_processes_wanted};
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use proto::tokens::v1::{GetAccessTokenRequest, GetAccessTokenResponse, ListStuckGrantsRequest};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

const ROLES: [&str; 6] = ["sandbox", "entitlements", "platforms", "tokens", "accounts", "gateway"];
const PORTS: [u16; 4] = [50051, 50052, 50053, 50054];

/// A hub whose processes speak mutual TLS, and who signed for them.
struct Secured {
    hub: Cluster,
    authority: Authority,
    address: Ipv4Addr,
}

/// What a service called `role` shows: its name, and the address that others reach it by.
fn names(role: &str, address: Ipv4Addr) -> [String; 2] {
    [format!("{role}.socializioz.svc"), address.to_string()]
}

async fn secured(more: &[(&str, &str)]) -> anyhow::Result<Secured> {
    let (authority, addresses) = (Authority::new()?, addresses());
    for role in ROLES {
        authority.equip(role, &names(role, addresses[0]))?;
    }
    let path = |name: &str| authority.path(name).display().to_string();
    let (ca, cert, key) = (path("ca.pem"), path("{role}.pem"), path("{role}.key"));
    let mut settings = vec![
        ("tls.mode", "mutual"),
        ("tls.ca", ca.as_str()),
        ("tls.cert", &cert),
        ("tls.key", &key),
        ("tls.connection_lifetime", "1s"),
        ("auth.services", r#"["printer"]"#),
    ];
    settings.extend(more);
    let layout = Layout {
        members: ROLES.map(|role| (role, 0)).to_vec(),
        proxied: false,
    };
    let hub = Cluster::start_at(addresses, Form::Processes, layout, &settings).await?;
    Ok(Secured {
        hub,
        authority,
        address: addresses[0],
    })
}

impl Secured {
    fn named(&self, name: &str) -> anyhow::Result<Issued> {
        self.authority.sign(&[format!("{name}.socializioz.svc")])
    }

    /// A connection to `port` with this certificate, expecting the service under `host`.
    async fn channel(&self, port: u16, shown: Option<&Issued>, host: &str) -> anyhow::Result<Channel> {
        let trusted = std::fs::read_to_string(self.authority.path("ca.pem"))?;
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(trusted))
            .domain_name(host);
        if let Some(shown) = shown {
            tls = tls.identity(Identity::from_pem(&shown.cert, &shown.key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}:{port}", self.address))?;
        Ok(endpoint
            .tls_config(tls)?
            .connect_timeout(Duration::from_secs(5))
            .connect()
            .await?)
    }

    /// Whether the service on `port` talks to somebody with this certificate: with TLS 1.3 a client learns of its refusal only
    /// when it reads.
    async fn talks(&self, port: u16, shown: Option<&Issued>) -> bool {
        let Ok(channel) = self.channel(port, shown, &self.address.to_string()).await else {
            return false;
        };
        let list = ListStuckGrantsRequest { limit: 1 };
        match TokensServiceClient::new(channel).list_stuck_grants(list).await {
            Ok(_) => true,
            // The transport's own failures have no details; a service's refusal has.
            Err(status) => !status.details().is_empty() || status.code() == tonic::Code::Unimplemented,
        }
    }

    async fn token(&self, name: &str, account: &str) -> Result<GetAccessTokenResponse, tonic::Status> {
        let shown = self
            .named(name)
            .map_err(|error| tonic::Status::internal(error.to_string()))?;
        let channel = self.channel(50052, Some(&shown), &self.address.to_string()).await;
        let channel = channel.map_err(|error| tonic::Status::internal(error.to_string()))?;
        let request = GetAccessTokenRequest {
            workspace_id: "bakery".to_owned(),
            account_id: account.to_owned(),
            min_ttl: None,
        };
        let mut tokens = TokensServiceClient::new(channel);
        tokens.get_access_token(request).await.map(tonic::Response::into_inner)
    }

    async fn works(&self) -> anyhow::Result<()> {
        self.hub.owner("bakery").get("accounts").await?.ok().map(drop)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c11_a_caller_without_the_right_certificate_reaches_no_service() -> Outcome {
    if !separate_processes_wanted() {
        return Ok(());
    }
    let one = secured(&[]).await?;
    one.works().await?;
    let stranger = Authority::new()?.sign(&names("tokens", one.address))?;
    let expired = one.authority.sign_expired(&names("tokens", one.address))?;
    let right = one.named("tokens")?;
    for port in PORTS {
        ensure!(
            one.talks(port, Some(&right)).await,
            "{port} refuses a certificate of its authority"
        );
        for (what, shown) in [
            ("no certificate", None),
            ("one of another authority", Some(&stranger)),
            ("one that has ended", Some(&expired)),
        ] {
            ensure!(!one.talks(port, shown).await, "{port} talks to {what}");
        }
        ensure!(
            one.channel(port, Some(&right), "elsewhere.example").await.is_err(),
            "{port} shows any name"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn c11_the_name_in_the_certificate_decides_who_is_given_a_token() -> Outcome {
    if !separate_processes_wanted() {
        return Ok(());
    }
    let one = secured(&[]).await?;
    let account = one
        .hub
        .owner("bakery")
        .connect_one(&one.hub.sandbox, "facebook", "enid")
        .await?;
    let given = one.token("printer", &account).await?;
    ensure!(!given.access_token.is_empty());
    // `printer` is in auth.services; composer was until it was configured otherwise; gateway is a service, but not for this.
    for name in ["composer", "gateway", "accounts", "entitlements", "stranger"] {
        let refused = one.token(name, &account).await.err().context("a token for anybody")?;
        ensure!(refused.code() == tonic::Code::PermissionDenied, "{name}: {refused}");
    }
    let admin = one.named("admin")?;
    let channel = one.channel(50052, Some(&admin), &one.address.to_string()).await?;
    let list = ListStuckGrantsRequest { limit: 1 };
    TokensServiceClient::new(channel).list_stuck_grants(list).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_replaced_certificates_are_used_without_a_restart() -> Outcome {
    if !separate_processes_wanted() {
        return Ok(());
    }
    let mut one = secured(&[]).await?;
    let old = one.named("tokens")?;
    let former = one.authority.pem();
    one.authority.succeed()?;
    one.authority.trust(&format!("{former}{}", one.authority.pem()))?;
    let new = one.named("tokens")?;
    for port in PORTS {
        let what = format!("{port} knows the new authority");
        eventually(&what, async || Ok(one.talks(port, Some(&new)).await.then_some(()))).await?;
    }
    for role in ROLES {
        one.authority.equip(role, &names(role, one.address))?;
    }
    one.authority.trust(&one.authority.pem())?;
    for port in PORTS {
        let what = format!("{port} shows a certificate of the new authority and refuses one of the old");
        eventually(&what, async || {
            Ok((one.talks(port, Some(&new)).await && !one.talks(port, Some(&old)).await).then_some(()))
        })
        .await?;
    }
    eventually("all goes on", async || Ok(one.works().await.ok())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_a_service_under_another_name_is_not_called_and_a_broken_file_changes_nothing() -> Outcome {
    if !separate_processes_wanted() {
        return Ok(());
    }
    let one = secured(&[]).await?;
    let ready = format!("{}/readyz", one.hub.url());
    let is_ready = async || anyhow::Ok(reqwest::get(&ready).await?.status().is_success());
    std::fs::write(one.authority.path("entitlements.pem"), "half a certif")?;
    std::fs::write(one.authority.path("gateway.key"), "")?;
    for role in ["entitlements", "gateway"] {
        let log = one.hub.folder().join(format!("{role}-0.log"));
        eventually(&format!("{role} has seen it"), async || {
            Ok(std::fs::read_to_string(&log)?
                .contains("the former ones stay in use")
                .then_some(()))
        })
        .await?;
    }
    ensure!(is_ready().await?, "a broken file stopped a service");
    one.authority.equip("gateway", &names("gateway", one.address))?;
    one.authority
        .equip("entitlements", &names("entitlements", Ipv4Addr::new(10, 9, 9, 9)))?;
    eventually("the gateway refuses who shows another address", async || {
        Ok((!is_ready().await?).then_some(()))
    })
    .await?;
    one.authority
        .equip("entitlements", &names("entitlements", one.address))?;
    eventually("it is ready again", async || Ok(is_ready().await?.then_some(()))).await
}
