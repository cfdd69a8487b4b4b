//! What the user may choose of TLS, made into a configuration, or refused by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::{ResolvesClientCert, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, Error, InconsistentKeys, RootCertStore, SignatureScheme, SupportedCipherSuite,
    SupportedProtocolVersion,
};

use super::verify::{Anybody, Named};
use super::{ResumptionShare, Security};

/// The only protocol that is offered.
const ALPN: &[u8] = b"http/1.1";

/// Whom to believe to be the server.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Anybody.
    Anybody,
    /// Whom these issuers have signed, in DER.
    Issuers(Vec<Vec<u8>>),
    /// Whom those have signed that Mozilla trusts.
    Bundled,
    /// Whom the certificates in this PEM text have signed, and these certificates themselves.
    Named(Vec<u8>),
}

impl Trust {
    /// The word in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Anybody => "anybody",
            Self::Issuers(_) => "platform",
            Self::Bundled => "bundled",
            Self::Named(_) => "cacert",
        }
    }
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Who this client is, in PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its certificate, and those between it and an issuer.
    pub certificates: Vec<u8>,
    /// The private key of the first of them.
    pub key: Vec<u8>,
}

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name that is sent, and that the certificate must be valid for; or an address.
    pub name: String,
    /// Whom to believe.
    pub trust: Trust,
    /// `--cert` and `--key`.
    pub identity: Option<Identity>,
    /// The only version, if there is to be only one.
    pub version: Option<Version>,
    /// Cipher suites in the order of preference; empty for the usual ones.
    pub ciphers: Vec<String>,
    /// Groups for the exchange of keys, likewise.
    pub groups: Vec<String>,
    /// Which connections may resume a session.
    pub resumption: ResumptionShare,
}

impl Options {
    /// Makes it a configuration for all connections of a run.
    ///
    /// # Errors
    /// The flag that cannot be obeyed, and why.
    pub fn build(&self) -> Result<Security, String> {
        let name = ServerName::try_from(self.name.clone()).map_err(|_| {
            format!("--sni: '{}' is neither a host name nor an address", self.name.escape_debug())
        })?;
        let provider = Arc::new(self.provider()?);
        let versions: &[&SupportedProtocolVersion] = match self.version {
            None => &[&TLS13, &TLS12],
            Some(Version::Tls12) => &[&TLS12],
            Some(Version::Tls13) => &[&TLS13],
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|_| "--ciphers and --tls contradict each other: no suite is left".to_owned())?
            .dangerous()
            .with_custom_certificate_verifier(match &self.trust {
                Trust::Anybody => Arc::new(Anybody(provider)),
                trust => Arc::new(named(trust, provider)?),
            });
        let asked = Arc::new(Nobody::default());
        let mut config = match &self.identity {
            None => builder.with_client_cert_resolver(Arc::clone(&asked) as Arc<_>),
            Some(identity) => {
                let (certificates, key) = identity.read()?;
                builder
                    .with_client_auth_cert(certificates, key)
                    .map_err(|error| key_refused(&error))?
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Whatever else can be wrong with a configuration shows when it is used.
        UnbufferedClientConnection::new(Arc::new(config.clone()), name.clone())
            .map_err(|error| format!("TLS cannot be set up: {error}"))?;
        Ok(Security {
            config: Arc::new(config),
            asked,
            name,
            resumption: self.resumption,
            trust: self.trust.name(),
            canonical: format!(
                "{} {} {:?} {:?} {:?} {:?} {}",
                self.name,
                self.trust.name(),
                self.version,
                self.ciphers,
                self.groups,
                self.resumption,
                self.identity.is_some()
            ),
        })
    }

    fn provider(&self) -> Result<CryptoProvider, String> {
        let mut provider = aws_lc_rs::default_provider();
        if !self.ciphers.is_empty() {
            let known = aws_lc_rs::ALL_CIPHER_SUITES;
            let find = |wanted: &String| {
                known.iter().find(|suite| is_named(&suite_name(suite), wanted)).copied().ok_or_else(
                    || {
                        format!(
                            "--ciphers: '{}' is not known; known are {}",
                            wanted.escape_debug(),
                            known_ciphers().join(", ")
                        )
                    },
                )
            };
            provider.cipher_suites = self.ciphers.iter().map(find).collect::<Result<_, _>>()?;
        }
        if !self.groups.is_empty() {
            let find = |wanted: &String| {
                let mut known = aws_lc_rs::ALL_KX_GROUPS.iter();
                known.find(|group| is_named(&group_name(**group), wanted)).copied().ok_or_else(
                    || {
                        format!(
                            "--groups: '{}' is not known; known are {}",
                            wanted.escape_debug(),
                            known_groups().join(", ")
                        )
                    },
                )
            };
            provider.kx_groups = self.groups.iter().map(find).collect::<Result<_, _>>()?;
        }
        Ok(provider)
    }
}

/// A client that has no certificate, and remembers whether it was asked for one.
#[derive(Debug, Default)]
pub(super) struct Nobody(AtomicBool);

impl Nobody {
    /// Whether some server has asked.
    pub(super) fn was_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl Identity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let certificates =
            certificates(&self.certificates).map_err(|why| format!("--cert: {why}"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| "--key: no private key in PEM form in it".to_owned())?;
        Ok((certificates, key))
    }
}

fn key_refused(error: &Error) -> String {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "--key does not belong to the certificate of --cert".to_owned()
        }
        error => format!("--cert, --key: cannot be used: {error}"),
    }
}

fn named(trust: &Trust, provider: Arc<CryptoProvider>) -> Result<Named, String> {
    let mut roots = RootCertStore::empty();
    let known = match trust {
        Trust::Anybody => Vec::new(),
        Trust::Bundled => {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            Vec::new()
        }
        Trust::Issuers(issuers) => {
            // A machine's store may hold what cannot be used; that is nobody's fault here.
            roots.add_parsable_certificates(
                issuers.iter().map(|issuer| CertificateDer::from(issuer.as_slice())),
            );
            Vec::new()
        }
        Trust::Named(pem) => {
            let known = certificates(pem).map_err(|why| format!("--cacert: {why}"))?;
            for certificate in &known {
                let added = roots.add(certificate.clone());
                added
                    .map_err(|error| format!("--cacert: a certificate cannot be used: {error}"))?;
            }
            known
        }
    };
    let issuers = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let issuers = issuers.map_err(|_| {
        "no certificate authority is known; name one with --cacert, or trust anybody with -k"
            .to_owned()
    })?;
    Ok(Named { issuers, certificates: known })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err("no certificate in PEM form in it".to_owned())
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("not a PEM file: {error}")),
    }
}

/// The suites that `--ciphers` takes.
#[must_use]
pub fn known_ciphers() -> Vec<String> {
    aws_lc_rs::ALL_CIPHER_SUITES.iter().map(suite_name).collect()
}

/// The groups that `--groups` takes.
#[must_use]
pub fn known_groups() -> Vec<String> {
    aws_lc_rs::ALL_KX_GROUPS.iter().map(|group| group_name(*group)).collect()
}

/// As IANA lists it: rustls writes `TLS13_` where the list has `TLS_`.
pub(super) fn suite_name(suite: &SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or("unknown");
    name.replacen("TLS13_", "TLS_", 1)
}

fn group_name(group: &dyn SupportedKxGroup) -> String {
    group.name().as_str().unwrap_or("unknown").to_owned()
}

fn is_named(name: &str, wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted)
}
