"""A stand-in for the daemon's terminal API: in memory, over real HTTPS, with real signatures checked.

It says it is a stand-in (`Server: holdfast-stand-in`). It exists to put the kiosk into situations a real daemon reaches
only with effort (a jam after two pages, a second too little money, silence) and to draw every screen. What the real
daemon does is tested against the real daemon.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import json
import socket
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from daemon.wire import signing
from daemon.wire.messages import PREFIX

UTC = dt.UTC


def amount(cents: int, unit: str = "EUR") -> dict[str, Any]:
    """Money in hundredths, as the API writes it."""
    return (
        {"unit": unit, "amount": cents * 100, "scale": 4}
        if unit == "EUR"
        else {"unit": unit, "amount": cents, "scale": 0}
    )


def at(minutes: float = 0) -> str:
    """RFC 3339, so many minutes from now."""
    return (dt.datetime.now(UTC) + dt.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(job_id: str, title: str, pages: int, **over: Any) -> dict[str, Any]:
    """One held job; colour costs 20 cents a page, grey 5."""
    base: dict[str, Any] = {
        "job_id": job_id, "title": title, "pages": pages, "impressions": pages, "color_impressions": 0, "sheets": pages,
        "copies": 1, "sides": "one-sided", "print_color_mode": "auto", "media": "iso_a4_210x297mm", "price": None,
        "state": "pending-held", "reasons": ["job-held-for-release"], "created_at": at(-7), "held_until": at(23 * 60),
        "preparing": False, "problem": None, "needs_code": False, "uncertain": False, "preview": False,
        "may": {"monochrome": over.get("color_impressions", 0) > 0, "two_sided": pages > 1, "fewer_copies": over.get("copies", 1) > 1},
    }  # fmt: skip
    base.update(over)
    base["impressions"] = base["pages"] * base["copies"]
    base["color_impressions"] *= base["copies"]
    base["price"] = price(base, {})
    return base


def price(one: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """The stand-in's tariff: 20 cents colour, 5 grey, a cent less per two-sided page."""
    copies = change.get("copies", one["copies"])
    per_copy_colour = 0 if change.get("print_color_mode") == "monochrome" else one["color_impressions"] // one["copies"]
    pages = one["pages"]
    duplex = change.get("sides", one["sides"]) != "one-sided"
    return amount(copies * (per_copy_colour * 20 + (pages - per_copy_colour) * 5 - (pages if duplex else 0)))


@dataclass
class FakePerson:
    """PIN, password, what they have in cents, their jobs."""

    pin: str
    password: str
    display_name: str
    language: str = "en"
    balance: int = 1250
    card: str = ""
    cards: list[str] = field(default_factory=list)
    release_on_tap: bool = False
    jobs: list[dict[str, Any]] = field(default_factory=list)


