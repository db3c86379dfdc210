//! Certificates and keys from PEM files. Every error names the configuration key and the file.

use std::fmt::Display;

use firesteel_core::spec::TlsIdentity;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{Error, RootCertStore};

use crate::error::PsError;

const MALFORMED: &str = "a certificate in it is malformed";

/// Reads the certificate authorities of a file.
pub(super) fn roots(key: &'static str, path: &str) -> Result<RootCertStore, PsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, path)? {
        roots.add(certificate).map_err(|_| refused(key, path, MALFORMED))?;
    }
    Ok(roots)
}

/// Reads a certificate with its chain, and its private key; `keys` are the configuration keys of the two files.
pub(super) fn identity(
    keys: [&'static str; 2],
    files: &TlsIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PsError> {
    let chain = certificates(keys[0], &files.certificate)?;
    let text = read(keys[1], &files.private_key)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let wanted = "no private key in PEM (PKCS #8, PKCS #1 or SEC1, not encrypted)";
            refused(keys[1], &files.private_key, wanted)
        }
        other => refused(keys[1], &files.private_key, other),
    })?;
    Ok((chain, key))
}

/// Returns the error for a certificate and a key that do not work together, from the error of the TLS library.
pub(super) fn unusable(keys: [&'static str; 2], files: &TlsIdentity, error: &Error) -> PsError {
    let certificate = |problem| refused(keys[0], &files.certificate, problem);
    let key = |problem: &dyn Display| refused(keys[1], &files.private_key, problem);
    match error {
        Error::InvalidCertificate(_) => certificate(MALFORMED),
        Error::InconsistentKeys(_) => key(&format!("not the key of '{}'", files.certificate)),
        other => key(other),
    }
}

/// Returns the error for an unusable file.
pub(super) fn refused(key: &'static str, path: &str, problem: impl Display) -> PsError {
    PsError::Pem { key, path: path.to_owned(), problem: problem.to_string() }
}

fn certificates(key: &'static str, path: &str) -> Result<Vec<CertificateDer<'static>>, PsError> {
    let text = read(key, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(certificates) if certificates.is_empty() => {
            Err(refused(key, path, "no certificate in PEM"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(refused(key, path, error)),
    }
}

fn read(key: &'static str, path: &str) -> Result<Vec<u8>, PsError> {
    std::fs::read(path).map_err(|cause| PsError::PemFile { key, path: path.to_owned(), cause })
}
