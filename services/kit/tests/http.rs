//! The HTTP clients in a process whose environment names a proxy.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::process::{Command, Stdio};
use std::time::Duration;

use kit::http::{Reach, Timeouts, client, outside};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    total: Duration::from_secs(5),
};
/// Set in the process that the test starts.
const INNER: &str = "E10_INNER";

#[test]
fn e10_a_proxy_of_the_environment_is_ignored() {
    if std::env::var_os(INNER).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(both_reach_loopback());
    }
    let mut inner = Command::new(std::env::current_exe().unwrap());
    inner.args(["--exact", "e10_a_proxy_of_the_environment_is_ignored"]);
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        // Nobody listens there: a client that asked this proxy would fail.
        inner.env(name, "http://127.0.0.1:1");
    }
    let status = inner.env(INNER, "1").stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{status}");
}

async fn both_reach_loopback() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: url::Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    });
    let inside = client(TIMEOUTS).unwrap().get(url.clone()).send().await.unwrap();
    let strangers = outside(TIMEOUTS, Reach::PublicOrLoopback).unwrap();
    let outside = strangers
        .request(reqwest::Method::GET, url)
        .unwrap()
        .send()
        .await
        .unwrap();
    assert_eq!((inside.status().as_u16(), outside.status().as_u16()), (204, 204));
}
