//! The configuration file, in TOML.

mod advice;
mod cluster;
mod host;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use cluster::Cluster;
pub use host::without_port;

/// The configuration of a server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address to listen on.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The server's own folder, with the database, uploads and jobs. The data that jobs read is in the folders of
    /// [`Cluster::data`].
    pub data: PathBuf,
    /// The names under which clients reach the server, beside the listening address and `localhost` on loopback.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The certificate and key; without them the server listens on loopback only.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The limits of requests, connections and files, which are the same for all users.
    #[serde(default)]
    pub limits: Limits,
    /// The quotas of users that have none of their own.
    #[serde(default)]
    pub quotas: Quotas,
    /// The installation of Firesteel that runs jobs.
    pub firesteel: Firesteel,
    /// The clusters by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// The cluster of jobs that name none; by default the only one.
    #[serde(default)]
    pub default_cluster: Option<String>,
}

/// The files for TLS, in PEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, followed by intermediate ones.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The limits of requests, connections and files, which are the same for all users.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The connections at a time.
    pub connections: usize,
    /// The connections of an address at a time.
    pub address_connections: u32,
    /// The streams of a user at a time.
    pub user_streams: u32,
    /// The uploads of a user that arrive at a time.
    pub user_uploads: u32,
    /// The bytes of one upload.
    pub upload_bytes: u64,
    /// The bytes of the uploads of one job together.
    pub files_bytes: u64,
    /// The bytes of any other request's body.
    pub body_bytes: usize,
    /// The seconds for a TLS handshake and for the headers of a request.
    pub header_seconds: u64,
    /// The seconds within which the next bytes of an upload must arrive, the whole of any other body, and the next bytes
    /// of an answer must leave.
    pub stall_seconds: u64,
    /// The bytes a second that an upload must reach on average, after the first `stall_seconds`.
    pub upload_rate: u64,
    /// The seconds for which a cancelled process may end by itself before it is killed.
    pub grace_seconds: u64,
    /// The seconds between a failed attempt and the next one, which double with each further attempt.
    pub retry_seconds: u32,
    /// The events of a job's drivers that are kept.
    pub events: u32,
    /// The bytes of the data of these events.
    pub event_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            address_connections: 256,
            user_streams: 32,
            user_uploads: 8,
            upload_bytes: 4 << 30,
            files_bytes: 8 << 30,
            body_bytes: 1 << 20,
            header_seconds: 10,
            stall_seconds: 30,
            upload_rate: 1024,
            grace_seconds: 10,
            retry_seconds: 1,
            events: 100_000,
            event_bytes: 64 << 20,
        }
    }
}

/// The quotas of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// The jobs that run at a time.
    pub running: u32,
    /// The jobs of one token that run at a time; dist-keras had one.
    pub running_per_token: u32,
    /// The jobs that wait at a time.
    pub queued: u32,
    /// The jobs that are kept at a time, in all states.
    pub kept: u32,
    /// The bytes of uploads.
    pub upload_bytes: u64,
    /// The bytes of an attempt's log that are kept.
    pub log_bytes: u64,
    /// The days for which finished jobs are kept.
    pub retention_days: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            running: 4,
            running_per_token: 1,
            queued: 100,
            kept: 10_000,
            upload_bytes: 16 << 30,
            log_bytes: 64 << 20,
            retention_days: 30,
        }
    }
}

/// The installation of Firesteel that runs jobs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firesteel {
    /// The folder that contains the Python package `firesteel`.
    pub python: PathBuf,
    /// The plugin's jar; by default the one in the package.
    #[serde(default)]
    pub jar: Option<PathBuf>,
    /// Further jars; by default the one with libtorch of the package `firesteel-libtorch-cpu`, if it is installed beside
    /// the package `firesteel`.
    #[serde(default)]
    pub jars: Option<Vec<PathBuf>>,
}

/// The jar with libtorch in the package `firesteel-libtorch-cpu`.
const LIBTORCH_JAR: &str = "firesteel_libtorch_cpu/jars/firesteel-libtorch-cpu-linux-x86_64.jar";

impl Firesteel {
    /// Returns the program that trains by a job's specification.
    #[must_use]
    pub fn runner(&self) -> PathBuf {
        self.python.join("firesteel/punchcard/runner.py")
    }

