# The key of a static role in a JSON file, for a program that cannot lease. The agent reads it again when the engine says so
# and writes the file anew once it is another one; the one before goes on working for the role's overlap. Run it in a
# folder of its own, see json-file.hcl, with a token that has the policy app-legacy:
#   vault agent -config=static-key.hcl
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

template {
  destination = "run/ai.json"
  perms       = "0600"
  # There is no lease to renew. Only what stays the same between two rotations stands here: with ttl in it the file would be
  # another one at every read.
  contents = <<EOT
{{- with secret "ai/static-creds/app-legacy" -}}
{
  "OPENAI_API_KEY": {{ .Data.api_key | toJSON }},
  "OPENAI_BASE_URL": {{ .Data.base_url | toJSON }},
  "AI_KEY_ID": {{ .Data.key_id | toJSON }}
}
{{- end }}
EOT
}
