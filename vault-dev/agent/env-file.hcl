# The key in an env file, for `set -a; . run/ai.env`, EnvironmentFile= of systemd, or programs that read it themselves.
# Run it in a folder of its own, see json-file.hcl:
#   vault agent -config=env-file.hcl
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
  destination = "run/ai.env"
  perms       = "0600"
  # Without quotes, which EnvironmentFile and most programs read differently. The engine hands out no value with a character
  # that a shell would take for its own.
  contents = <<EOT
{{- with secret "ai/creds/app-dev" -}}
OPENAI_API_KEY={{ .Data.api_key }}
OPENAI_BASE_URL={{ .Data.base_url }}
AI_KEY_ID={{ .Data.key_id }}
{{- end }}
EOT
  # A program that reads its environment only once has to be started again for a new key:
  # exec {
  #   command = ["systemctl", "try-restart", "worker.service"]
  # }
}
