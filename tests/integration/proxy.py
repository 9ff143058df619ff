"""A network that can be cut: TCP links on loopback between a client and a server, each held, slowed, broken or shut at will.

A held link loses nothing: what was sent arrives when it is let go, as TCP's own repetition does after a cut cable; so a
request may take effect long after its sender was given up. Held only towards the client, requests take effect and
replies stay away. One thread runs all links; the methods of Link may be called from any other.
"""
import asyncio
import threading

CHUNK = 1 << 16
TO_SERVER, TO_CLIENT = 0, 1


class Network:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.links = []

    def link(self, port, target):
        """From 127.0.0.1:port to 127.0.0.1:target."""
        link = Link(self, port, target)
        self.call(link.open())
        self.links.append(link)
        return link

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def close(self):
        for link in self.links:
            link.reset()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)


class Link:
    def __init__(self, network, port, target):
        self.network, self.port, self.target = network, port, target
        self.delay = 0.0  # seconds that each portion waits: a long way, and a narrow one
        self.refusing = False
        self.gates = None
        self.transports = set()

    async def open(self):
        self.gates = [asyncio.Event(), asyncio.Event()]
        for gate in self.gates:
            gate.set()
        await asyncio.start_server(self.serve, "127.0.0.1", self.port, limit=CHUNK)

    async def serve(self, reader, writer):
        mine = {writer.transport}
        self.transports |= mine
        try:
            if self.refusing:
                return
            await self.gates[TO_SERVER].wait()
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=CHUNK)
            mine.add(server_writer.transport)
            self.transports |= mine
            pumps = [asyncio.ensure_future(self.pump(reader, server_writer, TO_SERVER)),
                     asyncio.ensure_future(self.pump(server_reader, writer, TO_CLIENT))]
            _, others = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for other in others:
                other.cancel()
        except OSError:  # the server is away: so is the link
            pass
        finally:
            for transport in mine:
                transport.close()  # what is on its way out still goes, unless reset() was first
            self.transports -= mine

    async def pump(self, reader, writer, direction):
        try:
            while data := await reader.read(CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self.gates[direction].wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass

    def hold(self, *directions):
        """Nothing arrives until release(); without a direction named, both."""
        for direction in directions or (TO_SERVER, TO_CLIENT):
            self.network.loop.call_soon_threadsafe(self.gates[direction].clear)

    def release(self):
        for gate in self.gates:
            self.network.loop.call_soon_threadsafe(gate.set)

    def reset(self):
        """Every connection breaks at once; what was held is lost."""
        self.network.loop.call_soon_threadsafe(lambda: [transport.abort() for transport in list(self.transports)])

    def refuse(self, refusing):
        self.refusing = refusing
        if refusing:
            self.reset()

    def slow(self, seconds):
        self.delay = seconds
