//! The server on a real socket: its limits and its end.

use std::time::Duration;

use kit::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::support::fake::Answers;
use crate::support::{config, samples, services};

async fn served() -> (
    std::net::SocketAddr,
    CancellationToken,
    tokio::task::JoinHandle<anyhow::Result<()>>,
) {
    let answers = Answers::default().with_basics();
    samples::catalogue(&answers);
    let peer = services(&answers).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = gateway::serve(config(&peer, &[], Clock::system()), listener, shutdown.clone());
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
