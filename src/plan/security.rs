//! TLS as the flags ask for it: files read, authorities looked up, contradictions refused.

use std::env;
use std::path::Path;

use super::key::private_key;
use crate::cli::{TlsArgs, TlsVersionArg};
use crate::core::tls::{Identity, Options, ResumptionShare, Security, Trust, Version};
use crate::files;
use crate::target::{Target, ascii_host};

/// All authorities of a machine together take less than a MiB.
const MOST_PEM_BYTES: u64 = 16 << 20;

/// What the bytes of a run against `target` are wrapped in.
///
/// # Errors
/// The flag that cannot be obeyed, and the remedy.
pub(super) fn security(args: &TlsArgs, target: &Target) -> Result<Option<Security>, String> {
    if !target.secure {
        return match needless(args) {
            Some(flag) => Err(format!("{flag} is about TLS; use an https:// URL with it")),
            None => Ok(None),
        };
    }
    let trust = match &args.cacert {
        _ if args.insecure => Trust::Anybody,
        Some(path) => Trust::Named(read("--cacert", path)?),
        None => authorities()?,
    };
    let identity = match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => Some(Identity {
            certificates: read("--cert", cert)?,
            key: private_key(key, read("--key", key)?, args.key_passphrase.as_ref())?,
        }),
        _ => None,
    };
    let share = if args.no_resumption { 0 } else { args.resumption.unwrap_or(100) };
    let options = Options {
        name: match &args.sni {
            Some(name) => ascii_host(name).map_err(|why| format!("--sni: {why}"))?,
            None => target.host.clone(),
        },
        trust,
        identity,
        version: args.tls.map(|version| match version {
            TlsVersionArg::Tls12 => Version::Tls12,
            TlsVersionArg::Tls13 => Version::Tls13,
        }),
        ciphers: words("--ciphers", args.ciphers.as_deref())?,
        groups: words("--groups", args.groups.as_deref())?,
        resumption: ResumptionShare(share),
    };
    options.build().map(Some).map_err(|why| match args.sni {
        None if why.starts_with("--sni") => format!("URL '{target}': {}", &why["--sni: ".len()..]),
        _ => why,
    })
}

/// The first flag that is about TLS.
fn needless(args: &TlsArgs) -> Option<&'static str> {
    let given = [
        (args.insecure, "-k"),
        (args.cacert.is_some(), "--cacert"),
        (args.cert.is_some(), "--cert"),
        (args.sni.is_some(), "--sni"),
        (args.tls.is_some(), "--tls"),
        (args.ciphers.is_some(), "--ciphers"),
        (args.groups.is_some(), "--groups"),
        (args.resumption.is_some(), "--resumption"),
        (args.no_resumption, "--no-resumption"),
    ];
    given.into_iter().find_map(|(given, flag)| given.then_some(flag))
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, String> {
    let refuse = |why: &str| format!("{flag} {}: {why}; name a PEM file", path.display());
    let bytes = files::read(path, MOST_PEM_BYTES).map_err(|error| refuse(&error.to_string()))?;
    if bytes.len() as u64 > MOST_PEM_BYTES {
        return Err(refuse(&format!("larger than {} MiB", MOST_PEM_BYTES >> 20)));
    }
    Ok(bytes)
}

/// Those that this machine trusts; Mozilla's where it has none at all, as in a container from scratch. What is there and
/// cannot be read, or was named and is not there, is not made up for by trusting others.
fn authorities() -> Result<Trust, String> {
    let named =
        ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find(|name| env::var_os(name).is_some());
    let mine = rustls_native_certs::load_native_certs();
    // Of those that come with a machine, a few may be beyond reading.
    if !mine.certs.is_empty() && (named.is_none() || mine.errors.is_empty()) {
        return Ok(Trust::Issuers(
            mine.certs.iter().map(|issuer| issuer.as_ref().to_vec()).collect(),
        ));
    }
    match (named, mine.errors.first()) {
        (None, None) => Ok(Trust::Bundled),
        (Some(name), _) => Err(format!(
            "{name}: what it names cannot be read as certificate authorities; correct it, or name them with --cacert"
        )),
        (None, Some(error)) => Err(format!(
            "the certificate authorities of this machine cannot be read ({error}); name one with --cacert"
        )),
    }
}

/// The words of a list, which holds some when it is given.
fn words(flag: &str, list: Option<&str>) -> Result<Vec<String>, String> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let words = list.split([',', ':']).map(str::trim).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_owned).collect();
    if words.is_empty() {
        Err(format!("{flag}: the list is empty; leave the flag out"))
    } else {
        Ok(words)
    }
}
