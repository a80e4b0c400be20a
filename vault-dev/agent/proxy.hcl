# A proxy on loopback: programs ask it as they would ask the server, with no token of their own. It keeps the lease of an
# answer, renews it, and gives the same key again until the lease ends. Run it in a folder of its own:
#   vault proxy -config=proxy.hcl
#   curl -H 'X-Vault-Request: true' http://127.0.0.1:8100/v1/ai/creds/app-dev
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

listener "tcp" {
  address     = "127.0.0.1:8100"
  tls_disable = true
  # A browser cannot be made to send this header to it.
  require_request_header = true
}
