// A receiver: checks each signature, keeps each message once, answers, and works on it afterwards.
//
//     WEBHOOK_SECRET=whsec_… node dist/receiver.js     # PGHOST, PGDATABASE, PGUSER … say where
//
// Received messages are rows of shop.inbox (../shop.sql) in the service's own PostgreSQL, committed
// before the answer: what has been answered with 2xx is not sent again, so from then on only this
// table has it. The same table tells which messages are repetitions. docs/receivers.md says why.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { Webhook } from "standardwebhooks";

const BODY_BYTES_MAX = 2 * 1024 * 1024; // the hub takes payloads of 1 MiB; an envelope adds little
const LOOK_EVERY_MS = 1_000; // for what another process has left undone
const PAUSE_AFTER_ERROR_MS = 5_000;

interface Event {
  id: string;
  type: string;
  data: unknown;
}

// What this service does with an event. What it writes with `client` is in one transaction with the
// mark that the event is done: it happens once, whatever dies in between.
async function work(client: pg.PoolClient, event: Event): Promise<void> {
  const seconds = Number(process.env.WORK_SECONDS ?? "0"); // stands for what takes its time
  await client.query("SELECT pg_sleep($1)", [seconds]);
  console.log(event.type, event.id, JSON.stringify(event.data));
}

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "POST") return answer(response, 405);
  const headers = request.headers as Record<string, string>;
  if (!headers["content-length"]) return answer(response, 411);
  if (Number(headers["content-length"]) > BODY_BYTES_MAX) return answer(response, 413);
  const body = await buffer(request);
  let event: Partial<Event> | null;
  try {
    // Over the bytes as they came: JSON that was read and written again has another signature.
    event = webhook.verify(body, headers) as Partial<Event> | null;
  } catch {
    return answer(response, 401);
  }
  if (!event?.type) return answer(response, 400); // no envelope: not set up for us
  try {
    // By webhook-id, which is signed. X-Message-Id says the same, but anybody can change it.
    await pool.query(
      "INSERT INTO shop.inbox (message_id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING",
      [headers["webhook-id"], body.toString()],
    );
  } catch (error) {
    console.error("the inbox:", error);
    return answer(response, 503, { "Retry-After": "5" });
  }
  answer(response, 204); // also for a repetition: the hub wants to hear that we have it
  wake();
}

function answer(response: ServerResponse, status: number, headers = {}): void {
  response.writeHead(status, headers).end();
}

// Does the oldest message that is not done; false when there is none. Several processes may share
// the table: what one of them has taken, the others skip.
async function workOnOldest(): Promise<boolean> {
  const client = await pool.connect();
  let broken = true;
  try {
    await client.query("BEGIN");
    const found = await client.query(
      "SELECT n, body FROM shop.inbox WHERE done_at IS NULL ORDER BY n LIMIT 1 " +
        "FOR UPDATE SKIP LOCKED",
    );
    if (found.rows.length > 0) {
      await work(client, JSON.parse(found.rows[0].body));
      await client.query("UPDATE shop.inbox SET done_at = now(), body = NULL WHERE n = $1", [
        found.rows[0].n,
      ]);
    }
    await client.query("COMMIT");
    broken = false;
    return found.rows.length > 0;
  } finally {
    client.release(broken); // a closed connection has rolled back
  }
}

async function workUntilStopped(): Promise<void> {
  while (!stopping) {
    try {
      if (await workOnOldest()) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, LOOK_EVERY_MS);
      });
    } catch (error) {
      // Nobody sends it again: try until it works, or a person looks.
      console.error("not done, will be tried again:", error);
      if (!stopping) await sleep(PAUSE_AFTER_ERROR_MS);
    }
  }
}

// Ids that cannot come again are forgotten: dead letters of the hub can be sent for 30 days.
async function forgetOld(): Promise<void> {
  await pool
    .query("DELETE FROM shop.inbox WHERE done_at < now() - interval '40 days'")
    .catch((error) => console.error("the inbox:", error));
}

const secret = process.env.WEBHOOK_SECRET;
if (!secret) throw new Error("WEBHOOK_SECRET has to be the subscriber's secret, whsec_…");
const webhook = new Webhook(secret);
const pool = new pg.Pool({ connectionTimeoutMillis: 2_000, query_timeout: 30_000 });
pool.on("error", (error) => console.error("a connection was lost:", error.message));
let stopping = false;
let wake = () => {};

const server = createServer((request, response) => {
  receive(request, response).catch((error) => response.destroy(error)); // it will be sent again
});
const port = Number(process.env.PORT ?? "8080"); // on loopback: a proxy with TLS stands before it
server.listen(port, "127.0.0.1", () => console.error(`listening on http://127.0.0.1:${port}/`));
const working = workUntilStopped();
const forgetting = setInterval(forgetOld, 3_600_000);

async function stop(): Promise<void> {
  stopping = true;
  wake();
  clearInterval(forgetting);
  await new Promise((closed) => server.close(closed)); // those that have begun are answered
  await working; // and the work that has begun is done; the rest waits in the inbox
  await pool.end();
}
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
