//! A lazily connecting, balanced channel to a peer: several connections, every address of its DNS name, dead ones left out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc::Sender;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};

use super::CALLER;
use crate::config::Common;

/// How often addresses are looked up, and tried where there are several.
const LOOK: Duration = Duration::from_secs(1);
/// One HTTP/2 connection is a bottleneck long before its service is.
const CONNECTIONS: usize = 4;
const CONNECT: Duration = Duration::from_secs(2);

/// A channel that names its caller.
pub type Client = InterceptedService<Channel, Stamp>;

/// Writes the caller's name on every call.
#[derive(Clone)]
pub struct Stamp(MetadataValue<Ascii>);

impl Interceptor for Stamp {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(CALLER, self.0.clone());
        Ok(request)
    }
}

/// A channel from the service `caller` to `urls`, one or several `http://host:port` separated by commas. Connects when it is used.
pub fn client(common: &Common, caller: &'static str, urls: &str) -> Client {
    let (channel, changes) = Channel::balance_channel(64);
    tokio::spawn(follow(split(urls), common.clone(), changes));
    InterceptedService::new(channel, Stamp(MetadataValue::from_static(caller)))
}

/// All replicas of a peer, each by itself: for what one of them alone may know.
#[derive(Clone)]
pub struct Everyone {
    common: Common,
    caller: &'static str,
    urls: Vec<String>,
}

impl Everyone {
    /// As [`client`], without connecting.
    pub fn new(common: &Common, caller: &'static str, urls: &str) -> Self {
        Self {
            common: common.clone(),
            caller,
            urls: split(urls),
        }
    }

    /// A channel to every address that takes a connection now.
    pub async fn channels(&self) -> Vec<Client> {
        let there = alive(addresses(&self.urls).await).await;
        let channels = there.iter().filter_map(|(address, url)| {
            let channel = endpoint(*address, url, &self.common)?.connect_lazy();
            Some(InterceptedService::new(
                channel,
                Stamp(MetadataValue::from_static(self.caller)),
            ))
        });
        channels.collect()
    }
}

fn split(urls: &str) -> Vec<String> {
    urls.split(',').map(|url| url.trim().to_owned()).collect()
}

type Key = (SocketAddr, usize);

/// Keeps the channel's endpoints equal to the addresses that are there.
async fn follow(urls: Vec<String>, common: Common, changes: Sender<Change<Key, Endpoint>>) {
    let mut known: BTreeMap<SocketAddr, String> = BTreeMap::new();
    let mut version = None;
    loop {
        // Other certificates are other connections: all are made anew, the old ones end with the calls that run on them.
        let current = common.tls.as_ref().map(|certificates| certificates.current().version);
        let is_anew = std::mem::replace(&mut version, current) != current;
        let wanted = alive(addresses(&urls).await).await;
        // With nothing found the old ones stay: calls then fail at once rather than wait for somebody to appear.
        if !wanted.is_empty() {
            let gone: BTreeSet<_> = known
                .keys()
                .filter(|address| !wanted.contains_key(address))
                .copied()
                .collect();
            for (address, url) in &wanted {
                if (is_anew || !known.contains_key(address)) && !insert(*address, url, &common, &changes).await {
                    return;
                }
            }
            for address in gone {
                for number in 0..CONNECTIONS {
                    if changes.send(Change::Remove((address, number))).await.is_err() {
                        return;
                    }
                }
            }
            known = wanted;
        }
        tokio::select! {
            () = changes.closed() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn insert(address: SocketAddr, url: &str, common: &Common, changes: &Sender<Change<Key, Endpoint>>) -> bool {
    for number in 0..CONNECTIONS {
        let Some(endpoint) = endpoint(address, url, common) else {
            return true;
        };
        if changes.send(Change::Insert((address, number), endpoint)).await.is_err() {
            return false;
        }
    }
    true
}

fn endpoint(address: SocketAddr, url: &str, common: &Common) -> Option<Endpoint> {
    let host = url.parse::<Uri>().ok()?.host()?.trim_matches(['[', ']']).to_owned();
    let scheme = if common.tls.is_some() { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).ok()?;
    if let Some(certificates) = &common.tls {
        endpoint = endpoint.tls_config(certificates.current().client(&host)).ok()?;
    }
    Some(
        endpoint
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(20)))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10)),
    )
}

async fn addresses(urls: &[String]) -> BTreeMap<SocketAddr, String> {
    let mut found = BTreeMap::new();
    for url in urls {
        let Ok(uri) = url.parse::<Uri>() else { continue };
        let Some(host) = uri.host() else { continue };
        let port = uri
            .port_u16()
            .unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        if let Ok(resolved) = lookup_host((host.trim_matches(['[', ']']), port)).await {
            found.extend(resolved.map(|address| (address, url.clone())));
        }
    }
    found
}

/// Of several addresses those that take a connection; a single one is used as it is.
async fn alive(addresses: BTreeMap<SocketAddr, String>) -> BTreeMap<SocketAddr, String> {
    if addresses.len() < 2 {
        return addresses;
    }
    let tried = addresses.into_iter().map(|(address, url)| async move {
        let connected = tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await;
        matches!(connected, Ok(Ok(_))).then_some((address, url))
    });
    futures_util::future::join_all(tried)
        .await
        .into_iter()
        .flatten()
        .collect()
}
