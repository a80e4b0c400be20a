# A server to try things on, for OpenBao and HashiCorp's Vault. In a directory with the folder plugins/:
#
#   vault server -dev -dev-root-token-id=root -config=dev.hcl
#
# -dev keeps all in memory until the server ends, unseals it, and makes the listener: plain HTTP on 127.0.0.1:8200, or
# where -dev-listen-address says, and the port above it. So there is no storage and no listener here.

# Relative to the directory that the server is started in. A plugin has to lie in it; a link that leads out is refused.
plugin_directory = "plugins"

# OpenBao's; Vault's log calls it unknown. OpenBao makes audit devices only from its files, unless this lets the API do
# it as in Vault. In production leave it out and declare the device in the file: who can make one can have the server
# write to any file.
unsafe_allow_api_audit_creation = true

# Without it sys/metrics has no format=prometheus.
telemetry {
  prometheus_retention_time = "1h"
  disable_hostname          = true # or every name begins with this machine's
}
