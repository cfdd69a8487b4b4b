//! What an error of rustls means to somebody who tunes a server.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::verify::{is_issuer_as_server, is_version_1};
use crate::core::failure::{Failure, Kind, Phase};

/// Why a session could not be established, or could not go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFailure {
    /// For the count.
    pub failure: Failure,
    /// For the sample: what exactly was wrong.
    pub text: String,
}

impl TlsFailure {
    pub(super) fn of(error: &Error) -> Self {
        Self { failure: Failure::new(Phase::Tls, kind_of(error)), text: text_of(error) }
    }

    pub(super) fn broken(text: &str) -> Self {
        Self { failure: Failure::new(Phase::Tls, Kind::TlsBroken), text: text.to_owned() }
    }
}

fn kind_of(error: &Error) -> Kind {
    match error {
        Error::InvalidCertificate(error) => certificate_kind(error),
        Error::NoCertificatesPresented => Kind::CertificateInvalid,
        Error::AlertReceived(alert) => alert_kind(*alert),
        Error::NoApplicationProtocol => Kind::AlpnRefused,
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => Kind::NotTls,
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon,
        ) => Kind::NothingInCommon,
        _ => Kind::TlsBroken,
    }
}

fn certificate_kind(error: &CertificateError) -> Kind {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Kind::CertificateExpired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Kind::CertificateNotYetValid
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            Kind::CertificateWithoutNames
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Kind::CertificateWrongHost
        }
        // An issuer of the same name with another key is another issuer.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            Kind::CertificateUntrusted
        }
        error if is_issuer_as_server(error) => Kind::CertificateUntrusted,
        _ => Kind::CertificateInvalid,
    }
}

fn alert_kind(alert: AlertDescription) -> Kind {
    match alert {
        AlertDescription::NoApplicationProtocol => Kind::AlpnRefused,
        AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRequired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::NoCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::UnsupportedCertificate => Kind::ClientCertificate,
        AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity
        | AlertDescription::ProtocolVersion => Kind::NothingInCommon,
        AlertDescription::UnrecognisedName => Kind::NameRefused,
        _ => Kind::TlsAlert,
    }
}

fn text_of(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented, ..
        }) if presented.is_empty() => "no subjectAltName".to_owned(),
        Error::InvalidCertificate(error) if is_version_1(error) => {
            "an X.509 version 1 certificate, which has no subjectAltName".to_owned()
        }
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented, ..
        }) => {
            // The first few are enough to see whose certificate it is.
            let names: Vec<&str> = presented.iter().take(4).map(|name| bare_name(name)).collect();
            format!("valid for {}", names.join(", "))
        }
        Error::InvalidCertificate(error) if is_issuer_as_server(error) => {
            "signed by itself, or by nobody who is trusted, and made for an issuer".to_owned()
        }
        Error::AlertReceived(alert) => format!("alert {alert:?}"),
        error => error.to_string(),
    }
}

/// `DnsName("a.example")` as people write it.
fn bare_name(presented: &str) -> &str {
    presented.split('"').nth(1).unwrap_or(presented)
}
