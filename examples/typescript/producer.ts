// A producer: publishes the orders of standard input, one JSON object per line, each once.
//
//     EVENTHUB_URL=http://localhost:3000 EVENTHUB_API_KEY=ehk_… \
//       node dist/producer.js < orders.ndjson
//
// An answer may be lost after the hub has taken the event. So each event has an idempotency key and
// is sent again with the same one until the hub has answered: that never makes a second event.

import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const URL = (process.env.EVENTHUB_URL ?? "http://localhost:3000") + "/events";
const API_KEY = process.env.EVENTHUB_API_KEY; // none for a hub without keys
const TIMEOUT_MS = 10_000;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;
const GIVE_UP_MS = 600_000; // less than the hub remembers keys (24 h)

// The hub will not take this event, however often it is sent.
class Refused extends Error {}

// Returns the id of the event.
async function publish(event: object, key: string): Promise<string> {
  const headers: Record<string, string> = {
    "Content-Type": "application/json",
    "Idempotency-Key": key,
  };
  if (API_KEY) headers.Authorization = `Bearer ${API_KEY}`;
  const body = JSON.stringify(event); // made once: with the same key it has to be the same
  const giveUp = Date.now() + GIVE_UP_MS;
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    let reason: string;
    let asked = 0;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const redirect = "manual"; // a POST that is redirected would become a GET
      const response = await fetch(URL, { method: "POST", headers, body, signal, redirect });
      const { status } = response;
      const answer = await response.json().catch(() => ({}));
      if (response.ok && answer.event_id) return answer.event_id; // 202; 200: was taken before
      reason = `${status} ${answer.detail ?? response.statusText}`;
      if (status >= 300 && status < 500 && status !== 408 && status !== 429) {
        throw new Refused(reason);
      }
      asked = retryAfter(response.headers.get("Retry-After"));
    } catch (error) {
      if (error instanceof Refused) throw error;
      reason = String(error); // no answer: it may have been taken
    }
    // Growing, so that a hub in trouble is left alone; by chance, so that producers do not come
    // back all at once; and not before the hub wants.
    const pause = Math.max(wait * (0.5 + Math.random() / 2), asked);
    if (Date.now() + pause > giveUp) throw new Error(`given up: ${reason}`);
    console.error(`${key}: ${reason}; again in ${(pause / 1000).toFixed(1)} s`);
    await sleep(pause);
  }
}

// In milliseconds. The hub says seconds; a proxy before it may say a date.
function retryAfter(text: string | null): number {
  if (text === null) return 0;
  const wanted = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(wanted) ? 0 : wanted;
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  // The key is the order's own: when this program dies and runs again, it is still the same.
  const key = `order-${order.order}-placed`;
  try {
    console.log(key, await publish({ event_type: "order.placed", payload: order }, key));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    console.error(`${key}: refused: ${error.message}`);
    process.exitCode = 1;
  }
}
