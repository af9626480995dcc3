//! Authorities of the tests' own, and the certificates that they sign.

use std::path::{Path, PathBuf};

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// Signs certificates and keeps them as `<name>.pem` and `<name>.key` beside `ca.pem`.
pub struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate as its PEM text, and its key.
pub struct Issued {
    /// PEM of the certificate.
    pub cert: String,
    /// PEM of its key.
    pub key: String,
}

fn issuer() -> anyhow::Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "an authority of tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

impl Authority {
    /// A fresh one, with a folder that knows nobody else.
    pub fn new() -> anyhow::Result<Self> {
        let authority = Self {
            folder: tempfile::tempdir()?,
            issuer: issuer()?,
        };
        authority.trust(&authority.pem())?;
        Ok(authority)
    }

    /// Another authority in the same place: what it signs is not trusted before [`Authority::trust`].
    pub fn succeed(&mut self) -> anyhow::Result<()> {
        self.issuer = issuer()?;
        Ok(())
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Makes `ca.pem` what everybody trusts.
    pub fn trust(&self, pem: &str) -> anyhow::Result<()> {
        self.write("ca.pem", pem)
    }

    /// Signs for `names`, DNS names and addresses.
    pub fn sign(&self, names: &[String]) -> anyhow::Result<Issued> {
        self.issued(CertificateParams::new(names)?)
    }

    /// Signs what ended years ago.
    pub fn sign_expired(&self, names: &[String]) -> anyhow::Result<Issued> {
        let mut params = CertificateParams::new(names)?;
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.issued(params)
    }

    fn issued(&self, params: CertificateParams) -> anyhow::Result<Issued> {
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued {
            cert,
            key: key.serialize_pem(),
        })
    }

    /// Signs for a service and puts it where its process finds it.
    pub fn equip(&self, role: &str, names: &[String]) -> anyhow::Result<()> {
        let issued = self.sign(names)?;
        // A process that looks between the two sees a key that does not fit, and looks again.
        self.write(&format!("{role}.pem"), &issued.cert)?;
        self.write(&format!("{role}.key"), &issued.key)
    }

    /// Where a file of it is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path: &Path = &self.path(name);
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }
}
