//! The certificate that a host shows: P-521, self-signed, a CA, for `localhost`, as go-plugin makes it for
//! each plugin it starts. Here it is a fixture, made once with openssl: rcgen has no P-521 on ring.

use std::sync::Arc;

use p521::ecdsa::signature::Signer as _;
use p521::ecdsa::{DerSignature, SigningKey};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureAlgorithm, SignatureScheme};

/// A host's certificate and key.
#[derive(Clone)]
pub struct HostCertificate {
    pem: &'static str,
    key: SigningKey,
}

impl HostCertificate {
    /// The host.
    pub fn fixture() -> Self {
        Self::from_text(include_str!("fixture/host.pem"), include_str!("fixture/host.key.hex"))
    }

    /// Somebody else, with a certificate that says the same.
    pub fn stranger() -> Self {
        Self::from_text(include_str!("fixture/stranger.pem"), include_str!("fixture/stranger.key.hex"))
    }

    /// The host's certificate shown by somebody who has another key.
    pub fn stolen() -> Self {
        Self { key: Self::stranger().key, ..Self::fixture() }
    }

    fn from_text(pem: &'static str, hex: &str) -> Self {
        let digits = hex.trim().as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let key: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        Self { pem, key: SigningKey::from_slice(&key).unwrap() }
    }

    /// For `PLUGIN_CLIENT_CERT`.
    pub fn pem(&self) -> String {
        self.pem.to_owned()
    }

    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()
    }

    /// For the connection to the plugin, whose certificate came with the handshake. Like Go's side, it
    /// verifies name, dates and purpose with that certificate as the only root.
    pub fn client_config(&self, plugin: &CertificateDer<'static>) -> ClientConfig {
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(only(plugin), Arc::clone(&provider)).build().unwrap();
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_webpki_verifier(verifier)
            .with_client_cert_resolver(self.resolver());
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    /// For the broker's listeners, which only the plugin may dial.
    pub fn server_config(&self, plugin: &CertificateDer<'static>) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(only(plugin), Arc::clone(&provider)).build().unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.resolver());
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    fn resolver(&self) -> Arc<SingleCertAndKey> {
        let key = Arc::new(P521Key(self.key.clone()));
        Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![self.der()], key)))
    }
}

fn only(certificate: &CertificateDer<'static>) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    Arc::new(roots)
}

/// Signs with P-521, which ring does not.
#[derive(Clone)]
struct P521Key(SigningKey);

impl std::fmt::Debug for P521Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("P521Key")
    }
}

impl rustls::sign::SigningKey for P521Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        offered.contains(&SignatureScheme::ECDSA_NISTP521_SHA512).then(|| Box::new(self.clone()) as _)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl rustls::sign::Signer for P521Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signature: DerSignature = self.0.sign(message);
        Ok(signature.as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}
