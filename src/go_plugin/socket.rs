use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::error::{Error, Result};
use crate::base::{SystemRng, random_hex};

/// Random bytes in the socket's name: nobody can be there first.
const NAME_BYTES: usize = 16;

/// Where group names and their numbers are looked up: the C library's own way needs unsafe code.
const GROUP_FILE: &str = "/etc/group";

/// The socket that the host connects to. Its file is gone when this is dropped.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens in `folder`, for this user alone, or for `group` as well where the host runs as another user.
    pub(super) fn bind(folder: &Path, group: Option<&str>) -> Result<Self> {
        let path = folder.join(format!("plugin-{}", random_hex(&SystemRng, NAME_BYTES)));
        let failed = |source| Error::Socket { path: path.clone(), source };
        let socket = Self { listener: UnixListener::bind(&path).map_err(failed)?, path: path.clone() };
        let mode = match group {
            None => 0o600,
            Some(group) => {
                let groups = fs::read_to_string(GROUP_FILE).unwrap_or_default();
                let number = group_number(group, &groups).ok_or_else(|| Error::Group(group.to_owned()))?;
                chown(&path, None, Some(number)).map_err(failed)?;
                0o660
            }
        };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failed)?;
        Ok(socket)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "the socket cannot be removed");
            }
            _ => {}
        }
    }
}

/// A group is given by number, or by a name in the lines `name:password:number:members` of `groups`.
fn group_number(group: &str, groups: &str) -> Option<u32> {
    let by_name = || {
        let mut fields = groups.lines().map(|line| line.split(':')).find_map(|mut fields| {
            let found = fields.next() == Some(group);
            found.then_some(fields)
        })?;
        fields.nth(1)?.parse().ok()
    };
    group.parse().ok().or_else(by_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_name_or_a_number() {
        let groups = "root:x:0:\nvault:x:1001:a,b\nodd\n";
        assert_eq!(group_number("vault", groups), Some(1001));
        assert_eq!(group_number("42", groups), Some(42));
        assert_eq!(group_number("odd", groups), None);
        assert_eq!(group_number("absent", groups), None);
    }

    #[tokio::test]
    async fn the_socket_is_for_this_user_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let socket = Socket::bind(folder.path(), None).unwrap();
        let path = socket.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(socket);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn an_unknown_group_is_an_error_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Socket::bind(folder.path(), Some("no such group")), Err(Error::Group(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_named() {
        let error = Socket::bind(Path::new("/no/such/folder"), None).err().unwrap();
        assert!(error.to_string().contains("/no/such/folder/plugin-"), "{error}");
    }
}
