//! A TCP proxy in front of PostgreSQL, so that a test can hold the database's answers back or cut every connection without
//! touching a server that other tests share.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

const PORT: u16 = 5432;

/// What becomes of bytes on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Through,
    Held,
}

/// A running proxy; all its connections end when it is dropped.
pub struct Proxy {
    url: String,
    mode: watch::Sender<Mode>,
    /// Counts cuts: every connection that is older than the newest one ends.
    cuts: watch::Sender<u64>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Listens on `address` and passes on to the server of `database`, a postgres URL.
    pub(crate) async fn start(address: Ipv4Addr, database: &str) -> anyhow::Result<Self> {
        let (head, rest) = database.split_once('@').context("no user in the database URL")?;
        let (target, name) = rest.split_once('/').context("no name in the database URL")?;
        let listener = TcpListener::bind((address, PORT)).await?;
        let (mode, _) = watch::channel(Mode::Through);
        let (cuts, _) = watch::channel(0);
        let accepting = accept(listener, target.parse()?, mode.clone(), cuts.clone());
        Ok(Self {
            url: format!("{head}@{address}:{PORT}/{name}"),
            mode,
            cuts,
            _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)),
        })
    }

    /// The database's URL through the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Nothing passes from now on, in either direction; connections stay open.
    pub fn hold(&self) {
        self.mode.send_replace(Mode::Held);
    }

    /// What was held passes.
    pub fn release(&self) {
        self.mode.send_replace(Mode::Through);
    }

    /// Ends all connections, whatever is on the way in them.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, mode: watch::Sender<Mode>, cuts: watch::Sender<u64>) {
    while let Ok((client, _)) = listener.accept().await {
        let (mode, mut cut) = (mode.subscribe(), cuts.subscribe());
        cut.mark_unchanged();
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(target).await else {
                return;
            };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::select! {
                () = pass(from_client, to_server, mode.clone()) => {}
                () = pass(from_server, to_client, mode) => {}
                _ = cut.changed() => {}
            }
        });
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = match from.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        if mode.wait_for(|mode| *mode == Mode::Through).await.is_err() || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
