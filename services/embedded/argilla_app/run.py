"""Argilla's server with the embedded search engine: migrate the database, create the owner, serve.

The interpreter of Argilla's own environment runs this as a script, so its folder is on the path and Tornio is not.
Argilla's settings come from ARGILLA_*, the owner from TORNIO_ARGILLA_OWNER{,_PASSWORD,_API_KEY}. One process does all
three, because importing argilla_server takes four seconds each time.
"""

import argparse
import asyncio
import os

import speedups
import sql_search.engine  # noqa: F401  registers itself before the server needs it
import uvicorn
from argilla_server import app
from argilla_server.cli.database.migrate import migrate_db
from argilla_server.contexts import accounts
from argilla_server.database import AsyncSessionLocal, async_engine
from argilla_server.enums import UserRole
from argilla_server.models import User


async def make_owner(username: str, password: str, api_key: str) -> None:
    """Create the owner if no user has that name yet."""
    async with AsyncSessionLocal() as session:
        if await accounts.get_user_by_username(session, username) is None:
            await User.create(
                session,
                first_name=username,
                username=username,
                role=UserRole.owner,
                password_hash=accounts.hash_password(password),
                api_key=api_key,
            )
    await async_engine.dispose()  # its connections belong to this event loop, not the server's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    address = parser.parse_args()

    speedups.install()
    migrate_db("head")
    owner = os.environ
    asyncio.run(
        make_owner(
            owner["TORNIO_ARGILLA_OWNER"],
            owner["TORNIO_ARGILLA_OWNER_PASSWORD"],
            owner["TORNIO_ARGILLA_OWNER_API_KEY"],
        )
    )
    uvicorn.run(app, host=address.host, port=address.port, access_log=False, timeout_graceful_shutdown=3)


if __name__ == "__main__":
    main()
