// A worker that asks a model a question again and again, with a key that Vault leases and an agent delivers.
//
//     AI_KEY_FILE   the file that the agent writes, JSON or NAME=value lines; it is read again whenever it changes.
//                   If it is not there yet, the program waits. Without AI_KEY_FILE the key is OPENAI_API_KEY of the
//                   environment, as the agent's exec mode sets it.
//     AI_MODEL      the model; gpt-4o-mini if not set
//     AI_INTERVAL   seconds between two calls; 1 if not set
//
// Prints a line of JSON per call. `--once` makes one call. SIGTERM ends it after the call that is under way.

import { readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";

// How often a call that the vendor answers with 401 is tried again, and how long after: a fresh key can take a moment
// to be known everywhere at the vendor, and a new key file may be on its way.
const ATTEMPTS = 3;
const WAIT_MS = 1000;
// Time for an answer, and how often the SDK tries again after 429, 5xx and lost connections. Together they are below the
// 30 s that an agent gives a program to end.
const TIMEOUT_MS = 12_000;
const RETRIES = 1;

// The key as the agent last left it, and a client that uses it.
class Key {
  static async waitFor(path) {
    const key = new Key();
    key.path = path;
    while (!key.refresh()) await sleep(WAIT_MS);
    return key;
  }

  // Takes over a file that was replaced. False where there is none that can be read: the key at hand goes on.
  refresh() {
    try {
      const version = this.#version();
      if (version === this.version) return true;
      const { OPENAI_API_KEY: apiKey, OPENAI_BASE_URL: baseURL, AI_KEY_ID: id } = this.#read();
      if (!apiKey || !baseURL || !id) throw new TypeError("OPENAI_API_KEY, OPENAI_BASE_URL and AI_KEY_ID are needed");
      // A client of its own for each key: the base URL belongs to it.
      this.client = new OpenAI({ apiKey, baseURL, timeout: TIMEOUT_MS, maxRetries: RETRIES });
      Object.assign(this, { id, version });
      return true;
    } catch (error) {
      // An environment gets no better by waiting.
      if (!this.path) throw error;
      // Its name only: the text of an error could hold a part of the file.
      console.error(`no key: ${error.code ?? error.name}`);
      return false;
    }
  }

  #version() {
    if (!this.path) return "environment";
    const { ino, mtimeNs } = statSync(this.path, { bigint: true });
    return `${ino} ${mtimeNs}`;
  }

  #read() {
    if (!this.path) return process.env;
    const text = readFileSync(this.path, "utf8");
    if (this.path.endsWith(".json")) return JSON.parse(text);
    const lines = text.split("\n").filter((line) => line.includes("="));
    return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
  }
}

// One call; what is printed of it.
async function ask(key, model) {
  for (let attempts = 1; ; attempts++) {
    key.refresh();
    const line = { ok: false, attempts, key_id: key.id };
    try {
      const messages = [{ role: "user", content: "hello" }];
      const completion = await key.client.chat.completions.create({ model, messages });
      return { ...line, ok: true, status: 200, answer: completion.choices[0].message.content };
    } catch (error) {
      if (!(error instanceof OpenAI.APIError)) throw error;
      // Replaced or revoked: the only error that another key can mend. A lost connection has no status.
      if (error.status !== 401 || attempts === ATTEMPTS) return { ...line, status: error.status ?? null };
      await sleep(WAIT_MS);
    }
  }
}

const key = await Key.waitFor(process.env.AI_KEY_FILE);
const model = process.env.AI_MODEL ?? "gpt-4o-mini";
if (process.argv.includes("--once")) {
  const line = await ask(key, model);
  console.log(JSON.stringify(line));
  process.exitCode = line.ok ? 0 : 1;
} else {
  const stop = new AbortController();
  process.on("SIGTERM", () => stop.abort());
  const interval = Number(process.env.AI_INTERVAL ?? 1) * 1000;
  while (!stop.signal.aborted) {
    console.log(JSON.stringify(await ask(key, model)));
    await sleep(interval, undefined, { signal: stop.signal }).catch(() => {});
  }
}
