//! Mutual TLS between the services: certificates from files, read again when they change, and the name in a certificate.
//!
//! New connections use what the files hold now; [`super::client()`] also replaces its connections when they change. A
//! change that cannot be used (half written, key of another certificate) is refused, and the former one stays in use.
//! Sessions are never resumed: a resumed one would not be verified again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::Secret;
use crate::config::Error;

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_millis(500);
/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes under way at a time; the next caller waits.
const HANDSHAKES: usize = 256;

/// The files of one process, PEM each.
#[derive(Clone, Debug)]
pub struct Files {
    /// Certificates of the authority that signs the services' certificates.
    pub ca: PathBuf,
    /// This process' certificate, with its chain.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// This process' certificate and the authority that it trusts, as the files have them.
#[derive(Clone)]
pub struct Certificates(Arc<Inner>);

struct Inner {
    files: Files,
    lifetime: Duration,
    state: Mutex<State>,
}

struct State {
    texts: Texts,
    loaded: Loaded,
    looked: Instant,
}

/// What is in use, and a number that grows with every change.
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) version: u64,
    server: Arc<ServerConfig>,
    authority: Certificate,
    identity: Identity,
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Texts {
    ca: Secret,
    cert: Secret,
    key: Secret,
}

impl Certificates {
    /// Reads the files; connections made with them live for `lifetime` at most, so that nobody outlives a certificate by more.
    ///
    /// # Errors
    /// Names the key of the file that cannot be used.
    pub fn read(files: Files, lifetime: Duration) -> Result<Self, Error> {
        let texts = Texts::read(&files)?;
        let loaded = texts.load(1)?;
        let state = Mutex::new(State {
            texts,
            loaded,
            looked: Instant::now(),
        });
        Ok(Self(Arc::new(Inner { files, lifetime, state })))
    }

    pub(super) fn lifetime(&self) -> Duration {
        self.0.lifetime
    }

    /// What is to be used now: the files are looked at again when the last look is old.
    pub(super) fn current(&self) -> Loaded {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() < LOOK {
            return state.loaded.clone();
        }
        state.looked = Instant::now();
        let version = state.loaded.version + 1;
        let changed = Texts::read(&self.0.files).and_then(|texts| {
            let loaded = (texts != state.texts).then(|| texts.load(version)).transpose()?;
            Ok(loaded.map(|loaded| (texts, loaded)))
        });
        match changed {
            Ok(None) => {}
            Ok(Some((texts, loaded))) => {
                tracing::info!("certificates were replaced");
                (state.texts, state.loaded) = (texts, loaded);
            }
            Err(error) => tracing::warn!(%error, "changed certificates are not usable; the former ones stay in use"),
        }
        state.loaded.clone()
    }
}

impl Loaded {
    /// A client that shows its certificate and expects `host`.
    pub(super) fn client(&self, host: &str) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(self.authority.clone())
            .identity(self.identity.clone())
            .domain_name(host.to_owned())
    }
}

impl Texts {
    fn read(files: &Files) -> Result<Self, Error> {
        let read = |key: &str, path: &Path| {
            std::fs::read_to_string(path)
                .map(Secret::new)
                .map_err(|error| Error::new(key, format!("cannot be read ({error})"), "name a readable PEM file"))
        };
        Ok(Self {
            ca: read("tls.ca", &files.ca)?,
            cert: read("tls.cert", &files.cert)?,
            key: read("tls.key", &files.key)?,
        })
    }

    fn load(&self, version: u64) -> Result<Loaded, Error> {
        let unusable = |key: &str, problem: &str| Error::new(key, problem, "name a PEM file that openssl can read");
        let mut roots = RootCertStore::empty();
        for authority in certificates(&self.ca).ok_or_else(|| unusable("tls.ca", "holds no certificate"))? {
            roots
                .add(authority)
                .map_err(|_| unusable("tls.ca", "holds a certificate that cannot be used"))?;
        }
        let chain = certificates(&self.cert).ok_or_else(|| unusable("tls.cert", "holds no certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes())
            .map_err(|_| unusable("tls.key", "holds no private key"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .build()
            .map_err(|_| unusable("tls.ca", "cannot verify callers"))?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| unusable("tls.mode", "is not possible on this machine"))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|_| unusable("tls.key", "does not belong to tls.cert"))?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Loaded {
            version,
            server: Arc::new(server),
            authority: Certificate::from_pem(self.ca.expose()),
            identity: Identity::from_pem(self.cert.expose(), self.key.expose()),
        })
    }
}

/// All certificates of a PEM text; `None` when there is none, or one that is broken.
fn certificates(pem: &Secret) -> Option<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(pem.expose().as_bytes()).collect::<Result<Vec<_>, _>>();
    found.ok().filter(|found| !found.is_empty())
}

/// Connections of callers that showed a certificate of the authority. Ends, and gives the port back, when it is dropped.
pub(super) fn incoming(
    listener: TcpListener,
    certificates: Certificates,
) -> ReceiverStream<io::Result<TlsStream<TcpStream>>> {
    let (shaken, connections) = mpsc::channel(HANDSHAKES);
    tokio::spawn(accept(listener, certificates, shaken));
    ReceiverStream::new(connections)
}

async fn accept(
    listener: TcpListener,
    certificates: Certificates,
    shaken: mpsc::Sender<io::Result<TlsStream<TcpStream>>>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shaken.closed() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, or the caller was gone already: the next one may do better.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (acceptor, shaken) = (TlsAcceptor::from(certificates.current().server), shaken.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                // Nobody listens any more when this process ends.
                Ok(Ok(stream)) => drop(shaken.send(Ok(stream)).await),
                Ok(Err(error)) => refused(&error.to_string()),
                Err(_) => refused("it took too long"),
            }
            drop(place);
        });
    }
}

fn refused(why: &str) {
    metrics::counter!("tls_refused_total").increment(1);
    tracing::debug!(why, "a caller's handshake failed");
}

/// The first DNS name of a certificate up to its first dot, else its common name: `tokens` for `tokens.socializioz.svc`.
pub(super) fn name_of(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let dns = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .find_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
    let name = dns.or_else(|| {
        let common = certificate.subject().iter_common_name().next()?;
        common.as_str().ok().map(str::to_owned)
    })?;
    Some(name.split('.').next().unwrap_or_default().to_owned()).filter(|name| !name.is_empty())
}