class FakeDaemon:
    """`await start()`, then it serves until `stop()`; `start()` again comes back on the same port."""

    def __init__(self, *, policy: str = "card+password", idle_s: int = 30, countdown_s: int = 20) -> None:
        self.people: list[FakePerson] = []
        self.printers = [
            {
                "printer_id": "p1",
                "name": "Second floor",
                "state": "idle",
                "reasons": [],
                "accepting": True,
                "location": "Copy room 2.14",
            }
        ]
        self.policy, self.idle_s, self.countdown_s = policy, idle_s, countdown_s
        self.code = signing.EnrolCode("7KQ4", "M2XN8RTV")
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.releases: dict[str, dict[str, Any]] = {}
        self.codes: dict[str, str] = {}
        self.refuse: dict[str, tuple[int, dict[str, Any]]] = {}
        self.page_s = 0.15
        self.jam_after: int | None = None
        self.silent = False
        self.lose_release_answers = 0
        self.session_s = 0.05
        self.may_link, self.cards_max, self.mailed_code = False, 2, False
        self.cost_cap: dict[str, Any] | None = None
        self.opens_at: str | None = None
        self.answers: dict[str, str] = {}
        self.preferences: list[bool] = []
        self._methods: dict[str, str] = {}
        self._sessions: dict[str, FakePerson] = {}
        self._terminals: dict[str, Ed25519PublicKey] = {}
        self._windows: dict[str, signing.ReplayWindow] = {}
        self._streams: set[asyncio.Queue[tuple[str, dict[str, Any]]]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = 0
        self._dir = tempfile.TemporaryDirectory(prefix="holdfast-stand-in-")
        self.ca_pem, self._spki = _certificates(Path(self._dir.name))
        self._key = signing.code_key(self.code)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    async def start(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        here = Path(self._dir.name)
        config = uvicorn.Config(
            Starlette(routes=[Route(PREFIX + "/{what:path}", self._serve, methods=["GET", "POST"]), Route("/healthz", self._health)]),
            http="h11", ws="none", lifespan="off", log_config=None, server_header=False,
            headers=[("server", "holdfast-stand-in")], ssl_certfile=here / "leaf.pem", ssl_keyfile=here / "leaf.key", timeout_graceful_shutdown=0,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
        self._running = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """As a killed process: every connection breaks at once."""
        self._server.should_exit = self._server.force_exit = True
        for queue in self._streams:
            queue.put_nowait(("end", {}))
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        await self._running

    async def close(self) -> None:
        if self._server.started and not self._running.done():
            await self.stop()
        for task in self._tasks:
            task.cancel()
        self._dir.cleanup()

    def tell(self, name: str, data: dict[str, Any]) -> None:
        """Say something on every stream."""
        for queue in self._streams:
            queue.put_nowait((name, data))

    # ----- requests -----
    async def _health(self, _request: Request) -> Response:
        while self.silent:
            await asyncio.sleep(0.05)
        return JSONResponse({"ok": True})

    async def _serve(self, request: Request) -> Response:
        while self.silent:
            await asyncio.sleep(0.05)
        what, body = request.path_params["what"], await request.body()
        data = json.loads(body) if body else {}
        if what == "enrol":
            return self._enrol(data)
        refusal = self._signature_problem(request, body)
        if refusal:
            return _no(401, refusal)
        self.calls.append((what, data))
        if what in self.refuse:
            status, error = self.refuse[what]
            return JSONResponse({"error": error}, status)
        if what == "heartbeat":
            return self._heartbeat()
        if what == "command":
            self.answers[data["command_id"]] = data["answer"]
            return JSONResponse({})
        if what == "code":
            return JSONResponse({"expires_at": at(10)})
        if what == "session":
            return await self._session(data)
        if what == "events":
            return StreamingResponse(self._events(), media_type="text/event-stream")
        token = request.headers.get(signing.HEADER_SESSION, "")
        person = self._sessions.get(token)
        if person is None:
            return _no(401, "session-ended")
        if what == "logout":
            del self._sessions[token]
            return JSONResponse({})
        if what == "step-up":
            return self._raise(token, person, data)
        handler = getattr(self, "_" + what.split("/")[0])
        return await handler(person, data, token)

    def _heartbeat(self) -> Response:
        return JSONResponse(
            {
                "now": at(),
                "name": "Copy room",
                "policy": self.policy,
                "printers": self.printers,
                "languages": ["en", "de", "fr", "es", "ar"],
                "idle_s": self.idle_s,
                "countdown_s": self.countdown_s,
                "enrolment": {"link": self.may_link, "mailed_code": self.mailed_code},
                "open": self.opens_at is None,
                "opens_at": self.opens_at,
                "notice": "",
            }
        )

    def _signature_problem(self, request: Request, body: bytes) -> str | None:
        head = request.headers
        key = self._terminals.get(head.get(signing.HEADER_TERMINAL, ""))
        if key is None:
            return "terminal-unknown"
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        counter = int(head[signing.HEADER_COUNTER])
        message = signing.signing_input(
            method=request.method, target=target, body=body, time_us=int(head[signing.HEADER_TIME]), counter=counter
        )
        try:
            key.verify(base64.b64decode(head[signing.HEADER_SIGNATURE]), message)
        except InvalidSignature:
            return "bad-signature"
        window = self._windows.get(head[signing.HEADER_TERMINAL], signing.ReplayWindow()).accept(counter)
        if window is None:
            return "replayed"
        self._windows[head[signing.HEADER_TERMINAL]] = window
        return None

    def _enrol(self, data: dict[str, Any]) -> Response:
        public = base64.b64decode(data["public_key"])
        wanted = signing.terminal_proof(self._key, public_key=public, server_key_sha256=self._spki)
        if data["locator"] != self.code.locator or not signing.is_same_proof(wanted, base64.b64decode(data["proof"])):
            return _no(401, "enrolment-failed")
        self._terminals["t1"] = Ed25519PublicKey.from_public_bytes(public)
        proof = signing.daemon_proof(
            self._key, public_key=public, server_key_sha256=self._spki, ca_pem=self.ca_pem, terminal_id="t1"
        )
        return JSONResponse(
            {"terminal_id": "t1", "name": "Copy room", "ca_pem": self.ca_pem, "proof": base64.b64encode(proof).decode()}
        )

    async def _session(self, data: dict[str, Any]) -> Response:
        await asyncio.sleep(self.session_s)
        method = "password"
        if "raw" in data:
            person = next((p for p in self.people if data["raw"] in (p.card, *p.cards)), None)
            if person is None and self.may_link:
                error = {"code": "sign-in-failed", "message": "", "link": "link-" + data["raw"]}
                return JSONResponse({"error": error}, 401)
            if person is not None and self.policy == "card+password":
                return JSONResponse({"password_needed": True, "ticket": "ticket-" + person.pin})
            method = "card"
        elif "ticket" in data:
            person = next(
                (p for p in self.people if "ticket-" + p.pin == data["ticket"] and p.password == data["password"]), None
            )
        else:
            person = next((p for p in self.people if p.pin == data["pin"] and self._knows(p, data)), None)
        if person is None:
            return _no(401, "sign-in-failed")
        token = "secret-session-" + person.pin
        self._sessions[token] = person
        return JSONResponse(self._session_of(token, person, method, str(data.get("reader", ""))))

    @staticmethod
    def _knows(person: FakePerson, data: dict[str, Any]) -> bool:
        return data["code"] == "246810" if "code" in data else person.password == data["password"]

    def _session_of(self, token: str, person: FakePerson, method: str, reader: str = "") -> dict[str, Any]:
        self._methods[token] = method
        is_card = method == "card"
        bound = [one["printer_id"] for one in self.printers if reader and one.get("reader") == reader]
        return {
            "session": token, "user": {"name": person.pin, "display_name": person.display_name, "language": person.language},
            "expires_at": at(5), "idle_s": 60, "password_needed": False, "method": method,
            "may": {"release": True, "delete": True, "change": True, "claim": not is_card, "link": self.may_link and not is_card, "titles": not is_card},
            "prefers": {"release_on_tap": person.release_on_tap},
            "release_on_tap": person.release_on_tap and method in ("card", "card+password"), "cost_cap": self.cost_cap if is_card else None,
            "printer_id": bound[0] if len(bound) == 1 else "",
        }  # fmt: skip

    def _raise(self, token: str, person: FakePerson, data: dict[str, Any]) -> Response:
        if data["password"] != person.password:
            return _no(401, "sign-in-failed")
        del self._sessions[token]
        self._sessions[token + "-raised"] = person
        return JSONResponse(self._session_of(token + "-raised", person, "card+password"))

    async def _link(self, person: FakePerson, data: dict[str, Any], _token: str) -> Response:
        raw = data["ticket"].removeprefix("link-")
        if len(person.cards) >= self.cards_max:
            return _no(422, "card-limit-reached")
        person.cards.append(raw)
        return JSONResponse(
            {"card_id": "c1", "label": data.get("label", ""), "cards": len(person.cards), "cards_max": self.cards_max}
        )

    async def _preferences(self, person: FakePerson, data: dict[str, Any], _token: str) -> Response:
        person.release_on_tap = data["release_on_tap"]
        self.preferences.append(person.release_on_tap)
        return JSONResponse({"release_on_tap": person.release_on_tap})

    async def _jobs(self, person: FakePerson, _data: dict[str, Any], token: str) -> Response:
        is_masked = self._methods[token] == "card"
        items = [one | ({"title": "", "masked": True} if is_masked else {}) for one in person.jobs]
        total = sum(j["price"]["amount"] for j in person.jobs if j["price"])
        return JSONResponse(
            {
                "items": items,
                "total": {"unit": "EUR", "amount": total, "scale": 4},
                "balance": amount(person.balance),
                "balance_after": None,
                "accounts": [],
                "printers": self.printers,
                "refused": {},
            }
        )

    def _quote_of(self, person: FakePerson, data: dict[str, Any]) -> dict[str, Any]:
        chosen = [j for j in person.jobs if j["job_id"] in data["job_ids"]]
        items, total, fits, left = [], 0, [], person.balance * 100
        for one in chosen:
            cost = price(one, data["changes"].get(one["job_id"], {}))
            saving = {**cost, "amount": one["price"]["amount"] - cost["amount"]}
            items.append(
                {
                    "job_id": one["job_id"],
                    "price": cost,
                    "saving": saving,
                    "sheets": one["sheets"],
                    "impressions": one["impressions"],
                    "color_impressions": one["color_impressions"],
                }
            )
            total += cost["amount"]
            if cost["amount"] <= left:
                fits.append(one["job_id"])
                left -= cost["amount"]
        enough = total <= person.balance * 100
        money = {"unit": "EUR", "scale": 4}
        return {
            "items": items,
            "total": {**money, "amount": total},
            "balance": amount(person.balance),
            "balance_after": {**money, "amount": person.balance * 100 - total},
            "enough": enough,
            "needed": {**money, "amount": total},
            "available": amount(person.balance),
            "fits": fits,
        }

    async def _quote(self, person: FakePerson, data: dict[str, Any], _token: str) -> Response:
        return JSONResponse(self._quote_of(person, data))

    async def _release(self, person: FakePerson, data: dict[str, Any], _token: str) -> Response:
        if data["key"] not in self.releases:
            refusal = self._release_refusal(person, data)
            if refusal is not None:
                return refusal
            quote = self._quote_of(person, data)
            self.releases[data["key"]] = {
                "release_id": "r1",
                "items": [{**item, "state": "pending"} for item in quote["items"]],
                "total": quote["total"],
                "balance": quote["balance_after"],
            }
            person.balance -= quote["total"]["amount"] // 100
            chosen = [j for j in person.jobs if j["job_id"] in data["job_ids"]]
            person.jobs[:] = [j for j in person.jobs if j not in chosen]
            costs = {item["job_id"]: item["price"] for item in quote["items"]}
            self._spawn(self._print(chosen, costs))
        if self.lose_release_answers:
            self.lose_release_answers -= 1
            return Response(b"not json", 200)
        return JSONResponse(self.releases[data["key"]], 202)

    def _release_refusal(self, person: FakePerson, data: dict[str, Any]) -> Response | None:  # noqa: PLR0911
        printer = next(p for p in self.printers if p["printer_id"] == data.get("printer_id", "p1"))
        if printer["state"] == "stopped":
            others = [p for p in self.printers if p["state"] != "stopped"]
            return JSONResponse(
                {"error": {"code": "printer-stopped", "message": "", "charged": False, "alternatives": others}}, 422
            )
        for one in person.jobs:
            wanted = self.codes.get(one["job_id"])
            if one["job_id"] in data["job_ids"] and wanted and data.get("codes", {}).get(one["job_id"]) != wanted:
                return JSONResponse(
                    {"error": {"code": "wrong-job-code", "message": "", "charged": False, "job_id": one["job_id"]}}, 422
                )
        quote = self._quote_of(person, data)
        if not quote["enough"]:
            return JSONResponse(
                {
                    "error": {
                        "code": "insufficient-funds",
                        "message": "",
                        "charged": False,
                        "needed": quote["needed"],
                        "available": quote["available"],
                        "fits": quote["fits"],
                    }
                },
                422,
            )
        return None

    async def _print(self, jobs: list[dict[str, Any]], costs: dict[str, Any]) -> None:
        for one in jobs:
            event = {
                "job_id": one["job_id"],
                "state": "processing",
                "reasons": ["job-printing"],
                "printed": {"impressions": 0, "sheets": 0},
                "of": {"impressions": one["impressions"]},
                "price": costs[one["job_id"]],
                "charged": None,
                "message": "",
            }
            for done in range(one["impressions"] + 1):
                if self.jam_after is not None and done >= self.jam_after:
                    self.tell(
                        "job",
                        {
                            **event,
                            "state": "processing-stopped",
                            "reasons": ["printer-stopped", "media-jam"],
                            "printed": {"impressions": done, "sheets": done},
                        },
                    )
                    while self.jam_after is not None:
                        await asyncio.sleep(0.05)
                self.tell("job", {**event, "printed": {"impressions": done, "sheets": done}})
                await asyncio.sleep(self.page_s)
            self.tell(
                "job",
                {
                    **event,
                    "state": "completed",
                    "printed": {"impressions": one["impressions"], "sheets": one["sheets"]},
                    "charged": costs[one["job_id"]],
                },
            )

    async def _delete(self, person: FakePerson, data: dict[str, Any], _token: str) -> Response:
        person.__dict__.setdefault("gone", []).extend(j for j in person.jobs if j["job_id"] in data["job_ids"])
        person.jobs[:] = [j for j in person.jobs if j["job_id"] not in data["job_ids"]]
        return JSONResponse({"undo_until": at(0.5), "job_ids": data["job_ids"]})

    async def _undo(self, person: FakePerson, data: dict[str, Any], _token: str) -> Response:
        gone = person.__dict__.get("gone", [])
        person.jobs.extend(j for j in gone if j["job_id"] in data["job_ids"])
        return JSONResponse({"job_ids": data["job_ids"]})

    async def _claim(self, person: FakePerson, data: dict[str, Any], _token: str) -> Response:
        if data["code"] != "4711":
            return _no(404, "claim-failed")
        person.jobs.append(job("claimed", "From the visitors' queue", 2))
        return JSONResponse({"job_ids": ["claimed"]})

    async def _extend(self, _person: FakePerson, _data: dict[str, Any], _token: str) -> Response:
        return JSONResponse({"expires_at": at(5)})

    async def _cancel(self, _person: FakePerson, data: dict[str, Any], _token: str) -> Response:
        self.tell(
            "job",
            {
                "job_id": data["job_id"],
                "state": "canceled",
                "reasons": [],
                "printed": {"impressions": 0, "sheets": 0},
                "price": None,
                "charged": amount(0),
                "message": "",
            },
        )
        return JSONResponse({})

    async def _events(self) -> Any:
        queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self._streams.add(queue)
        try:
            yield b"event: hello\ndata: {}\n\n"
            while True:
                try:
                    name, data = await asyncio.wait_for(queue.get(), 10)
                except TimeoutError:
                    yield b": ping\n\n"
                    continue
                if name == "end":
                    return
                yield f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
        finally:
            self._streams.discard(queue)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _no(status: int, code: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": code}}, status)


def _certificates(here: Path) -> tuple[str, bytes]:
    """A CA and a leaf for loopback, as `init` makes them."""
    now = dt.datetime.now(UTC)

    def build(name: str, key: Any, issuer: Any, signer: Any, *, ca: bool) -> Any:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )  # fmt: skip
        if not ca:
            import ipaddress

            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer, hashes.SHA256())

    ca_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = build("Stand-in CA", ca_key, None, ca_key, ca=True)
    leaf = build("localhost", leaf_key, ca.subject, ca_key, ca=False)
    pem = serialization.Encoding.PEM
    (here / "leaf.pem").write_bytes(leaf.public_bytes(pem))
    (here / "leaf.key").write_bytes(
        leaf_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    spki = leaf_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return ca.public_bytes(pem).decode(), hashlib.sha256(spki).digest()


def client_context(ca_pem: str) -> ssl.SSLContext:
    """A context that trusts the stand-in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca_pem)
    return context
