//! The server on a real socket: its limits and its end.

use std::time::Duration;

use kit::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::support::fake::Answers;
use crate::support::{config, samples, services};

type Served = (
    std::net::SocketAddr,
    CancellationToken,
    tokio::task::JoinHandle<anyhow::Result<()>>,
);

async fn served() -> Served {
    served_with(&[]).await
}

async fn served_with(settings: &[(&str, &str)]) -> Served {
    let answers = Answers::default().with_basics();
    samples::catalogue(&answers);
    let peer = services(&answers).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = gateway::serve(config(&peer, settings, Clock::system()), listener, shutdown.clone());
    (address, shutdown, tokio::spawn(serving))
}

async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
        .await
        .expect("it is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn it_serves_is_ready_and_ends_when_told_to() {
    let (address, shutdown, serving) = served().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = exchange(
        &mut stream,
        "GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), serving)
        .await
        .expect("it ends")
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn d6_a_client_that_does_not_finish_its_headers_is_closed() {
    let (address, _shutdown, _serving) = served().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = exchange(&mut stream, "GET /healthz HTTP/1.1\r\nhost: 127").await;
    assert!(!answer.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn d12_d14_headers_without_measure_and_two_lengths_are_refused() {
    let (address, _shutdown, _serving) = served().await;
    let many = "x: 1\r\n".repeat(200);
    let large = format!("x: {}\r\n", "a".repeat(20_000));
    let lengths = "content-length: 3\r\ncontent-length: 4\r\n";
    for (headers, status) in [(many.as_str(), "431"), (&large, "431"), (lengths, "400")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let answer = exchange(
            &mut stream,
            &format!("POST /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{headers}\r\n0\r\n\r\n"),
        )
        .await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{status}: {}",
            &answer[..answer.len().min(200)]
        );
    }
}

#[tokio::test]
async fn d14_a_request_hidden_in_anothers_body_gets_no_answer() {
    let (address, _shutdown, _serving) = served().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let hidden = "GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let outer = "POST /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 48\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = exchange(&mut stream, &format!("{outer}{hidden}")).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test]
async fn d07_a_body_that_trickles_is_answered_with_408() {
    let (address, _shutdown, _serving) = served().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /webhooks/meta HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: 100\r\n\r\n";
    let answer = exchange(&mut stream, &format!("{head}only a part")).await;
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("request-timeout"),
        "{answer}"
    );
}

#[tokio::test]
async fn d07_a_body_beyond_measure_is_answered_with_413_and_not_read_on() {
    let (address, _shutdown, _serving) = served().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = "x".repeat(16_385);
    let head = format!(
        "POST /webhooks/meta HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = exchange(&mut stream, &format!("{head}{body}")).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn d09_an_address_holds_so_many_connections_and_a_closed_one_frees_its_place() {
    let (address, _shutdown, _serving) = served_with(&[
        ("GATEWAY__MAX_CONNECTIONS_PER_ADDRESS", "2"),
        ("GATEWAY__HEADER_TIMEOUT", "1m"),
    ])
    .await;
    let ask = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let first = TcpStream::connect(address).await.unwrap();
    let second = TcpStream::connect(address).await.unwrap();
    let mut third = TcpStream::connect(address).await.unwrap();
    let mut nothing = Vec::new();
    let _ = third.read_to_end(&mut nothing).await;
    assert!(nothing.is_empty(), "a third connection was served");
    drop(first);
    let served = async {
        loop {
            let mut again = TcpStream::connect(address).await.unwrap();
            let mut answer = Vec::new();
            let written = again.write_all(ask.as_bytes()).await;
            if written.is_ok() && again.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), served)
        .await
        .expect("a closed connection gives its place back");
    drop(second);
}

#[tokio::test]
async fn d08_a_client_that_never_reads_is_let_go_with_its_place() {
    let (address, _shutdown, _serving) = served_with(&[("GATEWAY__MAX_CONNECTIONS_PER_ADDRESS", "1")]).await;
    let mut deaf = TcpStream::connect(address).await.unwrap();
    // More answers than the buffers between us hold.
    let ask = "GET /api/v1/openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".repeat(100);
    deaf.write_all(ask.as_bytes()).await.unwrap();
    let served = async {
        let ask = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
        loop {
            let mut other = TcpStream::connect(address).await.unwrap();
            let mut answer = Vec::new();
            let written = other.write_all(ask.as_bytes()).await;
            if written.is_ok() && other.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), served)
        .await
        .expect("its place is free again");
}

#[tokio::test]
async fn d09_an_address_asks_so_often_in_a_minute_and_is_told_when_to_come_back() {
    let (address, _shutdown, _serving) = served_with(&[("GATEWAY__REQUESTS_PER_MINUTE_ADDRESS", "3")]).await;
    let ask = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let mut answers = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        answers.push(exchange(&mut stream, ask).await);
    }
    assert!(answers[..3].iter().all(|answer| answer.starts_with("HTTP/1.1 200")));
    assert!(answers[3].starts_with("HTTP/1.1 429"), "{}", answers[3]);
    for header in [
        "retry-after: 60",
        "ratelimit: \"address\";r=0;t=60",
        "ratelimit-policy: \"address\";q=3;w=60",
    ] {
        assert!(answers[3].contains(header), "{header}: {}", answers[3]);
    }
}

#[tokio::test]
async fn d13_a_line_end_in_a_header_splits_no_answer_and_no_log_line() {
    let (address, _shutdown, _serving) = served().await;
    for odd in [
        "x-request-id: a\u{0}b",
        "x-request-id: a\rb",
        "bad name: x",
        ": empty",
        "x\ty: z",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let answer = exchange(
            &mut stream,
            &format!("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{odd}\r\n\r\n"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{odd:?}: {answer}");
    }
}

#[tokio::test]
async fn d14_an_upgrade_to_h2c_and_a_lone_preface_are_not_taken() {
    let (address, _shutdown, _serving) = served().await;
    let upgrade = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = exchange(&mut stream, upgrade).await;
    assert!(!answer.starts_with("HTTP/1.1 101"), "{answer}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = exchange(&mut stream, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(!answer.contains(" 200"), "{answer}");
}

#[tokio::test]
async fn d15_a_path_that_only_looks_like_another_is_nowhere() {
    let (address, _shutdown, _serving) = served().await;
    for path in [
        "//healthz",
        "/./healthz",
        "/x/../healthz",
        "/%2e%2e/healthz",
        "/x/%2e%2e/healthz",
        "/healthz;x=1",
        "/healthz%00",
        "/health%7A/",
        "/%68ealthz%2f",
        "/healthz%2f..%2freadyz",
        "/api/v1/../../metrics",
        "/api/v1/%252e%252e/me",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let answer = exchange(
            &mut stream,
            &format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"),
        )
        .await;
        let refused = ["HTTP/1.1 404", "HTTP/1.1 400", "HTTP/1.1 401"];
        assert!(
            refused.iter().any(|status| answer.starts_with(status)),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn dev_mode_refuses_to_be_reached_from_elsewhere() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let config = config("http://127.0.0.1:1", &[], Clock::system());
    let error = gateway::serve(config, listener, CancellationToken::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("gateway.listen") && error.contains("auth.mode") && !error.contains('\n'),
        "{error}"
    );
}
