#!/bin/sh
# Registers the plugin with its checksum and version, and enables it at ai/, unless something is there already.
#
#   VAULT_ADDR=… VAULT_TOKEN=… register.sh PLUGIN
#
# PLUGIN is the file in the server's plugin_directory, or a copy of it. The command line is $VAULT_BIN, else vault or bao
# of the PATH. For any POSIX shell: busybox in the servers' images has no other.
set -eu
if [ $# -ne 1 ] || [ ! -f "$1" ]; then
  echo "usage: VAULT_ADDR=… VAULT_TOKEN=… $0 PLUGIN, which is a file" >&2
  exit 2
fi
plugin=$1
vault=${VAULT_BIN:-$(command -v vault || command -v bao || true)}
[ -n "$vault" ] || { echo "no vault or bao on PATH: set VAULT_BIN" >&2; exit 1; }
# bao reads both names, and would take an address from elsewhere before ours.
unset BAO_ADDR BAO_TOKEN

name=$(basename "$plugin")
version=$("$plugin" --version)
sha256=$(sha256sum "$plugin" | cut -d' ' -f1)
"$vault" plugin register -version="${version##* }" -sha256="$sha256" secret "$name"
mounts=$("$vault" secrets list)
case "
$mounts" in
  *"
ai/ "*) echo "ai/ is enabled already" ;;
  *) "$vault" secrets enable -path=ai "$name" ;;
esac
