# The key in a JSON file, for programs that read a file and look at it again. Run it in a folder of its own, which only its
# user can read, with the files role-id and secret-id (docs/agent.md says how to make them):
#   vault agent -config=json-file.hcl
# The server's address is VAULT_ADDR's, if that is set.

vault {
  address = "http://127.0.0.1:8200"
}

auto_auth {
  method "approle" {
    config = {
      role_id_file_path   = "role-id"
      secret_id_file_path = "secret-id"
      # By default the file is removed once it is read, and the agent cannot log in again after a restart. Where that is
      # wanted, deliver a new secret id, response-wrapped, at each start (secret_id_response_wrapping_path).
      remove_secret_id_file_after_reading = false
    }
  }
}

# No template_config with exit_on_retry_failure: the agent would end after twelve failed reads, while the old key may
# outlive what is out.

template {
  destination = "run/ai.json"
  perms       = "0600"
  # One read, one key. The agent renews its lease and writes the file anew, whole, when there is a new one.
  contents = <<EOT
{{- with secret "ai/creds/app-dev" -}}
{
  "OPENAI_API_KEY": {{ .Data.api_key | toJSON }},
  "OPENAI_BASE_URL": {{ .Data.base_url | toJSON }},
  "AI_KEY_ID": {{ .Data.key_id | toJSON }}
}
{{- end }}
EOT
}
