# An application that cannot lease: reads the key of one static role. Who may read it has all that the key can do until the
# role is rotated; there is no lease that ends with the token.

path "ai/static-creds/app-legacy" {
  capabilities = ["read"]

  # No parameter has a meaning here. An empty allowed_parameters would allow every one.
  denied_parameters = {
    "*" = []
  }
}
