//! Closed-loop load: so many requests in flight, each sent when the one before it was answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use proto::tokens::v1::GetAccessTokenRequest;
use proto::tokens::v1::tokens_service_client::TokensServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

/// Requests in flight.
pub(crate) const IN_FLIGHT: usize = 64;
const CONNECTIONS: usize = 4;
const WARM_UP: Duration = Duration::from_secs(1);

/// What one round showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Round {
    fn of(mut times: Vec<Duration>, length: Duration) -> anyhow::Result<Self> {
        ensure!(!times.is_empty(), "nothing was answered");
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100];
        #[allow(clippy::cast_precision_loss, reason = "a count of answers")]
        let per_second = times.len() as f64 / length.as_secs_f64();
        Ok(Self {
            per_second,
            p50: at(50),
            p99: at(99),
        })
    }
}

/// Collects the times of the loops that `start` makes, without those of the warm-up.
async fn collect<F>(length: Duration, start: impl Fn(usize, Clock) -> F) -> anyhow::Result<Round>
where
    F: Future<Output = anyhow::Result<Vec<Duration>>> + Send + 'static,
{
    let begin = Instant::now() + WARM_UP;
    let clock = Clock {
        begin,
        end: begin + length,
    };
    let mut loops = JoinSet::new();
    for number in 0..IN_FLIGHT {
        loops.spawn(start(number, clock));
    }
    let mut times = Vec::new();
    while let Some(done) = loops.join_next().await {
        times.extend(done??);
    }
    Round::of(times, length)
}

/// When counting begins and ends.
#[derive(Clone, Copy)]
struct Clock {
    begin: Instant,
    end: Instant,
}

/// `GetAccessToken` for one account.
pub(crate) async fn grpc(url: &str, request: &GetAccessTokenRequest, length: Duration) -> anyhow::Result<Round> {
    let mut channels: Vec<Channel> = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(
            Endpoint::from_shared(url.to_owned())?
                .tcp_nodelay(true)
                .connect()
                .await?,
        );
    }
    collect(length, |number, clock| {
        let mut client = TokensServiceClient::new(channels[number % CONNECTIONS].clone());
        let request = request.clone();
        async move {
            let mut times = Vec::new();
            loop {
                let sent = Instant::now();
                if sent >= clock.end {
                    return Ok(times);
                }
                client.get_access_token(request.clone()).await?;
                if sent >= clock.begin {
                    times.push(sent.elapsed());
                }
            }
        }
    })
    .await
}

/// GET of one path, over one connection per request in flight.
pub(crate) async fn http(address: SocketAddr, path: &str, token: &str, length: Duration) -> anyhow::Result<Round> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    collect(length, |_, clock| {
        let request = request.clone();
        async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (mut times, mut buffer) = (Vec::new(), Vec::with_capacity(128 * 1024));
            loop {
                let sent = Instant::now();
                if sent >= clock.end {
                    return Ok(times);
                }
                stream.write_all(request.as_bytes()).await?;
                answer(&mut stream, &mut buffer).await?;
                if sent >= clock.begin {
                    times.push(sent.elapsed());
                }
            }
        }
    })
    .await
}

/// Reads one answer with a known length to its end.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    buffer.clear();
    let mut whole = None;
    loop {
        if whole.is_some_and(|length| buffer.len() >= length) {
            return Ok(());
        }
        if stream.read_buf(buffer).await? == 0 {
            bail!("the connection ended");
        }
        if whole.is_none() {
            whole = length(buffer)?;
        }
    }
}

/// Bytes of the whole answer, once its head is there.
fn length(buffer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
    ensure!(head.starts_with("http/1.1 200"), "{head}");
    let body = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .context("an answer without a length")?;
    Ok(Some(end + 4 + body.trim().parse::<usize>()?))
}
