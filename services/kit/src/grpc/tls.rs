//! Certificates for calls between the services, and the name in one.

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::Secret;

/// This process' certificate and the authority that it trusts.
#[derive(Clone)]
pub struct Certificates {
    authority: Certificate,
    identity: Identity,
}

impl Certificates {
    /// From PEM texts.
    pub fn new(ca: &Secret, cert: &Secret, key: &Secret) -> Self {
        Self {
            authority: Certificate::from_pem(ca.expose()),
            identity: Identity::from_pem(cert.expose(), key.expose()),
        }
    }

    /// A server that only takes callers with a certificate of the authority.
    pub(super) fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(self.identity.clone())
            .client_ca_root(self.authority.clone())
    }

    /// A client that shows its certificate and expects `host`.
    pub(super) fn client(&self, host: &str) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(self.authority.clone())
            .identity(self.identity.clone())
            .domain_name(host.to_owned())
    }
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
