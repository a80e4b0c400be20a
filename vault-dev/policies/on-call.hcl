# Who is on call: sees what exists, ends what has to end and replaces what has leaked. Is shown no key, and changes no
# account or role.

# The inventory. Deleting a row ends its key at the vendor, now, whatever its lease says. With force=true the engine
# forgets the key instead; no policy can keep that out, since the server looks at no parameter of a delete.
path "ai/keys/*" {
  capabilities = ["read", "list", "delete"]
}
path "ai/info" {
  capabilities = ["read"]
}

# What has leaked is replaced: an admin credential, the key of a static role. Nobody is shown the new one.
path "ai/config/+/rotate-root" {
  capabilities = ["update"]
}
path "ai/rotate-role/+" {
  capabilities = ["update"]
}
# How far that is; a role's fields hold no key.
path "ai/static-roles/*" {
  capabilities = ["read", "list"]
}

# Who has which key of a library; and back with one, whoever has it.
path "ai/library/+/status" {
  capabilities = ["read"]
}
path "ai/library/manage/+/check-in" {
  capabilities = ["update"]
}

# Only to look. A CLI sends "false" and an API's client false, and neither is taken for the other.
path "ai/tidy" {
  capabilities = ["update"]
  allowed_parameters = {
    "config" = []
    "delete" = ["false", false]
  }
}

# Which leases a role or a set has; the server asks for sudo, since an id is all that it takes to end a lease.
path "sys/leases/lookup/ai/creds/*" {
  capabilities = ["list", "sudo"]
}
path "sys/leases/lookup/ai/library/*" {
  capabilities = ["list", "sudo"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
  allowed_parameters = {
    "lease_id" = ["ai/creds/*", "ai/library/*"]
  }
}

# One lease, or everything of a role; the latter needs sudo as well. revoke-force, which forgets leases whose keys live
# on, is not here.
path "sys/leases/revoke" {
  capabilities = ["update"]
  allowed_parameters = {
    "lease_id" = ["ai/creds/*", "ai/library/*"]
    "sync"     = []
  }
}
path "sys/leases/revoke-prefix/ai/creds/*" {
  capabilities = ["update", "sudo"]
}
