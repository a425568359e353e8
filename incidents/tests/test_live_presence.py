import asyncio

from incidents.live import presence


def test_keeping_presence_ends_although_the_cancellation_was_made_an_error(monkeypatch):
    """As Redis' client does now and then when it is cancelled within its own time limits."""
    monkeypatch.setattr(presence, "TELL_EVERY_SECONDS", 0)
    monkeypatch.setattr(presence, "SETTLE_SECONDS", 0)

    class Layer:
        async def group_send(self, group, message):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise ConnectionError("cancelled") from None

    monkeypatch.setattr(presence, "get_channel_layer", Layer)

    async def story():
        keeping = asyncio.create_task(presence.Presence("me", lambda room, message: None).keep())
        await asyncio.sleep(0.05)
        keeping.cancel()
        await asyncio.wait([keeping], timeout=5)
        return keeping.done()

    assert asyncio.run(asyncio.wait_for(story(), 20))
