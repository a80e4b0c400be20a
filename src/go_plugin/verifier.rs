use p521::ecdsa::signature::Verifier;
use p521::ecdsa::{DerSignature, VerifyingKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, PeerMisbehaved, SignatureScheme,
};

use super::error::{Error, Result};

/// Lets in whoever shows exactly the host's certificate and proves to hold its key.
///
/// A verifier by chain of trust refuses that certificate, a CA that is used as an end entity. Comparing its
/// bytes is stricter: no name, date or purpose is left to disagree about. go-plugin's key is on the curve
/// P-521, which ring does not have; its signatures are verified by the crate `p521`, and all others by ring.
#[derive(Debug)]
pub(super) struct HostVerifier {
    certificate: CertificateDer<'static>,
    /// The certificate's key, where it is on the curve P-521.
    p521: Option<VerifyingKey>,
    others: WebPkiSupportedAlgorithms,
}

impl HostVerifier {
    /// # Errors
    /// `HostCertificate` where the bytes are no certificate.
    pub(super) fn new(certificate: CertificateDer<'static>) -> Result<Self> {
        let parsed = ParsedCertificate::try_from(&certificate)
            .map_err(|_| Error::HostCertificate("it is not an X.509 certificate"))?;
        let p521 = p521_key(&parsed.subject_public_key_info())?;
        Ok(Self { certificate, p521, others: ring::default_provider().signature_verification_algorithms })
    }

    fn is_pinned(&self, shown: &CertificateDer<'_>) -> Result<(), TlsError> {
        if *shown == self.certificate {
            return Ok(());
        }
        Err(TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    /// None where the signature is not of the kind that only `p521` verifies.
    fn verify_p521(
        &self,
        message: &[u8],
        signed: &DigitallySignedStruct,
    ) -> Option<Result<HandshakeSignatureValid, TlsError>> {
        let key = self.p521.as_ref()?;
        if signed.scheme != SignatureScheme::ECDSA_NISTP521_SHA512 {
            return Some(Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()));
        }
        let valid = DerSignature::try_from(signed.signature()).and_then(|signature| key.verify(message, &signature));
        let bad = |_| TlsError::InvalidCertificate(CertificateError::BadSignature);
        Some(valid.map(|()| HandshakeSignatureValid::assertion()).map_err(bad))
    }

    fn verify_tls12(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.is_pinned(shown)?;
        self.verify_p521(message, signed)
            .unwrap_or_else(|| verify_tls12_signature(message, shown, signed, &self.others))
    }

    fn verify_tls13(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.is_pinned(shown)?;
        self.verify_p521(message, signed)
            .unwrap_or_else(|| verify_tls13_signature(message, shown, signed, &self.others))
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        match self.p521 {
            Some(_) => vec![SignatureScheme::ECDSA_NISTP521_SHA512],
            None => self.others.supported_schemes(),
        }
    }
}

/// The P-521 key of a SubjectPublicKeyInfo, none where it is on another curve or not of ECDSA.
fn p521_key(info: &[u8]) -> Result<Option<VerifyingKey>> {
    /// DER up to the point: SEQUENCE { SEQUENCE { id-ecPublicKey, secp521r1 }, BIT STRING (no unused bits).
    const PREFIX: &[u8] = &[
        0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
        0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00,
    ];
    let Some(point) = info.strip_prefix(PREFIX) else { return Ok(None) };
    let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| Error::HostCertificate("its P-521 key is no point"))?;
    Ok(Some(key))
}

impl ClientCertVerifier for HostVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        self.is_pinned(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verify_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verify_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ServerCertVerifier for HostVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.is_pinned(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verify_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verify_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
