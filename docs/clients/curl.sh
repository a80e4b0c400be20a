#!/usr/bin/env bash
# Reads a key with curl, uses it, renews and revokes its lease: curl.sh ROLE [TTL]
# Needs curl and python3, VAULT_ADDR and VAULT_TOKEN; takes VAULT_NAMESPACE and MODEL where they are set.
# No secret is an argument of a command, where other users of the machine could see it: they go through pipes.
set -euo pipefail

mount=ai
role=${1:?usage: curl.sh ROLE [TTL]}
ttl=(${2:+-G --data-urlencode "ttl=$2"})
# Seconds. The server gives up after 90; who hangs up before that gets no key, and the engine revokes what it made.
timeout=100
# Longest wait, in seconds, that a vendor may ask for before this program gives up.
patience=30

# call METHOD PATH BODY [CURL OPTION...]: sets status and answer; status is 000 where there was no answer.
call() {
  local method=$1 path=$2 body=$3 response
  shift 3
  response=$(printf %s "$body" | curl -sS --max-time "$timeout" -w '\n%{http_code}' -X "$method" \
    -H @<(printf 'X-Vault-Request: true\nX-Vault-Token: %s\n' "$VAULT_TOKEN") \
    ${VAULT_NAMESPACE:+-H "X-Vault-Namespace: $VAULT_NAMESPACE"} \
    ${body:+--data-binary @-} "$@" "$VAULT_ADDR/v1/$path") || true
  status=${response##*$'\n'}
  answer=${response%$'\n'*}
}

# field NAME...: what is there in the answer; a list line by line.
field() {
  printf %s "$answer" | python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1:]:
    value = value.get(name) or ""
print(*value if isinstance(value, list) else [value], sep="\n")' "$@"
}

# json NAME VALUE...: an object of texts, from standard input where a value is -.
json() {
  python3 -c '
import json, sys
words = [sys.stdin.read() if word == "-" else word for word in sys.argv[1:]]
print(json.dumps(dict(zip(words[::2], words[1::2]))))' "$@"
}

# The status and the server's texts, in one line.
# shellcheck disable=SC2046,SC2086 # split into words on purpose
problem() {
  set -f
  if [ "$status" = 000 ]; then
    echo "no answer"
  else
    # A text may have line ends in it. A body that is not JSON is a proxy's.
    echo "$status" $(field errors 2>/dev/null)
  fi
}

# Ends the program and says what to do about the answer.
fail() {
  local problem advice
  problem=$(problem)
  case $status in
    400 | 404 | 405) advice="fix the request: asking again will not help" ;;
    403)
      # Vault says the same of a token that has ended and of one that may not; whether it can look at itself tells.
      call GET auth/token/lookup-self ''
      if [ "$status" = 200 ]; then advice="ask whoever owns the policy"; else advice="log in again"; fi
      ;;
    000 | 429 | 502 | 503) advice="try again later" ;;
    *) advice="search the server's log" ;;
  esac
  echo "error: $problem: $advice" >&2
  exit 1
}

# read_key [CURL OPTION...]: sets answer; asks again where that may help. A read is safe to repeat: the engine finds and
# deletes what a lost answer made.
read_key() {
  local wait asked
  for wait in 1 2 4 none; do
    call GET "$mount/creds/$role" '' ${ttl[@]+"${ttl[@]}"} "$@"
    case $status in
      200) break ;;
      000 | 429 | 502 | 503) ;;
      *) fail ;;
    esac
    asked=$(problem | sed -n 's/.*try again in \([0-9]*\) s.*/\1/p')
    if [ "$wait" = none ] || [ "${asked:-0}" -gt "$patience" ]; then fail; fi
    echo "trying again: $(problem)"
    sleep "${asked:-$wait}"
  done
  field warnings | sed '/./s/^/warning: /;/./!d'
}

# use KEY BASE_URL: one completion; prints the vendor's status.
use() {
  local body='{"model": "'${MODEL:-gpt-4o-mini}'", "messages": [{"role": "user", "content": "hello"}]}'
  curl -sS -o /dev/null -w '%{http_code}\n' --max-time 60 -H 'Content-Type: application/json' -d "$body" \
    -H @<(printf 'Authorization: Bearer %s\n' "$1") "$2/chat/completions"
}

# renew LEASE INCREMENT: false where it fails. A vendor that is out for long is 400 here too: go on with the key while it
# lasts, try again, and read a new one before it ends.
renew() {
  call PUT sys/leases/renew "$(json lease_id "$1" increment "$2")"
  [ "$status" = 200 ]
}

# revoke LEASE: with sync the answer says whether the vendor could be reached.
revoke() {
  call PUT sys/leases/revoke "$(json lease_id "$1" sync true)"
  [ "$status" = 204 ] || fail
  echo "revoked its lease"
}

# unwrap TOKEN: sets answer to what was wrapped; false where somebody else had it, or it is too late.
unwrap() {
  call POST sys/wrapping/unwrap "$(printf %s "$1" | json token -)"
  [ "$status" = 200 ]
}

read_key
lease=$(field lease_id) key=$(field data api_key) url=$(field data base_url)
echo "read a key: $(field data key_name), good for $(field lease_duration) s"
echo "used it: HTTP $(use "$key" "$url")"
renew "$lease" 30m || fail
echo "renewed its lease: good for $(field lease_duration) s"
revoke "$lease"
echo "used it again: HTTP $(use "$key" "$url")"
renew "$lease" 30m || echo "renewed it again: $(problem)"

read_key -H 'X-Vault-Wrap-TTL: 60s'
token=$(field wrap_info token)
unwrap "$token" || fail
lease=$(field lease_id)
echo "unwrapped another key: $(field data key_name)"
unwrap "$token" || echo "unwrapped it again: $(problem)"
revoke "$lease"
