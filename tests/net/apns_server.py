"""Apple's push service as a small real server: HTTP/2 over TLS, with the sender's certificate verified."""

import asyncio
import contextlib
import json
import ssl
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings


@dataclass
class Notice:
    """What came in one request."""

    path: str
    fields: dict[str, str]
    body: bytes
    topic: str
    """UID of the certificate that was shown."""
    connection: int

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class ApnsServer:
    """Notes requests; answers with `answers` in turn, and 200 after them.

    An answer is a status with a reason; ``goodbye`` before it closes the connection instead; ``silence`` never answers.
    """

    answers: list = field(default_factory=list)
    notices: list = field(default_factory=list)
    writers: list = field(default_factory=list)
    connection_count: int = 0
    streams_max: int = 100
    held: int = 0
    """How many requests are to be there before any is answered."""

    async def start(self, context, authority_file):
        context.set_alpn_protocols(["h2"])
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority_file)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self._server.close()
        self.hang_up()

    def hang_up(self):
        """End all connections."""
        writers, self.writers = self.writers, []
        for each in writers:
            each.close()

    async def _serve(self, reader, writer):
        self.connection_count += 1
        number = self.connection_count
        self.writers.append(writer)
        subject = writer.get_extra_info("peercert")["subject"]
        topic = next((value for ((name, value),) in subject if name in {"userId", "UID"}), "")
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        http.initiate_connection()
        http.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self.streams_max})
        writer.write(http.data_to_send())
        streams, waiting = {}, []
        with contextlib.suppress(ConnectionError, RuntimeError, ssl.SSLError, h2.exceptions.ProtocolError):
            while octets := await reader.read(65536):
                for event in http.receive_data(octets):
                    if isinstance(event, h2.events.RequestReceived):
                        streams[event.stream_id] = (dict(event.headers), bytearray())
                    elif isinstance(event, h2.events.DataReceived):
                        streams[event.stream_id][1].extend(event.data)
                        http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        headers, body = streams.pop(event.stream_id)
                        self.notices.append(Notice(headers[":path"], headers, bytes(body), topic, number))
                        waiting.append(event.stream_id)
                if len(self.notices) >= self.held:
                    for stream_id in waiting:
                        self._answer(http, stream_id, writer)
                    waiting.clear()
                writer.write(http.data_to_send())
                await writer.drain()
        writer.close()

    def _answer(self, http, stream_id, writer):
        answer = self.answers.pop(0) if self.answers else (200, "")
        if answer == "silence":
            return
        if answer == "goodbye":
            self.notices.pop()
            http.close_connection(last_stream_id=0)
            writer.write(http.data_to_send())
            writer.close()
            return
        if answer == "cut":
            self.notices.pop()
            writer.close()
            return
        status, reason = answer
        http.send_headers(stream_id, [(":status", str(status)), ("apns-id", "x")], end_stream=not reason)
        if reason:
            octets = reason if isinstance(reason, bytes) else json.dumps({"reason": reason}).encode()
            for at in range(0, len(octets), 16384):
                http.send_data(stream_id, octets[at : at + 16384], end_stream=at + 16384 >= len(octets))
