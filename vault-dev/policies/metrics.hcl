# A collector of metrics. Its token is in a file of the collector, so it sees numbers and nothing else.

# The server's own, also with format=prometheus.
path "sys/metrics" {
  capabilities = ["read"]
}

# The engine's: keys by state, counted by the node that writes.
path "ai/info" {
  capabilities = ["read"]
}
