"""Doubles of DNS providers' APIs: small real web servers that keep zones and enforce the rules of the API.

    with Cloudflare({"example.test": []}) as provider:
        endpoint, token = provider.endpoint, provider.token

`zones`: name → list of records as dictionaries, in the form of the API. `changed` is called with a zone's name after
each change. What the APIs refuse was taken from their documentation, and from what users report.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-of-the-tests"
_STRINGS = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Provider:
    token = TOKEN
    page_size = 2
    """Smaller than what clients ask for, so that there are pages."""

    def __init__(self, zones, changed=lambda zone: None):
        self.zones = {name: list(records) for name, records in zones.items()}
        self.changed = changed
        self.requests = []
        self.answers = []
        """Instead of the next true answers: (status, octets)."""
        self._ids = count(1)
        self._lock = threading.Lock()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.prefix}"

    def __enter__(self):
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self):
                length = int(self.headers.get("Content-Length", 0))
                status, octets = provider._answer(self.command, self.path, self.headers, self.rfile.read(length))
                self.send_response(status)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # the names of http.server

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, method, target, headers, octets):
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self._lock:
            self.requests.append((method, target))
            if self.answers:
                return self.answers.pop(0)
            try:
                if headers["Authorization"] != f"Bearer {self.token}":
                    raise Refused(*self.unauthorized)
                assert parts.path.startswith(self.prefix), parts.path
                words = parts.path.removeprefix(self.prefix).strip("/").split("/")
                body = json.loads(octets) if octets else None
                status, document = self.answer(method, words, query, body)
            except Refused as refused:
                status, document = refused.status, self.refusal(refused)
        return status, b"" if document is None else json.dumps(document).encode()

    def page(self, found, query):
        """Give one page of what was found, its number and how many there are."""
        size = min(int(query.get("per_page", 20)), self.page_size)
        number = int(query.get("page", 1))
        return found[(number - 1) * size : number * size], number, max(-(-len(found) // size), 1)

    def new_id(self):
        return next(self._ids)


class Cloudflare(Provider):
    prefix = "/client/v4"
    unauthorized = (403, 9109, "Invalid access token")

    def refusal(self, refused):
        error = {"code": refused.code, "message": refused.message}
        return {"success": False, "errors": [error], "messages": [], "result": None}

    def answer(self, method, words, query, body):
        if words == ["zones"]:
            if "_" in query.get("name", ""):
                raise Refused(400, 1001, "Invalid zone name")
            names = [name for name in self.zones if query.get("name", name) == name]
            return 200, self._page([{"id": self._id(name), "name": name, "status": "active"} for name in names], query)
        if len(words) < 3 or words[0] != "zones" or words[2] != "dns_records":
            raise Refused(400, 7003, "Could not route")
        zone = next((name for name in self.zones if self._id(name) == words[1]), None)
        if zone is None:
            raise Refused(403, 10000, "Authentication error")
        records = self.zones[zone]
        if method == "GET":
            found = [
                each
                for each in records
                if query.get("name", each["name"]) == each["name"] and query.get("type", each["type"]) == each["type"]
            ]
            return 200, self._page(found, query)
        if method == "POST":
            record = self._record(zone, body, records)
            record["id"] = f"{self.new_id():032x}"
            records.append(record)
        else:
            old = next((each for each in records if each["id"] == words[3]), None)
            if old is None:
                raise Refused(404, 81044, "Record does not exist.")
            if method == "PUT":
                record = self._record(zone, body, [each for each in records if each is not old])
                records[records.index(old)] = record | {"id": old["id"]}
            else:
                records.remove(old)
                record = {"id": old["id"]}
        self.changed(zone)
        return 200, {"success": True, "errors": [], "messages": [], "result": record}

    @staticmethod
    def _id(name):
        return name.encode().hex()[:32]

    def _page(self, found, query):
        result, number, page_count = self.page(found, query)
        info = {"page": number, "total_pages": page_count, "count": len(result), "total_count": len(found)}
        return {"success": True, "errors": [], "messages": [], "result": result, "result_info": info}

    def _record(self, zone, body, others):
        record = dict(body)
        name, kind = record["name"], record["type"]
        if name != zone and not name.endswith(f".{zone}"):
            raise Refused(400, 9000, "DNS name is invalid.")
        if record["ttl"] != 1 and not 60 <= record["ttl"] <= 86400:
            raise Refused(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
        if kind in {"SRV", "CAA", "TLSA"}:
            record["content"] = self._content_of_data(kind, record)
        elif "data" in record:
            raise Refused(400, 9005, f"Content for {kind} record is invalid.")
        if kind == "TXT":
            pieces = _STRINGS.findall(record["content"])
            if _STRINGS.sub("", record["content"]).strip() or any(
                len(re.sub(r"\\(.)", r"\1", piece)) > 255 for piece in pieces
            ):
                raise Refused(400, 9207, "Content for TXT record is invalid.")
        if kind in {"A", "AAAA"}:
            (IPv4Address if kind == "A" else IPv6Address)(record["content"])
        if kind == "MX" and not isinstance(record.get("priority"), int):
            raise Refused(400, 9103, "Invalid priority")
        beside = [each for each in others if each["name"] == name]
        if any(each["type"] == kind and each["content"] == record["content"] for each in beside):
            raise Refused(400, 81058, "An identical record already exists.")
        if any("CNAME" in {kind, each["type"]} for each in beside):
            raise Refused(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
        return record

    @staticmethod
    def _content_of_data(kind, record):
        if "content" in record or not isinstance(record.get("data"), dict):
            raise Refused(400, 9101, f"{kind} records need data")
        data = record["data"]
        numbers = {
            "SRV": ("priority", "weight", "port"),
            "CAA": ("flags",),
            "TLSA": ("usage", "selector", "matching_type"),
        }
        texts = {"SRV": ("target",), "CAA": ("tag", "value"), "TLSA": ("certificate",)}
        if set(data) != {*numbers[kind], *texts[kind]} or not all(
            isinstance(data[each], int) for each in numbers[kind]
        ):
            raise Refused(400, 9101, f"{kind} data is invalid")
        return " ".join(str(data[each]) for each in (*numbers[kind], *texts[kind]))


class DigitalOcean(Provider):
    prefix = "/v2"
    unauthorized = (401, "unauthorized", "Unable to authenticate you")

    def refusal(self, refused):
        return {"id": refused.code, "message": refused.message, "request_id": "0"}

    def answer(self, method, words, query, body):
        if len(words) == 2 and "_" in words[1]:
            raise Refused(422, "unprocessable_entity", "Name is invalid")
        if words[0] != "domains" or len(words) < 2 or words[1] not in self.zones:
            raise Refused(404, "not_found", "The resource you were accessing could not be found.")
        zone = words[1]
        records = self.zones[zone]
        if len(words) == 2:
            return 200, {"domain": {"name": zone, "ttl": 1800, "zone_file": ""}}
        if method == "GET":
            found = [
                each
                for each in records
                if query.get("name", self._whole(each, zone)) == self._whole(each, zone)
                and query.get("type", each["type"]) == each["type"]
            ]
            result, number, page_count = self.page(found, query)
            following = {"next": f"{self.endpoint}/domains/{zone}/records?page={number + 1}"}
            links = {"pages": following} if number < page_count else {}
            return 200, {"domain_records": result, "links": links, "meta": {"total": len(found)}}
        if method == "POST":
            record = self._record(zone, body) | {"id": self.new_id()}
            records.append(record)
            status, document = 201, {"domain_record": record}
        else:
            old = next((each for each in records if str(each["id"]) == words[3]), None)
            if old is None:
                raise Refused(404, "not_found", "The resource you were accessing could not be found.")
            if method == "PUT":
                records[records.index(old)] = self._record(zone, body) | {"id": old["id"]}
                status, document = 200, {"domain_record": old}
            else:
                records.remove(old)
                status, document = 204, None
        self.changed(zone)
        return status, document

    @staticmethod
    def _whole(record, zone):
        return zone if record["name"] == "@" else f"{record['name']}.{zone}"

    def _record(self, zone, body):
        record = {"priority": None, "port": None, "weight": None, "flags": None, "tag": None} | body
        kind, data = record["type"], record["data"]
        if kind not in {"A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT"}:
            raise Refused(422, "unprocessable_entity", "Type is not included in the list")
        if record["name"] == zone or record["name"].endswith(f".{zone}"):
            raise Refused(422, "unprocessable_entity", "Name is doubled")
        if record["ttl"] < 30:
            raise Refused(422, "unprocessable_entity", "Ttl must be greater than or equal to 30")
        if kind in {"CNAME", "MX", "NS", "SRV"} or (kind == "CAA" and record["tag"] != "iodef"):
            if not data.endswith("."):
                raise Refused(422, "unprocessable_entity", "Data needs to end with a dot (.)")
            record["data"] = data.removesuffix(".") or "."
            if record["data"] == zone:
                record["data"] = "@"
        needed = {"MX": ("priority",), "SRV": ("priority", "weight", "port"), "CAA": ("flags",)}.get(kind, ())
        if not all(isinstance(record[each], int) for each in needed):
            raise Refused(422, "unprocessable_entity", "A number is missing")
        return record