    /// Returns the jars for every job.
    #[must_use]
    pub fn jars(&self) -> Vec<PathBuf> {
        let plugin =
            self.jar.clone().unwrap_or_else(|| self.python.join("firesteel/jars/firesteel.jar"));
        let further = self.jars.clone().unwrap_or_else(|| {
            let packaged = self.python.join(LIBTORCH_JAR);
            packaged.is_file().then_some(packaged).into_iter().collect()
        });
        std::iter::once(plugin).chain(further).collect()
    }
}

/// A configuration that does not work, with the file and the key.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}", file = .file.display())]
pub struct ConfigError {
    file: PathBuf,
    problem: String,
}

const fn default_listen() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7438)
}

impl Config {
    /// Reads and checks a file. Relative paths in it start at its folder.
    ///
    /// # Errors
    /// An error that names the key that does not fit.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let error = |problem: String| ConfigError { file: file.to_owned(), problem };
        let text = std::fs::read_to_string(file).map_err(|cause| error(advice::of_file(&cause)))?;
        let mut config: Self =
            toml::from_str(&text).map_err(|cause| error(advice::of_toml(&cause)))?;
        let path = std::path::absolute(file).map_err(|cause| error(cause.to_string()))?;
        config.resolve(path.parent().unwrap_or(&path));
        config.check().map_err(error)?;
        Ok(config)
    }

    /// Returns the name of the cluster of jobs that name none, if there is one.
    #[must_use]
    pub fn default_cluster(&self) -> Option<&str> {
        match &self.default_cluster {
            Some(name) => Some(name),
            None if self.clusters.len() == 1 => self.clusters.keys().next().map(String::as_str),
            None => None,
        }
    }

    fn resolve(&mut self, folder: &Path) {
        let firesteel = &mut self.firesteel;
        let tls = self.tls.iter_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
        let jars = firesteel.jar.iter_mut().chain(firesteel.jars.iter_mut().flatten());
        let submits = self.clusters.values_mut().map(|cluster| &mut cluster.spark_submit);
        let all = [&mut self.data, &mut firesteel.python].into_iter();
        for path in all.chain(tls).chain(jars).chain(submits) {
            *path = folder.join(&path);
        }
    }

    fn check(&self) -> Result<(), String> {
        if !self.listen.ip().is_loopback() && self.tls.is_none() {
            return Err(format!(
                "listen = '{}' is reachable from other machines, and tokens would travel unencrypted; set [tls], or \
                 listen on 127.0.0.1",
                self.listen
            ));
        }
        for name in &self.hosts {
            host::check(name).map_err(|problem| format!("hosts: {problem}"))?;
        }
        if self.listen.ip().is_unspecified() && self.hosts.is_empty() {
            return Err(format!(
                "hosts is empty, so that a server that listens on {} refuses all requests; list the names and addresses \
                 by which clients reach it, such as \"punchcard.example.org\" and \"localhost\"",
                self.listen.ip()
            ));
        }
        if self.clusters.is_empty() {
            return Err("[clusters] is empty; add a table such as [clusters.local]".to_owned());
        }
        for (name, cluster) in &self.clusters {
            cluster.check().map_err(|problem| format!("clusters.{name}.{problem}"))?;
        }
        if let Some(name) = &self.default_cluster
            && !self.clusters.contains_key(name)
        {
            return Err(format!("default_cluster = '{name}' is not in [clusters]"));
        }
        let runner =
            (self.firesteel.runner(), "python must be the folder with the package firesteel");
        let jars = self.firesteel.jars().into_iter();
        let jars = jars.map(|jar| (jar, "install the wheel of Firesteel, or correct jar and jars"));
        if let Some((path, remedy)) =
            [runner].into_iter().chain(jars).find(|(path, _)| !path.is_file())
        {
            let path = path.display();
            return Err(format!("[firesteel] needs '{path}', which does not exist; {remedy}"));
        }
        let zero = [
            ("limits.connections", self.limits.connections == 0),
            ("limits.address_connections", self.limits.address_connections == 0),
            ("limits.header_seconds", self.limits.header_seconds == 0),
            ("limits.stall_seconds", self.limits.stall_seconds == 0),
            ("limits.upload_rate", self.limits.upload_rate == 0),
            ("limits.user_streams", self.limits.user_streams == 0),
            ("limits.user_uploads", self.limits.user_uploads == 0),
            ("quotas.kept", self.quotas.kept == 0),
            ("quotas.log_bytes", self.quotas.log_bytes == 0),
        ];
        match zero.into_iter().find(|(_, zero)| *zero) {
            Some((key, _)) => Err(format!("{key} must be at least 1")),
            None => Ok(()),
        }
    }
}
