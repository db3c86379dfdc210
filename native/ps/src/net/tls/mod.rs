//! TLS 1.3 below the protocol: what a [`Link`](crate::link::Link) encrypts with, and why a peer is refused.
//!
//! The server proves itself by its certificate, a worker by one of its own where it has one. The proof of the fit's secret
//! follows inside, as without TLS.

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

/// The configuration keys that name the files, for people who read errors.
const TRUSTED_CERTIFICATES: &str = "spark.firesteel.ssl.trustedCertificates";
const SERVER_KEYS: [&str; 2] =
    ["spark.firesteel.ssl.certificate", "spark.firesteel.ssl.privateKey"];
const CLIENT_KEYS: [&str; 2] =
    ["spark.firesteel.ssl.clientCertificate", "spark.firesteel.ssl.clientPrivateKey"];
const ENABLED: &str = "spark.firesteel.ssl.enabled";

/// The bytes by which an alert is told from the first words of the protocol.
pub(crate) const ALERT_LEN: usize = 7;

/// What every secured connection of a server begins with.
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

    /// The server's side of a connection.
    pub(crate) fn session(&self, socket: Socket) -> Result<TlsSession, PsError> {
        let connection = ServerConnection::new(Arc::clone(&self.0)).map_err(internal)?;
        Ok(TlsSession::new(connection.into(), socket))
    }
}

/// What every secured connection of a worker begins with.
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
            PsError::Spec(format!("no certificate can be valid for the driver's host '{host}'"))
        })?;
        Ok(Self { config: Arc::new(config), server })
    }

    /// The worker's side of a connection.
    pub(crate) fn session(&self, socket: Socket) -> Result<TlsSession, PsError> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.server.clone());
        Ok(TlsSession::new(connection.map_err(internal)?.into(), socket))
    }
}

/// Whether these are the first bytes of a peer that speaks TLS to a server that does not: a handshake record.
pub(crate) fn is_hello(bytes: &[u8]) -> bool {
    matches!(bytes, [0x16, 0x03, ..])
}

/// Why the plain protocol cannot be spoken with a server that begins with these bytes, if they are a fatal alert: the answer
/// of one that speaks TLS.
pub(crate) fn alerted(bytes: &[u8; ALERT_LEN], server: &str) -> Option<PsError> {
    matches!(bytes, [0x15, 0x03, _, 0, 2, 2, _]).then(|| {
        PsError::Protocol(format!(
            "the parameter server at {server} speaks TLS, but this worker does not: {ENABLED} must be the same on \
             driver and executors"
        ))
    })
}

/// The processor's own instructions need no start-up: a provider is a table.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn internal(error: rustls::Error) -> PsError {
    PsError::Internal(format!("TLS: {error}"))
}
