"""A producer without HTTP: the order and its event are one transaction of the shop's own.

    python3 place_order.py ORDER ITEM QUANTITY       # PGHOST, PGDATABASE, PGUSER … say where

Nothing has to be sent again here. When the transaction commits, the event is published; when it
rolls back, there never was one. The shop's role needs USAGE on the schema eventhub, nothing else.
"""
import json
import sys

import psycopg2


def place_order(connection, order, item, quantity):
    """Returns the id that the event has."""
    with connection, connection.cursor() as cursor:  # commits, or rolls back what raises
        cursor.execute("INSERT INTO shop.orders (id, item, quantity) VALUES (%s, %s, %s)",
                       (order, item, quantity))
        payload = json.dumps({"order": order, "item": item, "quantity": quantity})
        cursor.execute("SELECT eventhub.publish('order.placed', %s, idempotency_key => %s)",
                       (payload, f"order-{order}-placed"))
        event_id, = cursor.fetchone()
        cursor.execute("UPDATE shop.stock SET in_stock = in_stock - %s WHERE item = %s",
                       (quantity, item))  # fails when there are not so many: then nothing happened
    return event_id


def main():
    order, item, quantity = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    connection = psycopg2.connect("")
    try:
        print(f"order-{order}-placed", place_order(connection, order, item, quantity))
    except psycopg2.IntegrityError as error:
        sys.exit(f"order {order} was not placed: {error}")
    finally:
        connection.close()


if __name__ == "__main__":
    main()
