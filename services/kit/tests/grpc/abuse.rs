//! What no client of ours sends: raw HTTP/2 against the server. Every case ends in a clean answer, and the server goes on.

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderName, HeaderValue, Request};
use prost::Message;
use tokio::net::TcpStream;

use super::{Running, common, in_demo, serve};

const INSPECT: &str = "/socializioz.tokens.v1.TokensService/Inspect";

/// HTTP status, and gRPC's where there is one.
#[derive(Debug, PartialEq, Eq)]
struct Answer(u16, Option<i32>);

const FINE: Answer = Answer(200, Some(0));

async fn connect(hub: &Running) -> SendRequest<Bytes> {
    let address = hub.url.trim_start_matches("http://");
    let (sender, connection) = h2::client::handshake(TcpStream::connect(address).await.unwrap())
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn request(headers: &[(&'static str, &str)]) -> Request<()> {
    let usual = [("content-type", "application/grpc"), ("te", "trailers")];
    let mut request = Request::post(format!("http://hub{INSPECT}")).body(()).unwrap();
    for (name, value) in usual.iter().chain(headers) {
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    request
}

/// One message behind its five bytes: compressed or not, and its length.
fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, message].concat()
}

async fn ask(sender: &SendRequest<Bytes>, request: Request<()>, body: Vec<u8>) -> Result<Answer, h2::Error> {
    let mut sender = sender.clone().ready().await?;
    let (answer, mut stream) = sender.send_request(request, false)?;
    stream.send_data(body.into(), true)?;
    let (head, mut body) = answer.await?.into_parts();
    while let Some(chunk) = body.data().await {
        let _ = body.flow_control().release_capacity(chunk?.len());
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    let status = head.headers.get("grpc-status").or(trailers.get("grpc-status"));
    let status = status.map(|status| status.to_str().unwrap().parse().unwrap());
    Ok(Answer(head.status.as_u16(), status))
}

/// The same connection still answers a proper call.
async fn goes_on(sender: &SendRequest<Bytes>) {
    let body = frame(0, &in_demo().encode_to_vec());
    assert_eq!(ask(sender, request(&[]), body).await.unwrap(), FINE);
}

#[tokio::test]
async fn d02_a_compressed_message_is_refused_unopened() {
    let hub = serve(&common("dev"), "one").await;
    let sender = connect(&hub).await;
    // A thousand zeros in gzip stand for any bomb: nothing is unpacked.
    let bomb = frame(
        1,
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x63, 0x60, 0x18, 5, 0xa3, 0, 0],
    );
    let told = ask(&sender, request(&[("grpc-encoding", "gzip")]), bomb.clone())
        .await
        .unwrap();
    assert_eq!(told, Answer(200, Some(12)), "unimplemented");
    let untold = ask(&sender, request(&[]), bomb).await.unwrap();
    assert_ne!(untold.1, Some(0));
    goes_on(&sender).await;
}

#[tokio::test]
async fn d03_a_message_that_is_no_message_is_a_status_and_no_panic() {
    let hub = serve(&common("dev"), "one").await;
    let sender = connect(&hub).await;
    let deep = (0..200).fold(Vec::new(), |inner: Vec<u8>, _| {
        let mut outer = vec![0x0b];
        outer.extend(inner);
        outer.push(0x0c);
        outer
    });
    for message in [
        &[0xff; 32][..],
        // A text field with bytes that are no UTF-8, one that claims more than there is, and one of negative length.
        &[0x0a, 2, 0xff, 0xfe],
        &[0x0a, 100, b'x'],
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        &deep,
    ] {
        let answer = ask(&sender, request(&[]), frame(0, message)).await.unwrap();
        assert_eq!(answer, Answer(200, Some(3)), "an invalid argument: {message:?}");
    }
    // A field that we do not know is a newer client's, and left out.
    let mut newer = in_demo().encode_to_vec();
    newer.extend([0xba, 0x3e, 1, b'x']);
    assert_eq!(ask(&sender, request(&[]), frame(0, &newer)).await.unwrap(), FINE);
    goes_on(&sender).await;
}

#[tokio::test]
async fn d04_odd_frames_headers_and_timeouts_get_clean_answers() {
    let hub = serve(&common("dev"), "one").await;
    let sender = connect(&hub).await;
    let proper = frame(0, &in_demo().encode_to_vec());
    for (headers, body) in [
        (&[][..], proper[..3].to_vec()),
        (&[][..], proper[..proper.len() - 1].to_vec()),
        (&[][..], Vec::new()),
        (&[][..], frame(7, b"x")),
        (&[][..], vec![0, 0xff, 0xff, 0xff, 0xff]),
    ] {
        let answer = ask(&sender, request(headers), body).await.unwrap();
        assert_ne!(answer, FINE, "{headers:?}");
    }
    for timeout in ["99999999H", "0n", "soon", "-1S", "1", ""] {
        let answer = ask(&sender, request(&[("grpc-timeout", timeout)]), proper.clone()).await;
        assert!(answer.is_ok(), "{timeout:?}: {answer:?}");
    }
    goes_on(&sender).await;
}

#[tokio::test]
async fn d11_a_connection_is_told_how_many_streams_it_may_open() {
    let hub = serve(&common("dev"), "one").await;
    let sender = connect(&hub).await;
    goes_on(&sender).await;
    assert_eq!(sender.current_max_send_streams(), 1024);
}

#[tokio::test]
async fn d12_headers_without_measure_are_refused() {
    let hub = serve(&common("dev"), "one").await;
    let sender = connect(&hub).await;
    let large = "x".repeat(20_000);
    let body = frame(0, &in_demo().encode_to_vec());
    let answer = ask(&sender, request(&[("x-large", large.as_str())]), body).await;
    assert!(!answer.is_ok_and(|answer| answer == FINE));
    goes_on(&connect(&hub).await).await;
}

#[tokio::test]
async fn d10_calls_that_are_given_up_at_once_disturb_no_other_on_their_connection() {
    let hub = serve(&common("dev"), "one").await;
    let sender = connect(&hub).await;
    goes_on(&sender).await;
    for _ in 0..500 {
        let (_, mut stream) = sender
            .clone()
            .ready()
            .await
            .unwrap()
            .send_request(request(&[]), false)
            .unwrap();
        stream.send_reset(h2::Reason::CANCEL);
    }
    goes_on(&sender).await;
}

#[tokio::test]
async fn d10_a_flood_of_resets_ends_its_own_connection_at_most() {
    let hub = serve(&common("dev"), "one").await;
    let sender = connect(&hub).await;
    goes_on(&sender).await;
    for _ in 0..5_000 {
        let Ok(mut ready) = sender.clone().ready().await else {
            break;
        };
        let Ok((_, mut stream)) = ready.send_request(request(&[]), false) else {
            break;
        };
        stream.send_reset(h2::Reason::CANCEL);
    }
    let other = tokio::time::timeout(Duration::from_secs(5), async { goes_on(&connect(&hub).await).await });
    other.await.expect("others are served");
}
