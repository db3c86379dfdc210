//! Why a worker and a server do not come together over TLS, in words that name what to change.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::{CLIENT_KEYS, ENABLED, TRUSTED_CERTIFICATES};
use crate::error::PsError;

/// What a worker that connects to `server` (host and port) reports of a failure that another attempt would meet again; `None` for
/// any other.
pub(crate) fn refusal(error: &io::Error, server: &str) -> Option<PsError> {
    let error = error.get_ref()?.downcast_ref()?;
    match error {
        Error::InvalidCertificate(cause) => Some(PsError::Certificate(format!(
            "the certificate of the parameter server at {server} is not accepted: {}",
            of_certificate(cause)
        ))),
        Error::AlertReceived(alert) => of_alert(*alert, server),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Some(PsError::Protocol(format!(
                "the parameter server at {server} does not speak TLS, but this worker does: {ENABLED} must be the same on \
                 driver and executors"
            )))
        }
        Error::PeerIncompatible(cause) => Some(PsError::Protocol(format!(
            "the parameter server at {server} does not speak TLS 1.3 as this worker does: {cause:?}"
        ))),
        _ => None,
    }
}

fn of_certificate(cause: &CertificateError) -> String {
    match cause {
        CertificateError::UnknownIssuer => {
            format!("it is not issued by an authority in {TRUSTED_CERTIFICATES}")
        }
        CertificateError::BadSignature => format!(
            "its signature is not that of the authority with this name in {TRUSTED_CERTIFICATES}"
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet by this machine's clock".to_owned()
        }
        other => other.to_string(),
    }
}

/// What the server's alert says of this worker's certificate.
fn of_alert(alert: AlertDescription, server: &str) -> Option<PsError> {
    use AlertDescription as Alert;
    let cause = match alert {
        Alert::CertificateRequired => {
            return Some(PsError::Certificate(format!(
                "the parameter server at {server} requires a certificate of its workers: set {} and {}",
                CLIENT_KEYS[0], CLIENT_KEYS[1]
            )));
        }
        Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            return Some(PsError::Protocol(format!(
                "the parameter server at {server} shares no version or cipher of TLS with this worker"
            )));
        }
        Alert::UnknownCA => {
            format!("it is not issued by an authority in {TRUSTED_CERTIFICATES} of the driver")
        }
        Alert::CertificateExpired => "it has expired or is not valid yet".to_owned(),
        Alert::CertificateRevoked => "it is revoked".to_owned(),
        Alert::DecryptError => "its signature does not hold".to_owned(),
        Alert::UnsupportedCertificate => "it is not one for clients".to_owned(),
        Alert::BadCertificate | Alert::CertificateUnknown | Alert::AccessDenied => {
            format!("{alert:?}")
        }
        _ => return None,
    };
    Some(PsError::Certificate(format!(
        "the parameter server at {server} does not accept this worker's certificate ({}): {cause}",
        CLIENT_KEYS[0]
    )))
}
