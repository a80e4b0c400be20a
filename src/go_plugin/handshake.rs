use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::{Error, Result};

/// Version of go-plugin's own protocol. There has never been another one.
const CORE_PROTOCOL: u32 = 1;

/// What host and plugin have agreed on beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Environment variable that tells a host from a person.
    pub cookie_name: &'static str,
    /// Its value. No secret: it only keeps people from running the program by mistake.
    pub cookie_value: &'static str,
    /// Versions of the application's protocol that the plugin speaks, at least one.
    pub versions: &'static [u32],
}

/// What the host says in the environment, read and found fit.
#[derive(Debug)]
pub struct Handshake {
    version: u32,
    /// The host's one-time certificate: the only peer there will ever be.
    pub(super) host_certificate: CertificateDer<'static>,
    /// Where sockets belong. Hosts set it for plugins in containers only.
    pub(super) socket_folder: PathBuf,
    /// Name or number of a group that may open the socket. Containers only.
    pub(super) socket_group: Option<String>,
    /// Whether the host reads the seventh field. An older one would take it for a part of the certificate.
    pub(super) answers_multiplexing: bool,
}

impl Handshake {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// `NotStartedByHost` without the cookie; the others where a host asks for what this plugin does not speak.
    pub fn from_environment(protocol: &Protocol) -> Result<Self> {
        Self::read(protocol, |name| std::env::var(name).ok())
    }

    /// The version of the application's protocol that both speak.
    pub const fn version(&self) -> u32 {
        self.version
    }

    fn read(protocol: &Protocol, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        if set(protocol.cookie_name).as_deref() != Some(protocol.cookie_value) {
            return Err(Error::NotStartedByHost { name: protocol.cookie_name });
        }
        let version = choose_version(protocol.versions, set("PLUGIN_PROTOCOL_VERSIONS").as_deref())?;
        let pem = set("PLUGIN_CLIENT_CERT").ok_or(Error::NoMutualTls)?;
        let host_certificate =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| Error::HostCertificate("it is not PEM"))?;
        Ok(Self {
            version,
            host_certificate,
            socket_folder: set("PLUGIN_UNIX_SOCKET_DIR").map_or_else(std::env::temp_dir, PathBuf::from),
            socket_group: set("PLUGIN_UNIX_SOCKET_GROUP"),
            answers_multiplexing: set("PLUGIN_MULTIPLEX_GRPC").is_some(),
        })
    }

    /// The line that the host waits for: `1|5|unix|<path>|grpc|<certificate>`, and whether the broker is multiplexed.
    pub(super) fn line(&self, socket: &Path, certificate: &CertificateDer<'_>) -> String {
        let mut line = format!(
            "{CORE_PROTOCOL}|{}|unix|{}|grpc|{}",
            self.version,
            socket.display(),
            STANDARD_NO_PAD.encode(certificate)
        );
        if self.answers_multiplexing {
            line.push_str("|false");
        }
        line.push('\n');
        line
    }
}

/// Writes the handshake: the only line that ever goes to stdout.
pub(super) fn announce(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).map_err(Error::Announce)
}

/// The highest version that both speak. Where there is none, our lowest: the host then says so in its own words.
fn choose_version(ours: &[u32], offered: Option<&str>) -> Result<u32> {
    let lowest = ours.iter().copied().min().unwrap_or_default();
    let Some(list) = offered else { return Ok(lowest) };
    let offered = list.split(',').map(|number| number.trim().parse());
    let offered: Vec<u32> = offered.collect::<Result<_, _>>().map_err(|_| Error::Versions(list.to_owned()))?;
    Ok(ours.iter().copied().filter(|version| offered.contains(version)).max().unwrap_or(lowest))
}

#[cfg(test)]
mod tests {
    use super::super::host_certificate::HostCertificate;
    use super::*;

    const PROTOCOL: Protocol = Protocol { cookie_name: "COOKIE", cookie_value: "monster", versions: &[5] };

    /// A host's environment, with some variables set otherwise.
    fn read(changes: &[(&str, &str)]) -> Result<Handshake> {
        let pem = HostCertificate::fixture().pem();
        Handshake::read(&PROTOCOL, |name| {
            let changed = changes.iter().find(|(changed, _)| *changed == name).map(|(_, value)| *value);
            let usual = match name {
                "COOKIE" => Some("monster"),
                "PLUGIN_PROTOCOL_VERSIONS" => Some("5"),
                "PLUGIN_CLIENT_CERT" => Some(pem.as_str()),
                _ => None,
            };
            changed.or(usual).map(str::to_owned)
        })
    }

    #[test]
    fn only_the_cookie_makes_a_host() {
        assert!(read(&[]).is_ok());
        for wrong in ["", "Monster", "monster "] {
            assert!(matches!(read(&[("COOKIE", wrong)]), Err(Error::NotStartedByHost { name: "COOKIE" })));
        }
    }

    #[test]
    fn the_highest_common_version_is_chosen() {
        assert_eq!(choose_version(&[4, 5], Some("3,5, 4")).unwrap(), 5);
        assert_eq!(choose_version(&[4, 5], Some("3,4")).unwrap(), 4);
        assert_eq!(choose_version(&[5], Some("3,4")).unwrap(), 5, "the host complains, not we");
        assert_eq!(choose_version(&[5], None).unwrap(), 5);
        assert!(matches!(choose_version(&[5], Some("five")), Err(Error::Versions(_))));
    }

    #[test]
    fn a_host_without_mutual_tls_is_refused() {
        assert!(matches!(read(&[("PLUGIN_CLIENT_CERT", "")]), Err(Error::NoMutualTls)));
        assert!(matches!(read(&[("PLUGIN_CLIENT_CERT", "none")]), Err(Error::HostCertificate(_))));
    }

    #[test]
    fn the_line_has_six_fields_and_a_seventh_only_where_it_is_read() {
        let certificate = CertificateDer::from(vec![0xfb; 4]);
        let plain = read(&[]).unwrap().line(Path::new("/tmp/s"), &certificate);
        assert_eq!(plain, "1|5|unix|/tmp/s|grpc|+/v7+w\n");
        let multiplexing = read(&[("PLUGIN_MULTIPLEX_GRPC", "true")]).unwrap();
        assert_eq!(multiplexing.line(Path::new("/tmp/s"), &certificate), "1|5|unix|/tmp/s|grpc|+/v7+w|false\n");
    }

    #[test]
    fn sockets_go_where_the_host_wants_them() {
        let handshake = read(&[("PLUGIN_UNIX_SOCKET_DIR", "/run/x"), ("PLUGIN_UNIX_SOCKET_GROUP", "7")]).unwrap();
        assert_eq!(handshake.socket_folder, Path::new("/run/x"));
        assert_eq!(handshake.socket_group.as_deref(), Some("7"));
        assert_eq!(read(&[]).unwrap().socket_folder, std::env::temp_dir());
    }
}
