use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::UnixStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::error::Result;
use super::verifier::HostVerifier;

/// Both sides name each other so, whatever the socket is called (go-plugin's AutoMTLS).
const PEER_NAME: &str = "localhost";

/// The host refuses a connection on which HTTP/2 was not agreed upon (grpc-go 1.67 and newer).
const ALPN_HTTP2: &[u8] = b"h2";

/// AutoMTLS: two one-time certificates, each of which the other side pins. One pair of them serves both
/// directions: the host dials the plugin, and the plugin dials the listeners of the host's broker.
#[derive(Clone)]
pub(super) struct Tls {
    certificate: CertificateDer<'static>,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl Tls {
    /// Makes the plugin's certificate, and trusts `host` and nobody else.
    ///
    /// # Errors
    /// Where the host's certificate has a key that its signatures cannot be verified with.
    pub(super) fn new(host: CertificateDer<'static>) -> Result<Self> {
        let verifier = Arc::new(HostVerifier::new(host)?);
        let (certificate, key) = own_certificate()?;
        let provider = Arc::new(ring::default_provider());

        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::clone(&verifier) as _)
            .with_single_cert(vec![certificate.clone()], key.clone_key())?;
        server.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
        // No connection is resumed: each one proves anew who it is.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;

        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous() // the name of rustls for one's own verifier: ours is stricter than a chain of trust
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(vec![certificate.clone()], key)?;
        client.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
        client.resumption = Resumption::disabled();

        Ok(Self { certificate, acceptor: Arc::new(server).into(), connector: Arc::new(client).into() })
    }

    /// The certificate that the handshake tells the host.
    pub(super) const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The host's end of a connection to our listener.
    pub(super) async fn accept(&self, stream: UnixStream) -> std::io::Result<server::TlsStream<UnixStream>> {
        self.acceptor.accept(stream).await
    }

    /// Our end of a connection to one of the host's listeners.
    pub(super) async fn connect(&self, stream: UnixStream) -> std::io::Result<client::TlsStream<UnixStream>> {
        let name = ServerName::try_from(PEER_NAME).map_err(std::io::Error::other)?;
        self.connector.connect(name, stream).await
    }
}

/// A certificate for this process's life. Go's side puts it among its roots and asks for the name and for
/// both purposes; P-256 is accepted although its own is P-521 (measured against OpenBao 2.7.2).
fn own_certificate() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let mut parameters = CertificateParams::new(vec![PEER_NAME.to_owned()])?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, PEER_NAME);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = parameters.self_signed(&key)?;
    Ok((certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into())))
}

#[cfg(test)]
mod tests {
    use rustls::{CertificateError, Error as TlsError};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::host_certificate::HostCertificate;
    use super::*;

    /// The host that the plugin pins is always the fixture; who dials it is not.
    fn plugin() -> Tls {
        Tls::new(HostCertificate::fixture().der()).unwrap()
    }

    /// What the plugin makes of `host` when it is dialed, and what the host reads from it.
    async fn dialed_by(host: &HostCertificate) -> std::io::Result<String> {
        let plugin = plugin();
        let (ours, theirs) = UnixStream::pair()?;
        let connector = TlsConnector::from(Arc::new(host.client_config(plugin.certificate())));
        let host = tokio::spawn(async move {
            let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), theirs).await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            Ok::<_, std::io::Error>(text)
        });
        let mut stream = plugin.accept(ours).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(ALPN_HTTP2));
        stream.write_all(b"hello").await?;
        stream.shutdown().await?;
        host.await.unwrap()
    }

    /// What the plugin makes of `host` when it dials one of its listeners.
    async fn dialing(host: &HostCertificate) -> std::io::Result<()> {
        let plugin = plugin();
        let (ours, theirs) = UnixStream::pair()?;
        let acceptor = TlsAcceptor::from(Arc::new(host.server_config(plugin.certificate())));
        let host = tokio::spawn(async move { acceptor.accept(theirs).await.map(drop) });
        let stream = plugin.connect(ours).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(ALPN_HTTP2));
        host.await.unwrap()
    }

    fn tls_error(error: &std::io::Error) -> &TlsError {
        error.get_ref().unwrap().downcast_ref().unwrap()
    }

    #[tokio::test]
    async fn a_host_with_a_p521_certificate_is_let_in_both_ways() {
        assert_eq!(dialed_by(&HostCertificate::fixture()).await.unwrap(), "hello");
        dialing(&HostCertificate::fixture()).await.unwrap();
    }

    #[tokio::test]
    async fn another_certificate_is_refused_both_ways() {
        let other = TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        assert_eq!(tls_error(&dialed_by(&HostCertificate::stranger()).await.unwrap_err()), &other);
        assert_eq!(tls_error(&dialing(&HostCertificate::stranger()).await.unwrap_err()), &other);
    }

    #[tokio::test]
    async fn the_right_certificate_with_a_wrong_signature_is_refused_both_ways() {
        let bad = TlsError::InvalidCertificate(CertificateError::BadSignature);
        assert_eq!(tls_error(&dialed_by(&HostCertificate::stolen()).await.unwrap_err()), &bad);
        assert_eq!(tls_error(&dialing(&HostCertificate::stolen()).await.unwrap_err()), &bad);
    }

    #[tokio::test]
    async fn nobody_is_let_in_without_a_certificate() {
        let plugin = plugin();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(plugin.certificate().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = tokio::spawn(async move {
            let connector = TlsConnector::from(Arc::new(config));
            connector.connect(ServerName::try_from("localhost").unwrap(), theirs).await.map(drop)
        });
        let error = plugin.accept(ours).await.unwrap_err();
        assert_eq!(tls_error(&error), &TlsError::NoCertificatesPresented);
        drop(host);
    }

    #[tokio::test]
    async fn a_host_may_have_a_key_on_another_curve() {
        let (certificate, key) = own_certificate().unwrap();
        let plugin = Tls::new(certificate.clone()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(plugin.certificate().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], key)
            .unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let host =
            tokio::spawn(async move { connector.connect(ServerName::try_from("localhost").unwrap(), theirs).await });
        plugin.accept(ours).await.unwrap();
        host.await.unwrap().unwrap();
    }

    #[test]
    fn what_is_no_certificate_is_refused_at_once() {
        let error = Tls::new(CertificateDer::from(vec![1, 2, 3])).err().unwrap();
        assert!(matches!(error, super::super::Error::HostCertificate(_)));
    }
}
