//! The server's side of TLS, for the simulated engine: what it is sent, it can read, and what it answers, a client can.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

/// A server's certificate and key, ready for any number of connections.
#[derive(Clone, Debug)]
pub struct MirrorConfig(Arc<ServerConfig>);

impl MirrorConfig {
    /// A server that shows the certificates in one PEM text, and knows the key in the other.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self, String> {
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(certificates).collect();
        let certificates = certificates.map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| error.to_string())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key));
        Ok(Self(Arc::new(config.map_err(|error| error.to_string())?)))
    }
}

/// The far end of one connection.
#[derive(Debug)]
pub struct Mirror(ServerConnection);

impl Mirror {
    /// One that was just connected to.
    ///
    /// # Errors
    /// What rustls says.
    pub fn new(config: &MirrorConfig) -> Result<Self, String> {
        let connection = ServerConnection::new(Arc::clone(&config.0));
        connection.map(Self).map_err(|error| error.to_string())
    }

    /// Takes what the client sent; returns the plain bytes in it, and what is to be sent back at once.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn receive(&mut self, mut bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
        let mut plain = Vec::new();
        while !bytes.is_empty() {
            self.0.read_tls(&mut bytes).map_err(|error| error.to_string())?;
            let state = self.0.process_new_packets().map_err(|error| error.to_string())?;
            let mut piece = vec![0; state.plaintext_bytes_to_read()];
            self.0.reader().read_exact(&mut piece).map_err(|error| error.to_string())?;
            plain.extend_from_slice(&piece);
        }
        Ok((plain, self.flush()))
    }

    /// Encrypts `plain`.
    ///
    /// # Panics
    /// Never: what is written goes to memory.
    pub fn send(&mut self, plain: &[u8]) -> Vec<u8> {
        self.0.set_buffer_limit(None);
        self.0.writer().write_all(plain).expect("there is no limit to what is buffered");
        self.flush()
    }

    /// Says that nothing more will come.
    pub fn say_goodbye(&mut self) -> Vec<u8> {
        self.0.send_close_notify();
        self.flush()
    }

    fn flush(&mut self) -> Vec<u8> {
        let mut sealed = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut sealed).expect("memory takes everything");
        }
        sealed
    }
}
