"""The web process: alerts to their door, WebSockets to the live rooms, all else to Django."""

import asyncio
import gc
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openalert.settings")
django.setup(set_prefix=False)

# What follows imports models, so it must come after the line above.
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope  # noqa: E402
from channels.routing import URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from alerts import door, sendgrid_inbound  # noqa: E402
from incidents.consumers import LiveConsumer  # noqa: E402
from openalert import draining  # noqa: E402
from openalert.body_limit import BodyLimit  # noqa: E402
from openalert.health import web_process  # noqa: E402
from openalert.one_thread import OneThreadHandler  # noqa: E402
from teams import first_admin  # noqa: E402

# Mail comes with its attachments.
LONGER = {"/integrations-inbound/": sendgrid_inbound.MAX_BODY_BYTES}

intake_application = door.Door()
django_application = BodyLimit(OneThreadHandler(), longer=LONGER)  # type: ignore[arg-type]
live_application = URLRouter([path("ws/live/", LiveConsumer.as_asgi())])


# What has been loaded stays: the collector need not walk through it again and again. What requests make is freed
# without it, so it may wait for more before it looks. In bulk intake that is half of the process's time.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)


async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    if scope["type"] == "http":
        handler = intake_application if door.takes(scope) else django_application
        await handler(scope, receive, send)
    elif scope["type"] == "websocket":
        await live_application(scope, receive, send)
    elif scope["type"] == "lifespan":
        await live(receive, send)


async def live(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """The server's own life: it says when it is up and when it is about to end."""
    announcing = None  # held while it runs; the server does not wait for it, as the database may be away
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            web_process.start()
            draining.heed_signals()
            announcing = asyncio.create_task(asyncio.to_thread(first_admin.announce))
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            if announcing:
                await announcing
            await asyncio.to_thread(web_process.stop)
            await send({"type": "lifespan.shutdown.complete"})
            return
