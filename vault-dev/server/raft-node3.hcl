# Node 3 of three with raft storage, for OpenBao and HashiCorp's Vault: vault-dev/cluster starts them. By hand, each
# in a directory of its own with the folders plugins/ and raft/:
#
#   vault server -config=raft-node3.hcl
#
# Then `vault operator init` on one of them, and `vault operator unseal` with its keys on all three. The files differ in
# node_id and ports; those of node 1 are 8200 and 8201, of node 2 8202 and 8203, of node 3 8204 and 8205.

# Relative to the directory that the server is started in. A plugin has to lie in it; a link that leads out is refused.
# Each node needs the same plugin there: a new active node starts it from its own directory.
plugin_directory = "plugins"

storage "raft" {
  path    = "raft" # relative as well; HashiCorp's Vault wants the folder to be there
  node_id = "node3"

  # Of raft's timeouts. The default, 5, gives machines that are slow or far away time; 1 is for production. These three
  # are near, but share one machine with whatever else runs there.
  performance_multiplier = 2

  # A node that has joined votes once autopilot has found it stable. It looks every 10 s unless told otherwise: there
  # each node of a cluster that has just been made would wait for that.
  autopilot_reconcile_interval = "1s"
  autopilot_update_interval    = "1s"

  # An empty node asks these until one of them takes it in.
  retry_join {
    leader_api_addr = "http://127.0.0.1:8200"
  }
  retry_join {
    leader_api_addr = "http://127.0.0.1:8202"
  }
}

listener "tcp" {
  address         = "127.0.0.1:8204"
  cluster_address = "127.0.0.1:8205" # nodes speak TLS there with certificates that they make themselves
  tls_disable     = true             # loopback only: in production tls_cert_file and tls_key_file, here and https below
}

# Where clients and the other nodes find this one. A standby sends a client here that it cannot forward for.
api_addr     = "http://127.0.0.1:8204"
cluster_addr = "https://127.0.0.1:8205"

# Vault's; OpenBao never locks memory, and its log calls this unknown. Raft's file is mapped into memory, where a
# lock would hold all of it. In production switch swap off instead.
disable_mlock = true

# OpenBao's; Vault's log calls it unknown. OpenBao makes audit devices only from its files, unless this lets the API do
# it as in Vault. In production leave it out and declare the device in the file: who can make one can have the server
# write to any file.
# Either way file_path is the same text for all nodes, and each must be able to write there, or it cannot become active:
# audit.log, say, which is relative to the directory of each.
unsafe_allow_api_audit_creation = true

# Without it sys/metrics has no format=prometheus.
telemetry {
  prometheus_retention_time = "1h"
  disable_hostname          = true # or every name begins with this machine's
}
