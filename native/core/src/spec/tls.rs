//! The certificates of a fit whose connections are encrypted.

use serde::{Deserialize, Serialize};

/// The TLS identity of a server and its demands on workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerTls {
    /// The server's own certificate.
    pub identity: TlsIdentity,
    /// A PEM file with the authorities that may issue workers' certificates.
    pub trusted_certificates: String,
    /// True to refuse a worker without a certificate; one with a certificate of another authority is always refused.
    pub need_client_auth: bool,
}

/// The authorities that a worker trusts and its own TLS identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientTls {
    /// A PEM file with the authorities that may issue the server's certificate.
    pub trusted_certificates: String,
    /// The worker's own certificate, if it has one.
    #[serde(default)]
    pub identity: Option<TlsIdentity>,
}

/// A certificate and its key, as files on the local machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsIdentity {
    /// A PEM file with the certificate, followed by its intermediate certificates.
    pub certificate: String,
    /// A PEM file with the private key: PKCS #8, PKCS #1 or SEC1, not encrypted.
    pub private_key: String,
}

#[cfg(test)]
mod tests {
    use super::{ClientTls, ServerTls, TlsIdentity};

    fn identity() -> TlsIdentity {
        TlsIdentity { certificate: "/own.pem".to_owned(), private_key: "/own-key.pem".to_owned() }
    }

    #[test]
    fn the_tls_of_a_server_and_of_a_worker_are_read_as_the_driver_writes_them() {
        let text = r#"{"identity":{"certificate":"/own.pem","privateKey":"/own-key.pem"},
            "trustedCertificates":"/ca.pem","needClientAuth":true}"#;
        let trusted = "/ca.pem".to_owned();
        let server = ServerTls {
            identity: identity(),
            trusted_certificates: trusted.clone(),
            need_client_auth: true,
        };
        assert_eq!(serde_json::from_str::<ServerTls>(text).unwrap(), server);

        let text = r#"{"trustedCertificates":"/ca.pem"}"#;
        let without = ClientTls { trusted_certificates: trusted, identity: None };
        assert_eq!(serde_json::from_str::<ClientTls>(text).unwrap(), without);

        let text = r#"{"trustedCertificates":"/ca.pem",
            "identity":{"certificate":"/own.pem","privateKey":"/own-key.pem"}}"#;
        let with = ClientTls { identity: Some(identity()), ..without };
        assert_eq!(serde_json::from_str::<ClientTls>(text).unwrap(), with);
    }
}
