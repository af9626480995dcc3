//! A TCP proxy in front of PostgreSQL or Redis, so that a test can hold, delay or lose what passes and cut every connection,
//! without touching a server that other tests share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What becomes of bytes on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Through,
    Held,
    /// Requests pass, answers do not.
    Silent,
    /// Everything is late by so much.
    Slow(Duration),
    /// Nobody gets a connection, and there are none.
    Down,
}

/// A running proxy; all its connections end when it is dropped.
pub struct Proxy {
    mode: watch::Sender<Mode>,
    /// Counts cuts: every connection that is older than the newest one ends.
    cuts: watch::Sender<u64>,
    commits: Arc<AtomicUsize>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Listens on `address` and passes on to `target`.
    pub(crate) async fn start(address: SocketAddr, target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (mode, _) = watch::channel(Mode::Through);
        let (cuts, _) = watch::channel(0);
        let commits = Arc::<AtomicUsize>::default();
        let way = Way {
            target,
            mode: mode.clone(),
            cuts: cuts.clone(),
            commits: commits.clone(),
        };
        Ok(Self {
            mode,
            cuts,
            commits,
            _accepting: AbortOnDropHandle::new(tokio::spawn(way.accept(listener))),
        })
    }

    /// Nothing passes from now on, in either direction; connections stay open.
    pub fn hold(&self) {
        self.mode.send_replace(Mode::Held);
    }

    /// Requests still arrive, and what they cause happens; their answers wait.
    pub fn hold_answers(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    /// Everything takes so much longer, each way.
    pub fn slow(&self, by: Duration) {
        self.mode.send_replace(Mode::Slow(by));
    }

    /// There is no server.
    pub fn down(&self) {
        self.mode.send_replace(Mode::Down);
        self.cut();
    }

    /// What was held passes, and everything is as usual.
    pub fn release(&self) {
        self.mode.send_replace(Mode::Through);
    }

    /// Ends all connections, whatever is on the way in them.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// The next `count` commits happen, and their connections end before anybody is told.
    pub fn lose_commits(&self, count: usize) {
        self.commits.store(count, Ordering::SeqCst);
    }

    /// Commits that are still to be lost.
    pub fn commits_to_lose(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Way {
    target: SocketAddr,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<u64>,
    commits: Arc<AtomicUsize>,
}

impl Way {
    async fn accept(self, listener: TcpListener) {
        while let Ok((client, _)) = listener.accept().await {
            let way = self.clone();
            tokio::spawn(async move { way.serve(client).await });
        }
    }

    async fn serve(self, client: TcpStream) {
        let mut cut = self.cuts.subscribe();
        cut.mark_unchanged();
        if *self.mode.borrow() == Mode::Down {
            return;
        }
        let Ok(server) = TcpStream::connect(self.target).await else {
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let (lost, is_lost) = watch::channel(false);
        tokio::select! {
            () = self.requests(from_client, to_server, &lost) => {}
            () = self.answers(from_server, to_client, is_lost) => {}
            _ = cut.changed() => {}
        }
    }

    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lost: &watch::Sender<bool>) {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let Some(read) = read(&mut from, &mut bytes).await else {
                return;
            };
            let commits = bytes[..read].windows(6).any(|part| part == b"COMMIT");
            let one_less = |left: usize| left.checked_sub(1);
            if commits
                && self
                    .commits
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                    .is_ok()
            {
                lost.send_replace(true);
            }
            let passes = |mode: Mode| mode != Mode::Held;
            if !self.turn(passes).await || to.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    }

    async fn answers(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lost: watch::Receiver<bool>) {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let Some(read) = read(&mut from, &mut bytes).await else {
                return;
            };
            let passes = |mode: Mode| !matches!(mode, Mode::Held | Mode::Silent);
            if *lost.borrow() || !self.turn(passes).await || to.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    }

    /// Waits until bytes may go on; false when they never may.
    async fn turn(&self, passes: impl Fn(Mode) -> bool) -> bool {
        let mut modes = self.mode.subscribe();
        let found = modes.wait_for(|mode| passes(*mode)).await.map(|mode| *mode);
        match found {
            Ok(Mode::Slow(by)) => {
                tokio::time::sleep(by).await;
                true
            }
            Ok(_) => true,
            Err(_) => false,
        }
    }
}

async fn read(from: &mut OwnedReadHalf, bytes: &mut [u8]) -> Option<usize> {
    match from.read(bytes).await {
        Ok(0) | Err(_) => None,
        Ok(read) => Some(read),
    }
}
