# One server that keeps its data, in raft storage with a single node; for OpenBao and HashiCorp's Vault. In a directory
# with the folders plugins/ and raft/:
#
#   vault server -config=raft.hcl
#   vault operator init -key-shares=1 -key-threshold=1    # once; then vault operator unseal, after each start

# Relative to the directory that the server is started in. A plugin has to lie in it; a link that leads out is refused.
plugin_directory = "plugins"

storage "raft" {
  path    = "raft" # relative as well; HashiCorp's Vault wants the folder to be there
  node_id = "node1"

  # Of raft's timeouts, 5 by default: with no other node to hear from, a start only gets slower by it.
  performance_multiplier = 1
}

listener "tcp" {
  address         = "127.0.0.1:8200"
  cluster_address = "127.0.0.1:8201" # nodes speak TLS there with certificates that they make themselves
  tls_disable     = true             # loopback only: in production tls_cert_file and tls_key_file, here and https below
}

# Where clients find this server, and other nodes would.
api_addr     = "http://127.0.0.1:8200"
cluster_addr = "https://127.0.0.1:8201"

# Vault's; OpenBao never locks memory, and its log calls this unknown. Raft's file is mapped into memory, where a
# lock would hold all of it. In production switch swap off instead.
disable_mlock = true

# OpenBao's; Vault's log calls it unknown. OpenBao makes audit devices only from its files, unless this lets the API do
# it as in Vault. In production leave it out and declare the device in the file: who can make one can have the server
# write to any file.
unsafe_allow_api_audit_creation = true

# Without it sys/metrics has no format=prometheus.
telemetry {
  prometheus_retention_time = "1h"
  disable_hostname          = true # or every name begins with this machine's
}
