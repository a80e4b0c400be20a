// Reads a key with node-vault, uses it, renews and revokes its lease: node-vault.mjs ROLE [TTL]
// Takes VAULT_ADDR, VAULT_TOKEN and VAULT_NAMESPACE as node-vault does, and MODEL where it is set.

import { setTimeout as sleep } from 'node:timers/promises';
import nodeVault from 'node-vault';

const MOUNT = 'ai';
// Milliseconds. The server gives up after 90 s; who hangs up before that gets no key, and the engine revokes what it
// made. Without this node-vault waits for ever.
const TIMEOUT = 100_000;
// Longest wait, in seconds, that a vendor may ask for before this program gives up.
const PATIENCE = 30;

const vault = nodeVault({ rpDefaults: { timeout: TIMEOUT } });

// Where there was no answer the error is axios's, and there is no status.
const statusOf = (error) => error.response?.statusCode;
const isTransient = (error) => [undefined, 429, 502, 503].includes(statusOf(error));

// error.message is the first of the server's errors only. Never log an error whole: one of axios has the request in it,
// and with that the token.
function problem(error) {
  if (statusOf(error) === undefined) return 'no answer';
  const { errors = [] } = error.response.body ?? {};
  return `${statusOf(error)} ${errors.join(' ').split(/\s+/).join(' ').trim()}`;
}

// The whole answer: lease, data and warnings, or wrap_info. Asks again where that may help. That is safe: the engine
// finds and deletes what a lost answer made.
async function readKey(role, { ttl, wrapTtl } = {}) {
  const query = ttl ? `?ttl=${encodeURIComponent(ttl)}` : '';
  const read = () =>
    vault.read(`${MOUNT}/creds/${role}${query}`, { headers: wrapTtl ? { 'X-Vault-Wrap-TTL': wrapTtl } : {} });
  for (const wait of [1, 2, 4, undefined]) {
    try {
      const answer = await read();
      for (const warning of answer.warnings ?? []) console.log(`warning: ${warning}`);
      return answer;
    } catch (error) {
      const asked = Number(/try again in (\d+) s/.exec(problem(error))?.[1] ?? 0);
      if (!isTransient(error) || wait === undefined || asked > PATIENCE) throw error;
      console.log(`trying again: ${problem(error)}`);
      await sleep(1000 * (asked || wait * (0.5 + Math.random() / 2)));
    }
  }
}

// A vendor that is out for long is 400 here too: go on with the key while it lasts, try again, and read a new one before it
// ends.
const renew = (lease_id, increment) => vault.renew({ lease_id, increment });

// vault.revoke() drops the field sync: the server would revoke later, and not say whether the vendor was reached.
async function revoke(lease_id) {
  await vault.write('sys/leases/revoke', { lease_id, sync: true });
  console.log('revoked its lease');
}

// The vendor's status for one completion.
async function use({ api_key, base_url }) {
  const response = await fetch(`${base_url}/chat/completions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${api_key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({
      model: process.env.MODEL ?? 'gpt-4o-mini',
      messages: [{ role: 'user', content: 'hello' }],
    }),
    signal: AbortSignal.timeout(60_000),
  });
  await response.arrayBuffer();
  return response.status;
}

async function advice(error) {
  if (isTransient(error)) return 'try again later';
  switch (statusOf(error)) {
    case 400:
    case 404:
    case 405:
      return 'fix the request: asking again will not help';
    case 403:
      // Vault says the same of a token that has ended and of one that may not; whether it can look at itself tells.
      return vault.tokenLookupSelf().then(
        () => 'ask whoever owns the policy',
        () => 'log in again',
      );
    default:
      return "search the server's log";
  }
}

async function story(role, ttl) {
  let answer = await readKey(role, { ttl });
  const { lease_id, data: key } = answer;
  console.log(`read a key: ${key.key_name}, good for ${answer.lease_duration} s`);
  console.log(`used it: HTTP ${await use(key)}`);
  answer = await renew(lease_id, 1800);
  console.log(`renewed its lease: good for ${answer.lease_duration} s`);
  await revoke(lease_id);
  console.log(`used it again: HTTP ${await use(key)}`);
  await renew(lease_id, 1800).catch((error) => console.log(`renewed it again: ${problem(error)}`));

  const { wrap_info } = await readKey(role, { ttl, wrapTtl: '60s' });
  const { token } = wrap_info;
  answer = await vault.unwrap({ token });
  console.log(`unwrapped another key: ${answer.data.key_name}`);
  await vault.unwrap({ token }).catch((error) => console.log(`unwrapped it again: ${problem(error)}`));
  await revoke(answer.lease_id);
}

const [role, ttl] = process.argv.slice(2);
if (!role) {
  console.error('usage: node-vault.mjs ROLE [TTL]');
  process.exit(2);
}
try {
  await story(role, ttl);
} catch (error) {
  console.error(`error: ${problem(error)}: ${await advice(error)}`);
  process.exitCode = 1;
}
