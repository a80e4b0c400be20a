# An application in production: keys of one role, as the role makes them, and what it needs to look after them.
# Paths match to the letter: ai/creds/app-prod/ or ai/creds/app-prod-2 are other ones.

path "ai/creds/app-prod" {
  capabilities = ["read"]

  # No parameter at all: how long a key lives is the role's to say. An empty allowed_parameters would allow every one.
  denied_parameters = {
    "*" = []
  }
}

# Its own leases, by their id. The policy "default", which a token has unless it was made without, allows renewing and
# looking up too, and lets a token renew itself: keep it, since a lease ends with the token that read it.
path "sys/leases/renew" {
  capabilities = ["update"]
  allowed_parameters = {
    "lease_id"  = ["ai/creds/app-prod/*"]
    "increment" = []
  }
}
# The old path of a renewal, which "default" allows for any lease.
path "sys/renew" {
  capabilities = ["deny"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
  allowed_parameters = {
    "lease_id" = ["ai/creds/app-prod/*"]
  }
}

# To end a key as soon as it is not needed any more.
path "sys/leases/revoke" {
  capabilities = ["update"]
  allowed_parameters = {
    "lease_id" = ["ai/creds/app-prod/*"]
    "sync"     = []
  }
}
