//! TLS 1.3 below the protocol: the encryption of a [`Link`](crate::net::Link), and the reasons for a refused peer.
//!
//! The server authenticates itself by its certificate, and a worker by its own if it has one. The proofs of the fit's
//! secret follow inside the session, as without TLS.

mod pem;
mod refusal;
mod session;

use std::sync::Arc;

use firesteel_core::spec::{ClientTls, ServerTls};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use crate::error::PsError;
use crate::net::socket::Socket;
pub(crate) use refusal::refusal;
pub(crate) use session::TlsSession;

/// The configuration keys of the files, for error messages.
const TRUSTED_CERTIFICATES: &str = "spark.firesteel.ssl.trustedCertificates";
const SERVER_KEYS: [&str; 2] =
    ["spark.firesteel.ssl.certificate", "spark.firesteel.ssl.privateKey"];
const CLIENT_KEYS: [&str; 2] =
    ["spark.firesteel.ssl.clientCertificate", "spark.firesteel.ssl.clientPrivateKey"];
const ENABLED: &str = "spark.firesteel.ssl.enabled";

/// The bytes by which a TLS alert is distinguished from the first bytes of the protocol.
pub(crate) const ALERT_LEN: usize = 7;

/// The TLS configuration of a server.
#[derive(Clone, Debug)]
pub(crate) struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
    /// Reads the server's files.
    pub(crate) fn new(spec: &ServerTls) -> Result<Self, PsError> {
        let provider = provider();
        let roots = Arc::new(pem::roots(TRUSTED_CERTIFICATES, &spec.trusted_certificates)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let verifier =
            if spec.need_client_auth { verifier } else { verifier.allow_unauthenticated() };
        let verifier = verifier.build().map_err(|error| {
            pem::refused(TRUSTED_CERTIFICATES, &spec.trusted_certificates, error)
        })?;
        let (chain, key) = pem::identity(SERVER_KEYS, &spec.identity)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(internal)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| pem::unusable(SERVER_KEYS, &spec.identity, &error))?;
        config.send_tls13_tickets = 0;
        Ok(Self(Arc::new(config)))
    }

    /// Creates the server's side of a connection.
    pub(crate) fn session(&self, socket: Socket) -> Result<TlsSession, PsError> {
        let connection = ServerConnection::new(Arc::clone(&self.0)).map_err(internal)?;
        Ok(TlsSession::new(connection.into(), socket))
    }
}

/// The TLS configuration of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
}

impl Connector {
    /// Reads a worker's files; `host` is the name or address that the server's certificate must be valid for.
    pub(crate) fn new(spec: &ClientTls, host: &str) -> Result<Self, PsError> {
        let roots = pem::roots(TRUSTED_CERTIFICATES, &spec.trusted_certificates)?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(internal)?
            .with_root_certificates(roots);
        let mut config = match &spec.identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = pem::identity(CLIENT_KEYS, identity)?;
                config
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| pem::unusable(CLIENT_KEYS, identity, &error))?
            }
        };
        config.resumption = Resumption::disabled();
        let server = ServerName::try_from(host.to_owned()).map_err(|_| {
            PsError::Spec(format!(
                "the driver's host '{host}' is not a valid name for a certificate"
            ))
        })?;
        Ok(Self { config: Arc::new(config), server })
    }

    /// Creates the worker's side of a connection.
    pub(crate) fn session(&self, socket: Socket) -> Result<TlsSession, PsError> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.server.clone());
        Ok(TlsSession::new(connection.map_err(internal)?.into(), socket))
    }
}

/// Returns true for the first bytes of a TLS handshake record, from a peer that uses TLS with a server that does not.
pub(crate) fn is_hello(bytes: &[u8]) -> bool {
    matches!(bytes, [0x16, 0x03, ..])
}

/// Returns the error for a server whose first bytes are a fatal TLS alert: it uses TLS, and this worker does not.
pub(crate) fn alerted(bytes: &[u8; ALERT_LEN], server: &str) -> Option<PsError> {
    matches!(bytes, [0x15, 0x03, _, 0, 2, 2, _]).then(|| {
        PsError::Protocol(format!(
            "the parameter server at {server} speaks TLS, but this worker does not: {ENABLED} must be the same on \
             driver and executors"
        ))
    })
}

/// A provider is a table, cheap to create: the processor's instructions need no initialization.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn internal(error: rustls::Error) -> PsError {
    PsError::Internal(format!("TLS: {error}"))
}
