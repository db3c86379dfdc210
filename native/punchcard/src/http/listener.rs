//! The acceptance of connections.

mod addresses;
mod stalling;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::config::{Limits, Tls};
use addresses::Addresses;
use stalling::Stalling;

/// The time for open requests after the server was asked to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Reads the certificate and key of a server.
///
/// # Errors
/// If a file cannot be read or they do not fit each other; the error names the file.
pub fn tls(files: &Tls) -> io::Result<TlsAcceptor> {
    let bad = |path: &std::path::Path, cause: &dyn std::fmt::Display| {
        io::Error::other(format!("{}: {cause}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| bad(&files.certificate, &cause))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|cause| bad(&files.key, &cause))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|cause| bad(&files.certificate, &cause))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves connections until `stop` changes, then ends the open ones.
///
/// # Errors
/// If no further connection can be counted. A connection that fails does not end the others, and one that the system does
/// not accept is logged.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    mut stop: watch::Receiver<()>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(limits.connections));
    let addresses = Arc::new(Addresses::new(limits.address_connections));
    let mut connections = JoinSet::new();
    loop {
        // A client waits in the system's queue while all places are taken.
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place.map_err(io::Error::other)?,
            _ = stop.changed() => break,
        };
        let (socket, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => (socket, peer.ip()),
                Err(error) => {
                    // Such as too many open files: it passes.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            _ = stop.changed() => break,
        };
        // What is above the limit is closed at once: it would take the places of other addresses while it waits.
        let Some(share) = addresses.enter(address) else {
            tracing::debug!(%address, "a connection was closed: the address has as many as are allowed");
            continue;
        };
        while connections.try_join_next().is_some() {}
        let connection =
            Connection { router: router.clone(), tls: tls.clone(), limits, stop: stop.clone() };
        connections.spawn(async move {
            if let Err(error) = connection.run(socket).await {
                tracing::debug!(%error, "a connection ended");
            }
            drop((share, place));
        });
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, ended).await;
    Ok(())
}

struct Connection {
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    stop: watch::Receiver<()>,
}

impl Connection {
    async fn run(self, socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        match &self.tls {
            None => self.serve(socket).await,
            Some(tls) => {
                let time = Duration::from_secs(self.limits.header_seconds);
                let stream = tokio::time::timeout(time, tls.accept(socket)).await??;
                self.serve(stream).await
            }
        }
    }

    async fn serve<S>(&self, stream: S) -> io::Result<()>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let stream = Stalling::new(stream, Duration::from_secs(self.limits.stall_seconds));
        let mut stop = self.stop.clone();
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(self.limits.header_seconds));
        let service = TowerToHyperService::new(self.router.clone());
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            result = connection.as_mut() => return result.map_err(io::Error::other),
            _ = stop.changed() => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await.map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::sync::watch;

    use super::serve;
    use crate::config::Limits;

    async fn connect(from: &str, to: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(format!("{from}:0").parse().expect("an address")).expect("an address");
        socket.connect(to).await.expect("a connection")
    }

    /// Sends a request; returns true if it is answered, and false if the connection is closed instead.
    async fn is_answered(stream: &mut TcpStream) -> bool {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut answer = Vec::new();
        let whole = async {
            while !answer.ends_with(b"\r\n\r\nok") {
                match stream.read_buf(&mut answer).await {
                    Ok(count) if count > 0 => {}
                    _ => return false,
                }
            }
            true
        };
        tokio::time::timeout(Duration::from_secs(60), whole).await.expect("an end in time")
    }

    #[tokio::test]
    async fn an_address_with_all_its_connections_keeps_no_other_address_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let limits = Limits {
            connections: 4,
            address_connections: 2,
            header_seconds: 600,
            ..Limits::default()
        };
        let (_stop, stopped) = watch::channel(());
        let router = Router::new().route("/", get(async || "ok"));
        let server = tokio::spawn(serve(listener, router, None, limits, stopped));
        let (mut first, mut second) =
            (connect("127.0.0.1", address).await, connect("127.0.0.1", address).await);
        assert!(is_answered(&mut first).await && is_answered(&mut second).await);
        // More than there are places for all addresses.
        for _ in 0..5 {
            assert!(!is_answered(&mut connect("127.0.0.1", address).await).await);
        }
        assert!(is_answered(&mut connect("127.0.0.2", address).await).await);
        drop(first);
        let mut free = false;
        for _ in 0..400 {
            // The server sees the end of the first connection a little later.
            free = is_answered(&mut connect("127.0.0.1", address).await).await;
            if free {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(free && is_answered(&mut second).await);
        server.abort();
    }
}
