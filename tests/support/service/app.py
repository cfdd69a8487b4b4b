"""A small service as people write them: FastAPI, SQLite, and a connection pool that runs dry.

GET /items/{number} takes a connection from a pool of POOL, holds it for HOLD_MS while the database works, and answers
503 when none becomes free within PATIENCE_MS. So it answers up to POOL / HOLD_MS good requests a second, and any number of
bad ones. POST /items wants JSON (422 otherwise), POST /forms a form (415 otherwise), GET /orders a bearer token (401).

Prints the address that it listens on, then serves until SIGTERM.
"""

import asyncio
import contextlib
import os
import socket
import sqlite3
import urllib.parse

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request
from pydantic import BaseModel

POOL = int(os.environ.get("POOL", "8"))
HOLD_MS = float(os.environ.get("HOLD_MS", "40"))
PATIENCE_MS = float(os.environ.get("PATIENCE_MS", "100"))

app = FastAPI()
pool: asyncio.Queue = asyncio.Queue()


class Item(BaseModel):
    name: str
    price: float


def connect() -> sqlite3.Connection:
    connection = sqlite3.connect("file:items?mode=memory&cache=shared", uri=True)
    connection.execute("CREATE TABLE IF NOT EXISTS items (number INTEGER PRIMARY KEY, name TEXT, price REAL)")
    connection.execute("INSERT OR IGNORE INTO items VALUES (1, 'lamp', 9.5), (2, 'desk', 120), (3, 'chair', 60)")
    connection.commit()
    return connection


@contextlib.asynccontextmanager
async def a_connection():
    try:
        connection = await asyncio.wait_for(pool.get(), PATIENCE_MS / 1000)
    except TimeoutError:
        raise HTTPException(503, "no database connection is free") from None
    try:
        yield connection
    finally:
        pool.put_nowait(connection)


@app.get("/items/{number}")
async def read_item(number: int):
    loop = asyncio.get_running_loop()
    async with a_connection() as connection:
        until = loop.time() + HOLD_MS / 1000
        row = connection.execute("SELECT name, price FROM items WHERE number = ?", (number,)).fetchone()
        await asyncio.sleep(until - loop.time())
    if row is None:
        raise HTTPException(404, f"there is no item {number}")
    return {"number": number, "name": row[0], "price": row[1]}


@app.post("/items", status_code=201)
async def create_item(item: Item):
    return {"name": item.name, "price": item.price}


@app.post("/forms", status_code=201)
async def take_form(request: Request):
    if request.headers.get("content-type", "") != "application/x-www-form-urlencoded":
        raise HTTPException(415, "a form is wanted")
    return dict(urllib.parse.parse_qsl((await request.body()).decode()))


@app.get("/orders")
async def list_orders(authorization: str = Header(default="")):
    if not authorization.startswith("Bearer "):
        raise HTTPException(401, "a bearer token is wanted")
    return []


def main():
    # Without the protocol's number asyncio does not set TCP_NODELAY on what is accepted.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(os.environ.get("PORT", "0"))))
    listener.listen(2048)
    print("http://{}:{}".format(*listener.getsockname()), flush=True)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        for _ in range(POOL):
            pool.put_nowait(connect())
        yield

    app.router.lifespan_context = lifespan
    config = uvicorn.Config(app, access_log=False, log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
