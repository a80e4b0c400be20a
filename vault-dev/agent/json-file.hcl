# The key in a JSON file, for programs that read a file and look at it again. Run it in a folder of its own:
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

template_config {
  # The agent goes on trying where it would end by default after 12 failures: the old key may outlive the outage.
  exit_on_retry_failure = false
}

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
