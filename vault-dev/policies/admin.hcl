# Who administers the engine: accounts, roles and what is left over. No key is read with it: ai/creds/ is not here, and
# so no rule may be as wide as ai/*.

# Credentials are written here and never read back. Also ai/config/<name>/check.
path "ai/config/*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
}
path "ai/roles/*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
}

# Roles whose one key lasts, and a new key for one now. The keys themselves are at ai/static-creds/, which is not here.
path "ai/static-roles/*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
}
path "ai/rotate-role/*" {
  capabilities = ["update"]
}

# Keys that are lent, and who has which. Each path by itself: ai/library/<set>/check-out is not here.
path "ai/library/+" {
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
}
path "ai/library/+/keys/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}
path "ai/library/+/status" {
  capabilities = ["read"]
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

# The mount as an issuer: what vendors are told, and new keys. Private halves are never read.
path "ai/identity/config" {
  capabilities = ["create", "read", "update", "patch"]
}
path "ai/identity/keys" {
  capabilities = ["read"]
}
path "ai/identity/keys/*" {
  capabilities = ["delete"]
}
path "ai/identity/rotate" {
  capabilities = ["update"]
}

# With delete=true as well: what no row knows after a restored snapshot is the administrator's to judge.
path "ai/tidy" {
  capabilities = ["update"]
}

# The mount's own limits, and the names of keys in clear in its audit log. What else tuning could do is not here: it would
# put keys and admin credentials in clear into that log, or let headers of requests through. A list is compared as a whole.
path "sys/mounts/ai/tune" {
  capabilities = ["read", "update"]
  allowed_parameters = {
    "default_lease_ttl"            = []
    "max_lease_ttl"                = []
    "audit_non_hmac_response_keys" = [["key_id", "key_name"]]
  }
}
