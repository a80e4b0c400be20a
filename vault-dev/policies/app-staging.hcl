# An application in staging: keys of one role, for as long as a run of tests says, and what it needs to look after them.
# Paths match to the letter: ai/creds/app-staging/ or ai/creds/app-staging-2 are other ones.

path "ai/creds/app-staging" {
  capabilities = ["read"]

  # A run says how long it takes, so that no key outlives it by much. Every name here has to be sent.
  required_parameters = ["ttl"]
  # Compared as text, so that 900s is not 15m; an empty list would allow any. What is not listed cannot be sent.
  allowed_parameters = {
    "ttl" = ["15m", "30m", "1h"]
  }
}

# Its own leases, by their id. The policy "default", which a token has unless it was made without, allows renewing and
# looking up too, and lets a token renew itself: keep it, since a lease ends with the token that read it.
path "sys/leases/renew" {
  capabilities = ["update"]
  allowed_parameters = {
    "lease_id"  = ["ai/creds/app-staging/*"]
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
    "lease_id" = ["ai/creds/app-staging/*"]
  }
}

# To end a key as soon as it is not needed any more.
path "sys/leases/revoke" {
  capabilities = ["update"]
  allowed_parameters = {
    "lease_id" = ["ai/creds/app-staging/*"]
    "sync"     = []
  }
}
