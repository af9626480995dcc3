//! The DevTools protocol over Chromium's own pipe (`--remote-debugging-pipe`): JSON messages, each ended by a NUL. No port,
//! no websocket, no library: chromiumoxide would bring two thousand generated types and a fetcher for forty calls.
//! Chromium ends by itself when the pipe closes, so it never outlives the tests, however these end.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, oneshot};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);
/// Chromium speaks on descriptors 3 and 4; the folder of its profile goes when it has ended, even if we were killed.
const SCRIPT: &str = r#"chromium "$@" 3<&0 4>&1 </dev/null >/dev/null 2>"$0/log"; code=$?; rm -rf "$0"; exit $code"#;
const FLAGS: [&str; 14] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
];

static PIPE: OnceCell<Arc<Pipe>> = OnceCell::const_new();

/// Something that Chromium told by itself.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) method: String,
    pub(super) params: Value,
}

/// All events of one session, in order.
#[derive(Default)]
pub(super) struct Journal(Mutex<Vec<Event>>);

impl Journal {
    /// Everything that was told with this name.
    pub(super) fn of(&self, method: &str) -> Vec<Value> {
        let events = lock(&self.0);
        let named = events.iter().filter(|event| event.method == method);
        named.map(|event| event.params.clone()).collect()
    }
}

#[derive(Default)]
struct State {
    waiting: HashMap<u64, oneshot::Sender<Result<Value, String>>>,
    journals: HashMap<String, Arc<Journal>>,
}

/// The one Chromium of this test process.
pub(super) struct Pipe {
    to: Mutex<ChildStdin>,
    next: AtomicU64,
    state: Arc<Mutex<State>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The browser, started when it is first wanted.
pub(super) async fn pipe() -> anyhow::Result<Arc<Pipe>> {
    let found = PIPE.get_or_try_init(|| async {
        let pipe = Arc::new(Pipe::launch()?);
        pipe.call(None, "Target.setDiscoverTargets", json!({"discover": true}))
            .await?;
        anyhow::Ok(pipe)
    });
    Ok(Arc::clone(found.await?))
}

impl Pipe {
    fn launch() -> anyhow::Result<Self> {
        let profile = tempfile::Builder::new().prefix("hub-browser-").tempdir()?.keep();
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT])
            .arg(&profile)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(is_root(&profile)?.then_some("--no-sandbox"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("sh cannot be started")?;
        let to = child.stdin.take().context("no pipe")?;
        let from = child.stdout.take().context("no pipe")?;
        let state = Arc::<Mutex<State>>::default();
        let reading = Arc::clone(&state);
        std::thread::spawn(move || {
            listen(from, &reading);
            // Whoever still waits learns that the browser is gone.
            lock(&reading).waiting.clear();
            let _ = child.wait();
        });
        Ok(Self {
            to: Mutex::new(to),
            next: AtomicU64::new(1),
            state,
        })
    }

    /// Calls a method, of a page by its session, or of the browser.
    pub(super) async fn call(&self, session: Option<&str>, method: &str, params: Value) -> anyhow::Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let (answer, answered) = oneshot::channel();
        lock(&self.state).waiting.insert(id, answer);
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        lock(&self.to)
            .write_all(&bytes)
            .context("chromium has ended; is it installed?")?;
        let answer = timeout(DEADLINE, answered)
            .await
            .with_context(|| format!("{method} is not answered"))?;
        let answer = answer.context("chromium has ended; is it installed?")?;
        answer.map_err(|why| anyhow::anyhow!("{method}: {why}"))
    }

    /// The events of a session; those of the browser under the empty name.
    pub(super) fn journal(&self, session: &str) -> Arc<Journal> {
        Arc::clone(lock(&self.state).journals.entry(session.to_owned()).or_default())
    }
}

/// Root has no sandbox to drop into.
fn is_root(folder: &Path) -> anyhow::Result<bool> {
    Ok(std::fs::metadata(folder)?.uid() == 0)
}

fn listen(from: ChildStdout, state: &Mutex<State>) {
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while from.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
        bytes.pop();
        if let Ok(message) = serde_json::from_slice(&bytes) {
            take(message, state);
        }
        bytes.clear();
    }
}

fn take(mut message: Value, state: &Mutex<State>) {
    if let Some(id) = message["id"].as_u64() {
        let waiting = lock(state).waiting.remove(&id);
        let answer = match message.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(message["result"].take()),
        };
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
        return;
    }
    let session = message["sessionId"].as_str().unwrap_or_default().to_owned();
    let event = Event {
        method: message["method"].as_str().unwrap_or_default().to_owned(),
        params: message["params"].take(),
    };
    let journal = Arc::clone(lock(state).journals.entry(session).or_default());
    lock(&journal.0).push(event);
}
