//! Certificate authorities and their certificates, in a temporary folder.

use std::fs;

use firesteel_core::spec::{ClientTls, ServerTls, TlsIdentity};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;

/// The validity of a certificate, by fixed years.
#[derive(Clone, Copy, Debug)]
pub enum Validity {
    Now,
    Past,
    Future,
}

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for these host names and addresses, with its key.
    pub fn issue(&self, hosts: &[&str], validity: Validity) -> (String, String) {
        let hosts: Vec<_> = hosts.iter().copied().map(str::to_owned).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        let (from, until) = match validity {
            Validity::Now => (2000, 4000),
            Validity::Past => (2000, 2001),
            Validity::Future => (3999, 4000),
        };
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A folder of PEM files.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Writes a certificate and its key.
    pub fn identity(&self, name: &str, (certificate, key): (String, String)) -> TlsIdentity {
        TlsIdentity {
            certificate: self.write(&format!("{name}.pem"), &certificate),
            private_key: self.write(&format!("{name}-key.pem"), &key),
        }
    }
}

/// The files of most tests: one authority, which issued the server's certificate for 127.0.0.1 and a worker's.
pub struct Trust {
    pub files: Files,
    pub authority: Authority,
    pub server: ServerTls,
    pub client: ClientTls,
}

impl Trust {
    pub fn new() -> Self {
        let (files, authority) = (Files::new(), Authority::new("tests"));
        let trusted = files.write("authority.pem", &authority.pem());
        let server = ServerTls {
            identity: files.identity("server", authority.issue(&["127.0.0.1"], Validity::Now)),
            trusted_certificates: trusted.clone(),
            need_client_auth: false,
        };
        let client = ClientTls { trusted_certificates: trusted, identity: None };
        Self { files, authority, server, client }
    }

    /// Returns a worker's certificate of this authority.
    pub fn worker(&self, validity: Validity) -> TlsIdentity {
        self.files.identity("worker", self.authority.issue(&["worker"], validity))
    }

    /// Returns a worker's certificate of an authority that is not trusted.
    pub fn stranger(&self) -> TlsIdentity {
        self.files
            .identity("stranger", Authority::new("other").issue(&["127.0.0.1"], Validity::Now))
    }
}
