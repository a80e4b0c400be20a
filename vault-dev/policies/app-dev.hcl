# An application in development: keys of one role, and what it needs to look after them.
# Paths match to the letter: ai/creds/app-dev/ or ai/creds/app-dev-2 are other ones.

path "ai/creds/app-dev" {
  capabilities = ["read"]

  # The lifetimes that it may ask for; with none it gets the role's. They are compared as text, so that 300s is not 5m,
  # and an empty list would allow any. What is not listed here cannot be sent.
  allowed_parameters = {
    "ttl" = ["5m", "15m", "1h"]
  }
}

# Its own leases, by their id. The policy "default", which a token has unless it was made without, allows renewing and
# looking up too, and lets a token renew itself: keep it, since a lease ends with the token that read it.
path "sys/leases/renew" {
  capabilities = ["update"]
  allowed_parameters = {
    "lease_id"  = ["ai/creds/app-dev/*"]
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
    "lease_id" = ["ai/creds/app-dev/*"]
  }
}

# To end a key as soon as it is not needed any more.
path "sys/leases/revoke" {
  capabilities = ["update"]
  allowed_parameters = {
    "lease_id" = ["ai/creds/app-dev/*"]
    "sync"     = []
  }
}
