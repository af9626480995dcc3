//! Calls against servers that break what HTTP promises, over real sockets: which of the three outcomes each is, and what of a
//! body is kept. A server here is one connection and the bytes that it writes.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::*;

/// Longer than anything here takes; none of these tests waits for it.
const LONG: Duration = Duration::from_secs(30);

fn client() -> reqwest::Client {
    kit::http::client(kit::http::Timeouts {
        connect: Duration::from_secs(5),
        total: LONG,
    })
    .unwrap()
}

async fn call(url: String, limit: Duration) -> Sent {
    let outgoing = Outgoing::get("refresh", url, Vec::new());
    send(&client(), &Clock::system(), outgoing, TOKEN_BODY, limit).await
}

/// Calls a server that reads the request and then does as it likes.
async fn served<F>(act: impl FnOnce(TcpStream) -> F + Send + 'static, limit: Duration) -> Sent
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        // The request has no body: it ends with an empty line.
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await?);
        }
        act(stream).await
    });
    let sent = call(url, limit).await;
    server.abort();
    sent
}

/// Calls a server that writes these bytes and closes.
async fn answering(bytes: Vec<u8>) -> Sent {
    let act = |mut stream: TcpStream| async move { stream.write_all(&bytes).await };
    served(act, LONG).await
}

fn kept_of(sent: Sent) -> (bool, Vec<u8>, bool) {
    match sent {
        Sent::Answered(answer) => (true, answer.body, answer.truncated),
        Sent::Unknown(_, Some(answer)) => (false, answer.body, answer.truncated),
        Sent::Unknown(_, None) => panic!("nothing was kept"),
        Sent::Unsent(reason) => panic!("not sent: {reason}"),
    }
}

fn is_unsent(sent: &Sent) -> bool {
    matches!(sent, Sent::Unsent(reason) if !reason.contains("http") && !reason.contains("127"))
}

#[tokio::test]
async fn h5_what_cannot_be_resolved_reached_or_trusted_was_not_sent() {
    assert!(
        is_unsent(&call("http://nowhere.invalid/token".into(), LONG).await),
        "no such name"
    );
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(
        is_unsent(&call(format!("http://{free}/token"), LONG).await),
        "nobody listens"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/token", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    assert!(is_unsent(&call(url, LONG).await), "no TLS there");
    server.await.unwrap();
}

#[tokio::test]
async fn h6_h9_who_never_answers_or_a_byte_at_a_time_is_unknown_when_the_time_is_over() {
    let limit = Duration::from_millis(300);
    let silent = served(|_stream| std::future::pending(), limit).await;
    assert!(matches!(silent, Sent::Unknown(_, None)));
    let act = |mut stream: TcpStream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            .await?;
        loop {
            stream.write_all(b"x").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let began = Instant::now();
    let (answered, body, truncated) = kept_of(served(act, limit).await);
    assert!(!answered && truncated && !body.is_empty() && began.elapsed() >= limit);
}

#[tokio::test]
async fn h8_a_connection_that_ends_inside_the_answer_leaves_what_came_of_it_and_is_unknown() {
    const PART: &str = "{\"access_token\":\"SBXa\",\"refresh_token\":\"SBXr\",";
    let plain = format!("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{PART}");
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{PART}\r\n",
        PART.len()
    );
    let broken = format!("{chunked}zz\r\n");
    for bytes in [plain.clone(), chunked, broken] {
        let (answered, body, truncated) = kept_of(answering(bytes.clone().into_bytes()).await);
        assert!(!answered && truncated && body == PART.as_bytes(), "{bytes}");
    }
    // A reset instead of an end, once the part has been read.
    let act = move |mut stream: TcpStream| async move {
        stream.write_all(plain.as_bytes()).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.set_zero_linger()
    };
    let (answered, body, truncated) = kept_of(served(act, LONG).await);
    assert!(!answered && truncated && body == PART.as_bytes());
    for bytes in ["", "HTTP/1.1 200", "HTTP/9.9 what\r\n\r\n"] {
        assert!(
            matches!(answering(bytes.into()).await, Sent::Unknown(_, None)),
            "{bytes}"
        );
    }
}

#[tokio::test]
async fn h8_a_content_length_that_is_too_short_ends_the_answer_there() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{\"a\":1,\"refresh_token\":\"SBXr\"}";
    let (answered, body, truncated) = kept_of(answering(bytes.to_vec()).await);
    assert!(answered && !truncated && body == b"{\"a\":");
}

#[tokio::test]
async fn h9_an_endless_answer_is_left_at_64_kib_and_a_bomb_is_not_unpacked() {
    let endless = |mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        loop {
            stream.write_all(&[b'x'; 8192]).await?;
        }
    };
    let (answered, body, truncated) = kept_of(served(endless, LONG).await);
    assert!(answered && truncated && body.len() == TOKEN_BODY);
    // A gzip stream of 10 MB of zeros: it stays what it is.
    let mut bomb = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 24\r\n\r\n".to_vec();
    let packed = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xec, 0xc1, 1, 1, 0, 0, 0, 0x80, 0x90, 0xfe, 0xaf, 0xee, 8, 0,
    ];
    bomb.extend(packed);
    let (answered, body, _) = kept_of(answering(bomb).await);
    assert!(answered && body == packed);
}

#[test]
fn h20_a_token_with_a_line_break_becomes_no_second_header() {
    let client = kit::http::client(kit::http::Timeouts {
        connect: Duration::from_secs(1),
        total: Duration::from_secs(1),
    })
    .unwrap();
    let outgoing = |token: &str| {
        Outgoing::get("api", "https://api.test/".into(), Vec::new())
            .bearer(token)
            .build(&client)
    };
    assert!(outgoing("SBXa\r\nx-evil: 1").is_err());
    assert!(outgoing("SBXa").is_ok());
}

#[test]
fn g2_a_query_is_encoded_and_secrets_are_not_part_of_a_failure() {
    let client = kit::http::client(kit::http::Timeouts {
        connect: Duration::from_secs(1),
        total: Duration::from_secs(1),
    })
    .unwrap();
    let query = vec![("access_token", "SBX+/&=1".to_owned())];
    let request = Outgoing::get("api", "https://api.test/me".into(), query.clone())
        .build(&client)
        .unwrap();
    assert_eq!(request.url().query(), Some("access_token=SBX%2B%2F%26%3D1"));
    let failure = Outgoing::get("api", "no address".into(), query)
        .build(&client)
        .unwrap_err();
    assert!(!failure.contains("SBX"));
}
