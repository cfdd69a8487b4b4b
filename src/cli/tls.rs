//! The flags about TLS.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::parse_secret;
use crate::target::Secret;

/// The flags about TLS.
#[derive(Args, Clone, Debug, Default)]
pub struct TlsArgs {
    /// Do not verify the server's certificate.
    #[arg(short = 'k', long, conflicts_with = "cacert", help_heading = "TLS")]
    pub insecure: bool,
    /// Trust the certificates in this PEM file, and whom they have signed, instead of the authorities of this machine.
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub cacert: Option<PathBuf>,
    /// Show the certificate in this PEM file to a server that asks for one; its chain may follow it.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    pub cert: Option<PathBuf>,
    /// The private key of --cert, PEM; PKCS#8 may be encrypted.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    pub key: Option<PathBuf>,
    /// The passphrase of an encrypted --key: the first line of this file [default: MAXQ_KEY_PASSPHRASE in the environment].
    #[arg(long, value_name = "@FILE", requires = "key", value_parser = parse_secret, help_heading = "TLS")]
    pub key_passphrase: Option<Secret>,
    /// Name to ask for and to verify [default: the host of the URL].
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    pub sni: Option<String>,
    /// Only this version of TLS [default: 1.3 or 1.2].
    #[arg(long, value_enum, value_name = "VERSION", help_heading = "TLS")]
    pub tls: Option<TlsVersionArg>,
    /// Only these cipher suites, by IANA's names, the preferred one first, like TLS_AES_128_GCM_SHA256.
    #[arg(long, value_name = "LIST", help_heading = "TLS")]
    pub ciphers: Option<String>,
    /// Only these groups for the exchange of keys, like X25519,secp256r1,X25519MLKEM768.
    #[arg(long, value_name = "LIST", help_heading = "TLS")]
    pub groups: Option<String>,
    /// Which new connections resume an earlier session: on, off, or a share of them, like 50% [default: on].
    #[arg(long, value_name = "on|off|N%", value_parser = parse_resumption, help_heading = "TLS")]
    pub resumption: Option<u8>,
    /// Every connection does a full handshake: the same as --resumption off.
    #[arg(long, conflicts_with = "resumption", help_heading = "TLS")]
    pub no_resumption: bool,
}

/// A version of TLS; see `--tls`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum TlsVersionArg {
    /// TLS 1.2.
    #[value(name = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[value(name = "1.3")]
    Tls13,
}

/// Of a hundred connections, those that may resume a session.
fn parse_resumption(text: &str) -> Result<u8, String> {
    let share = match text {
        "on" => Some(100),
        "off" => Some(0),
        _ => text.strip_suffix('%').and_then(|share| share.parse().ok()).filter(|&s| s <= 100),
    };
    share.ok_or_else(|| "on, off, or a whole share from 0% to 100% is wanted".to_owned())
}
