"""Django's ASGI handler with all of a request's work in one thread, in one go.

Django's own goes back and forth between the event loop and a thread five times for a request whose views and
middleware are synchronous, as all of ours are. While the process is busy each of those ways waits for its turn.
"""

import asyncio

from asgiref.sync import sync_to_async
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix


class OneThreadHandler(ASGIHandler):
    """For synchronous middleware and views, which a client that hangs up does not stop; what is streamed ends then."""

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def handle(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            response = await sync_to_async(self.answer)(scope, body)
            if not response.streaming:
                await self.send_response(response, send)
                return
            # What takes long to make is not made for nobody. All was read: there is nothing to receive but the end.
            ways = [
                asyncio.ensure_future(self.send_response(response, send)),
                asyncio.ensure_future(receive()),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                sent, _ = await asyncio.gather(*ways, return_exceptions=True)
                await sync_to_async(response.close)()
            if isinstance(sent, Exception):
                raise sent

    def answer(self, scope: HTTPScope, body: object) -> HttpResponseBase:
        """The response; closed already, so that its database connection is free, unless it has yet to be read."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        request, response = self.create_request(scope, body)
        if request is not None:
            response = self.get_response(request)
        response._handler_class = type(self)
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        if not response.streaming:
            response.close()
        return response
