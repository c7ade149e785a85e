-- A shop's own tables, beside the hub's in one database, and the inbox of a receiver.
CREATE SCHEMA shop;

CREATE TABLE shop.stock (
  item     text PRIMARY KEY,
  in_stock int NOT NULL CONSTRAINT not_more_than_there_is CHECK (in_stock >= 0)
);
INSERT INTO shop.stock VALUES ('book', 10), ('lamp', 2);

CREATE TABLE shop.orders (
  id       int PRIMARY KEY,
  item     text NOT NULL REFERENCES shop.stock,
  quantity int NOT NULL CHECK (quantity > 0)
);

-- What typescript/receiver.ts has received. `n` is the order of arrival.
CREATE TABLE shop.inbox (
  n           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id  text NOT NULL UNIQUE,
  body        text,                     -- NULL once the work is done
  received_at timestamptz NOT NULL DEFAULT now(),
  done_at     timestamptz
);
CREATE INDEX inbox_not_done ON shop.inbox (n) WHERE done_at IS NULL;
