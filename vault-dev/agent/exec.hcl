# The key in the environment of a program that the agent runs: nothing is written to disk, and the program need not know
# of Vault. With a new key the agent ends the program and starts it again. Run it in a folder of its own, see
# json-file.hcl, and let something start it again: where the program ends, the agent ends with its status. What ends the
# agent must end the program too (KillMode=control-group of systemd, the default): after a kill -9 it would go on, with a
# key that nobody renews.
#   vault agent -config=exec.hcl
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

# The templates name the same path, so all of them are of one read and one key.
env_template "OPENAI_API_KEY" {
  contents             = "{{ with secret \"ai/creds/app-dev\" }}{{ .Data.api_key }}{{ end }}"
  error_on_missing_key = true
}

env_template "OPENAI_BASE_URL" {
  contents             = "{{ with secret \"ai/creds/app-dev\" }}{{ .Data.base_url }}{{ end }}"
  error_on_missing_key = true
}

env_template "AI_KEY_ID" {
  contents             = "{{ with secret \"ai/creds/app-dev\" }}{{ .Data.key_id }}{{ end }}"
  error_on_missing_key = true
}

exec {
  command                   = ["python3", "app.py"]
  restart_on_secret_changes = "always"
  # The program finishes the call that is under way. After 30 s the agent kills it.
  restart_stop_signal = "SIGTERM"
}
