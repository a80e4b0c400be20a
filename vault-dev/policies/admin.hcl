# Who administers the engine: accounts, roles and what is left over. No key is read with it: ai/creds/ is not here, and
# so no rule may be as wide as ai/*.

# Credentials are written here and never read back. Also ai/config/<name>/check.
path "ai/config/*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
}
path "ai/roles/*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
}

# What was made and for whom, and what the vendors can do. Ending a key is for who is on call.
path "ai/keys/*" {
  capabilities = ["read", "list"]
}
path "ai/providers/*" {
  capabilities = ["read", "list"]
}
path "ai/info" {
  capabilities = ["read"]
}

# With delete=true as well: what no row knows after a restored snapshot is the administrator's to judge.
path "ai/tidy" {
  capabilities = ["update"]
}

# The mount's own limits, and what its audit log shows in clear.
path "sys/mounts/ai/tune" {
  capabilities = ["read", "update"]
}
