# A proxy on a Unix socket: programs ask it as they would ask the server, with no token of their own. It keeps the lease of
# an answer, renews it, and gives the same key again up to max_ttl. Run it in a folder of its own, see json-file.hcl:
#   mkdir -p run && vault proxy -config=proxy.hcl
#   curl --unix-socket run/proxy.sock http://localhost/v1/ai/creds/app-dev
# A lease that was revoked stays in its cache until it would renew it. Whoever is refused by the vendor has it dropped:
#   curl --unix-socket run/proxy.sock http://localhost/proxy/v1/cache-clear -d '{"type": "lease", "value": "<lease_id>"}'
# The server's address is VAULT_ADDR's, if that is set.

vault {
  address = "http://127.0.0.1:8200"
}

auto_auth {
  method "approle" {
    config = {
      role_id_file_path                   = "role-id"
      secret_id_file_path                 = "secret-id"
      remove_secret_id_file_after_reading = false # see json-file.hcl
    }
  }
}

api_proxy {
  use_auto_auth_token = true
}

cache {
}

# Whoever can connect has all that the proxy's token can do, ending it and all of its leases included. So no TCP port, which
# every user of the machine could reach.
listener "unix" {
  address = "run/proxy.sock"
  # OpenBao 2.7.2 does not look at it: there the umask decides, and the mode of the folder. Connecting takes the right to
  # write, which a umask of 022 leaves to the proxy's own user.
  socket_mode = "0600"
  tls_disable = true
}
