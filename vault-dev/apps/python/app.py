"""A worker that asks a model a question again and again, with a key that Vault leases and an agent delivers.

    AI_KEY_FILE   the file that the agent writes, JSON or NAME=value lines; it is read again whenever it changes.
                  If it is not there yet, the program waits. Without AI_KEY_FILE the key is OPENAI_API_KEY of the
                  environment, as the agent's exec mode sets it.
    AI_MODEL      the model; gpt-4o-mini if not set
    AI_INTERVAL   seconds between two calls; 1 if not set

Prints a line of JSON per call. `--once` makes one call. SIGTERM ends it after the call that is under way.
"""

import json
import os
import signal
import sys
import threading
import time

import openai

# How often a call that the vendor answers with 401 is tried again, and how long after: a fresh key can take a moment
# to be known everywhere at the vendor, and a new key file may be on its way.
ATTEMPTS = 3
WAIT = 1.0
# Seconds for an answer, and how often the SDK tries again after 429, 5xx and lost connections. Together they are below the
# 30 s that an agent gives a program to end.
TIMEOUT = 12.0
RETRIES = 1


class Key:
    """The key as the agent last left it, and a client that uses it."""

    def __init__(self, path):
        self.path = path
        self.version = None
        while not self.refresh():
            time.sleep(WAIT)

    def refresh(self):
        """Takes over a file that was replaced. False where there is none that can be read: the key at hand goes on."""
        try:
            version = self._version()
            if version == self.version:
                return True
            values = self._read()
            key, base_url, key_id = (values[name] for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "AI_KEY_ID"))
        except (OSError, ValueError, KeyError) as error:
            if not self.path:
                raise  # An environment gets no better by waiting.
            # Its type only: the text of an error could hold a part of the file.
            print(f"no key: {type(error).__name__}", file=sys.stderr, flush=True)
            return False
        # A client of its own for each key: the base URL belongs to it.
        self.client = openai.OpenAI(api_key=key, base_url=base_url, timeout=TIMEOUT, max_retries=RETRIES)
        self.id = key_id
        self.version = version
        return True

    def _version(self):
        if not self.path:
            return "environment"
        stat = os.stat(self.path)
        return (stat.st_ino, stat.st_mtime_ns)

    def _read(self):
        if not self.path:
            return os.environ
        with open(self.path, encoding="utf-8") as file:
            text = file.read()
        if self.path.endswith(".json"):
            return json.loads(text)
        return dict(line.split("=", 1) for line in text.splitlines() if line)


def ask(key, model):
    """One call; what is printed of it."""
    line = {"ok": False, "attempts": 0}
    while True:
        key.refresh()
        line["attempts"] += 1
        line["key_id"] = key.id
        try:
            completion = key.client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "hello"}]
            )
            return line | {"ok": True, "status": 200, "answer": completion.choices[0].message.content}
        except openai.AuthenticationError as error:
            # Replaced or revoked: the only error that another key can mend.
            if line["attempts"] == ATTEMPTS:
                return line | {"status": error.status_code}
            time.sleep(WAIT)
        except openai.APIStatusError as error:
            return line | {"status": error.status_code}
        except openai.APIConnectionError:
            return line | {"status": None}


def main():
    key = Key(os.environ.get("AI_KEY_FILE"))
    model = os.environ.get("AI_MODEL", "gpt-4o-mini")
    if "--once" in sys.argv:
        line = ask(key, model)
        print(json.dumps(line), flush=True)
        return 0 if line["ok"] else 1
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    while not stop.is_set():
        print(json.dumps(ask(key, model)), flush=True)
        stop.wait(float(os.environ.get("AI_INTERVAL", "1")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
