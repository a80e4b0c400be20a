"""Reads a key with hvac, uses it, renews and revokes its lease: hvac_sample.py ROLE [TTL]

Takes VAULT_ADDR and VAULT_TOKEN, and VAULT_NAMESPACE and MODEL where they are set.
"""

import functools
import os
import random
import re
import sys
import time

import hvac
import requests
from hvac import exceptions

MOUNT = "ai"
# Seconds. The server gives up after 90; who hangs up before that gets no key, and the engine revokes what it made.
TIMEOUT = 100
# Longest wait, in seconds, that a vendor may ask for before this program gives up.
PATIENCE = 30
# 429, 502, 503, and no answer at all.
TRANSIENT = (
    exceptions.RateLimitExceeded,
    exceptions.BadGateway,
    exceptions.VaultDown,
    requests.ConnectionError,
    requests.Timeout,
)

say = functools.partial(print, flush=True)


def connect():
    # hvac takes VAULT_ADDR and VAULT_TOKEN by itself, but not the namespace.
    return hvac.Client(namespace=os.environ.get("VAULT_NAMESPACE"), timeout=TIMEOUT)


def read_key(vault, role, ttl=None, wrap_ttl=None):
    """The whole answer: lease, data and warnings, or wrap_info.

    Asks again where that may help. That is safe: the engine finds and deletes what a lost answer made.
    """
    # vault.read() takes no parameters, and answers None to 404.
    read = functools.partial(
        vault.adapter.get, f"/v1/{MOUNT}/creds/{role}", params={"ttl": ttl} if ttl else None, wrap_ttl=wrap_ttl
    )
    for wait in (1, 2, 4):
        try:
            answer = read()
            break
        except TRANSIENT as error:
            asked = re.search(r"try again in (\d+) s", problem(error))
            if asked and int(asked[1]) > PATIENCE:
                raise
            say(f"trying again: {problem(error)}")
            time.sleep(int(asked[1]) if asked else random.uniform(wait / 2, wait))
    else:
        answer = read()
    for warning in answer["warnings"] or []:
        say(f"warning: {warning}")
    return answer


def renew(vault, lease_id, seconds):
    """The answer with the new lease_duration.

    A vendor that is out for long is 400 (InvalidRequest) here too: go on with the key while it lasts, try again, and read a
    new one before it ends.
    """
    return vault.sys.renew_lease(lease_id, increment=seconds)


def revoke(vault, lease_id):
    # vault.sys.revoke_lease() has no sync: the server would revoke later, and not say whether the vendor was reached.
    vault.write_data("sys/leases/revoke", data={"lease_id": lease_id, "sync": True})
    say("revoked its lease")


def use(key, base_url):
    """The vendor's status for one completion."""
    body = {"model": os.environ.get("MODEL", "gpt-4o-mini"), "messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": f"Bearer {key}"}
    return requests.post(f"{base_url}/chat/completions", headers=headers, json=body, timeout=60).status_code


def problem(error):
    """hvac's exceptions have no status, but a class for each; `errors` is the server's list."""
    if isinstance(error, exceptions.VaultError):
        text = " ".join(error.errors or [error.text or ""])
        return f"{type(error).__name__}: {' '.join(text.split())}"
    return "no answer"


def advice(vault, error):
    match error:
        case exceptions.Forbidden():
            # Vault says the same of a token that has ended and of one that may not; whether it can look at itself tells.
            return "ask whoever owns the policy" if vault.is_authenticated() else "log in again"
        case exceptions.InvalidRequest() | exceptions.InvalidPath():
            return "fix the request: asking again will not help"
        case _ if isinstance(error, TRANSIENT):
            return "try again later"
        case _:
            return "search the server's log"


def story(vault, role, ttl):
    answer = read_key(vault, role, ttl)
    lease_id, key = answer["lease_id"], answer["data"]
    say(f"read a key: {key['key_name']}, good for {answer['lease_duration']} s")
    say(f"used it: HTTP {use(key['api_key'], key['base_url'])}")
    answer = renew(vault, lease_id, 1800)
    say(f"renewed its lease: good for {answer['lease_duration']} s")
    revoke(vault, lease_id)
    say(f"used it again: HTTP {use(key['api_key'], key['base_url'])}")
    try:
        renew(vault, lease_id, 1800)
    except exceptions.InvalidRequest as error:
        say(f"renewed it again: {problem(error)}")

    token = read_key(vault, role, ttl, wrap_ttl="60s")["wrap_info"]["token"]
    answer = vault.sys.unwrap(token)
    say(f"unwrapped another key: {answer['data']['key_name']}")
    try:
        vault.sys.unwrap(token)
    except exceptions.InvalidRequest as error:
        say(f"unwrapped it again: {problem(error)}")
    revoke(vault, answer["lease_id"])


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: hvac_sample.py ROLE [TTL]")
    vault = connect()
    try:
        story(vault, sys.argv[1], *sys.argv[2:] or [None])
    except (exceptions.VaultError, requests.RequestException) as error:
        sys.exit(f"error: {problem(error)}: {advice(vault, error)}")


if __name__ == "__main__":
    main()
