//! Errors of failed TLS connections, which name the setting to change.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::{CLIENT_KEYS, ENABLED, TRUSTED_CERTIFICATES};
use crate::error::PsError;

/// Returns the error of a worker that connects to `server` (host and port), if another attempt would fail in the same
/// way; `None` otherwise.
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

/// Returns the error for an alert that the server sent about this worker's certificate.
fn of_alert(alert: AlertDescription, server: &str) -> Option<PsError> {
    use AlertDescription as Alert;
    let cause = match alert {
        Alert::CertificateRequired => {
            return Some(PsError::Certificate(format!(
                "the parameter server at {server} requires a certificate from workers: set {} and {}",
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
        Alert::DecryptError => "its signature is invalid".to_owned(),
        Alert::UnsupportedCertificate => "it is not a client certificate".to_owned(),
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
