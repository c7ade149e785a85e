// A producer without HTTP: the order and its event are one transaction of the shop's own.
//
//     node dist/place_order.js ORDER ITEM QUANTITY     # PGHOST, PGDATABASE, PGUSER … say where
//
// Nothing has to be sent again here. When the transaction commits, the event is published; when it
// rolls back, there never was one. The shop's role needs USAGE on the schema eventhub, no more.

import pg from "pg";

// Returns the id that the event has.
async function placeOrder(
  client: pg.Client,
  order: number,
  item: string,
  quantity: number,
): Promise<string> {
  await client.query("BEGIN");
  try {
    await client.query("INSERT INTO shop.orders (id, item, quantity) VALUES ($1, $2, $3)", [
      order,
      item,
      quantity,
    ]);
    const published = await client.query(
      "SELECT eventhub.publish('order.placed', $1, idempotency_key => $2) AS event_id",
      [JSON.stringify({ order, item, quantity }), `order-${order}-placed`],
    );
    await client.query("UPDATE shop.stock SET in_stock = in_stock - $1 WHERE item = $2", [
      quantity,
      item,
    ]); // fails when there are not so many: then nothing happened
    await client.query("COMMIT");
    return published.rows[0].event_id;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  }
}

const [order, item, quantity] = process.argv.slice(2);
const client = new pg.Client();
await client.connect();
try {
  const eventId = await placeOrder(client, Number(order), item, Number(quantity));
  console.log(`order-${order}-placed`, eventId);
} catch (error) {
  console.error(`order ${order} was not placed: ${error}`);
  process.exitCode = 1;
} finally {
  await client.end();
}
