//! The private key of `--key`, decrypted where it has a passphrase.

use std::path::Path;

use pkcs8::pkcs5;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};

use super::credentials;
use crate::target::Secret;

/// What an encrypted key is called in PEM (RFC 7468 section 11), and what it is without its encryption.
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const PLAIN: &str = "PRIVATE KEY";
/// A header of the form in which OpenSSL used to encrypt keys (RFC 1421).
const LEGACY: &str = "Proc-Type: 4,ENCRYPTED";

/// The key in `pem`, the text of the file at `path`: as it is, or decrypted with the passphrase of `--key-passphrase` or
/// of the environment.
///
/// # Errors
/// A passphrase that is missing, wrong or needless, or an encryption that is not known; how to convert the key.
pub(super) fn private_key(
    path: &Path,
    pem: Vec<u8>,
    flag: Option<&Secret>,
) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let text = String::from_utf8_lossy(&pem);
    let Some(block) = encrypted_block(&text) else {
        if text.contains(LEGACY) {
            return Err(format!(
                "--key {shown}: it is encrypted in OpenSSL's legacy format; {}",
                conversion(path)
            ));
        }
        return match flag {
            Some(_) => Err(format!(
                "--key-passphrase: the key in {shown} is not encrypted; leave the passphrase out"
            )),
            None => Ok(pem),
        };
    };
    let Some(passphrase) = credentials::passphrase(flag)? else {
        return Err(format!(
            "--key {shown}: the key is encrypted; put its passphrase in a file and use --key-passphrase @FILE, or set {}",
            credentials::PASSPHRASE_VARIABLE
        ));
    };
    decrypt(block, passphrase.reveal()).map_err(|failed| match failed {
        Failed::WrongPassphrase => {
            format!(
                "--key {shown}: the passphrase of --key-passphrase or {} is wrong",
                credentials::PASSPHRASE_VARIABLE
            )
        }
        Failed::Malformed => {
            format!("--key {shown}: the encrypted key is malformed; export it again")
        }
        Failed::Unknown => {
            format!("--key {shown}: maxq does not support its encryption; {}", conversion(path))
        }
    })
}

/// How to get a form of the key that can be read.
fn conversion(path: &Path) -> String {
    format!(
        "convert it with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in {} -out new-key.pem",
        path.display()
    )
}

/// Why a key cannot be decrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Failed {
    WrongPassphrase,
    Malformed,
    Unknown,
}

/// The encrypted key in `text`, which may hold certificates and comments too.
fn encrypted_block(text: &str) -> Option<&str> {
    let start = text.find(&format!("-----BEGIN {ENCRYPTED}-----"))?;
    let end_line = format!("-----END {ENCRYPTED}-----");
    let end = text[start..].find(&end_line).map_or(text.len(), |end| start + end + end_line.len());
    Some(&text[start..end])
}

fn decrypt(block: &str, passphrase: &[u8]) -> Result<Vec<u8>, Failed> {
    let (_, document) = SecretDocument::from_pem(block).map_err(|_| Failed::Malformed)?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
    // What is no key in a known encryption fails here; a name of a method is all that may be unknown in what is well made.
    let encrypted = encrypted.map_err(|_| Failed::Unknown)?;
    let plain = encrypted.decrypt(passphrase).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(
            pkcs5::Error::UnsupportedAlgorithm { .. } | pkcs5::Error::NoPbes1CryptSupport,
        ) => Failed::Unknown,
        _ => Failed::WrongPassphrase,
    })?;
    // One wrong passphrase of some 256 leaves bytes that end as they should, and are still no key.
    PrivateKeyInfoRef::try_from(plain.as_bytes()).map_err(|_| Failed::WrongPassphrase)?;
    let pem = plain.to_pem(PLAIN, LineEnding::LF).map_err(|_| Failed::Malformed)?;
    Ok(pem.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::{Failed, decrypt, encrypted_block};

    /// Made with `openssl pkcs8 -topk8 -iter 1`: a test tries thousands of passphrases.
    const KEY: &str = "a comment
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAjTNiCCdAx/xAIBATAM
BggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQdrYA6DUN1ycCZK9VYDp0vgRAuYyA
MPcOdhzJIZDlYPXq803fFqc5R2FIwr2alzrsQdukZX3xt+cI9Q6KcUDLD7E68BY8
lQNd/759LYbP2iTzUw==
-----END ENCRYPTED PRIVATE KEY-----
";

    #[test]
    fn a_key_is_found_among_other_text_and_decrypted() {
        let plain = decrypt(encrypted_block(KEY).unwrap(), b"right").unwrap();
        let text = String::from_utf8(plain).unwrap();
        assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{text}");
        assert_eq!(encrypted_block(&text), None);
    }

    #[test]
    fn a_wrong_passphrase_is_wrong_even_where_its_bytes_end_as_they_should() {
        let block = encrypted_block(KEY).unwrap();
        for number in 0..2000 {
            let wrong = format!("wrong {number}");
            assert_eq!(decrypt(block, wrong.as_bytes()), Err(Failed::WrongPassphrase), "{wrong}");
        }
    }
}
