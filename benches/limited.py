"""A door before a registry that lets so many bytes a second out, over all connections: a slow line.

Not here: delay and loss.
"""

import asyncio
import contextlib
import threading
import time

PIECE = 64 << 10
# How long the line may have been idle and still make up for it: sleeps that are too long must not slow down who has one connection.
CREDIT = 0.05


class Door(threading.Thread):
    """A port of loopback that leads to `host`, open as long as the block; answers come at `rate` bytes a second at most."""

    def __init__(self, host, rate):
        super().__init__(daemon=True)
        self.behind, self.rate = host.split(":"), rate
        self.free_at, self.open = 0.0, threading.Event()

    def __enter__(self):
        self.start()
        self.open.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.over.set)
        self.join()

    def run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.host = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        self.open.set()
        await self.over.wait()
        server.close()

    async def _connection(self, reader, writer):
        with contextlib.suppress(ConnectionError):
            answers, requests = await asyncio.open_connection(*self.behind)
            await asyncio.gather(self._carry(reader, requests, False), self._carry(answers, writer, True))

    async def _carry(self, reader, writer, slowly):
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(PIECE):
                if slowly:
                    await self._wait_for(len(piece))
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def _wait_for(self, byte_count):
        """Pieces go one after the other, each when the line would have carried those before it."""
        begins = max(self.free_at, time.monotonic() - CREDIT)
        self.free_at = begins + byte_count / self.rate
        await asyncio.sleep(max(0.0, self.free_at - time.monotonic()))
