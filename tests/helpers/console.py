"""The console over real https: a whole office with its doors open, people with roles, and browsers of two kinds.

`Visitor` is a browser without script: it keeps cookies, reads forms and sends them back. Chromium is in `browser.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import re
import ssl

import httpx

from daemon.app.doors import Doors
from daemon.app.parts import open_parts
from daemon.app.verbs import build_verbs
from daemon.checks import check_installation
from daemon.system import SystemClock, SystemDice
from tests.helpers.office import Office
from tests.helpers.running import free_base

PASSWORD = "tinned peaches at nine"
_FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)
_ATTRIBUTE = re.compile(r'([\w-]+)(?:="([^"]*)")?')
_FIELD = re.compile(r"<input\b([^>]*)>|<select\b([^>]*)>(.*?)</select>", re.DOTALL)


def attributes(text: str) -> dict[str, str]:
    """Name -> value of a tag's attributes, unescaped."""
    return {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(text)}


def _selected(options: str) -> str:
    found = [attributes(tag) | {"text": text} for tag, text in re.findall(r"<option\b([^>]*)>([^<]*)", options)]
    chosen = next((one for one in found if "selected" in one), found[0] if found else {})
    return chosen.get("value", chosen.get("text", ""))


class Answer:
    """A page as a person without script meets it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.status = response.status_code
        self.text = response.text
        self.headers = response.headers

    @property
    def words(self) -> str:
        """What is there to be read, on one line."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.text)).split())

    @property
    def heading(self) -> str:
        found = re.search(r"<h1>(.*?)</h1>", self.text, re.DOTALL)
        return html.unescape(found[1].strip()) if found else ""

    def form(self, action: str) -> dict[str, str]:
        """The fields of the form that posts to `action` as they would be sent untouched."""
        known = [(attributes(tag), body) for tag, body in _FORM.findall(self.text)]
        for tag, body in known:
            if (tag.get("action"), tag.get("method")) == (action, "post"):
                return _fields(body)
        raise AssertionError(f"no form to {action} in {self.heading!r}: {[tag.get('action') for tag, _ in known]}")


def _fields(body: str) -> dict[str, str]:
    sent = {}
    for field, select, options in _FIELD.findall(body):
        one = attributes(field or select)
        is_off = one.get("type") in ("checkbox", "radio") and "checked" not in one
        if "name" in one and not is_off:
            sent[one["name"]] = _selected(options) if select else one.get("value", "")
    return sent


class Visitor:
    """A browser without script."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self.url = url
        self.client = httpx.AsyncClient(base_url=url, verify=context, follow_redirects=False)
        self.headers = {"sec-fetch-site": "same-origin", "origin": url}

    async def get(self, path: str, **more) -> Answer:
        """One page, redirects followed."""
        return Answer(await self.client.get(path, follow_redirects=True, **more))

    async def post(
        self, path: str, data: dict | None = None, *, follow: bool = True, headers: dict | None = None
    ) -> Answer:
        """A form, sent as our own page sends it."""
        sent = headers if headers is not None else self.headers
        return Answer(await self.client.post(path, data=data or {}, headers=sent, follow_redirects=follow))

    async def send(self, page: Answer, action: str, **fields: object) -> Answer:
        """Fill the form to `action` on a page and send it."""
        return await self.post(action, {**page.form(action), **fields})

    async def sign_in(self, login: str, password: str = PASSWORD) -> Answer:
        return await self.post("/console/sign-in", {"login": login, "password": password})

    async def token(self) -> str:
        """What this session's forms carry."""
        return (await self.get("/console/me")).form("/console/sign-out")["form_token"]


class ConsoleHouse:
    """An office whose doors are open."""

    def __init__(self, office: Office, base: int) -> None:
        self.office = office
        self.parts = office.parts
        self.verbs = office.verbs
        self.url = f"https://localhost:{base + 2}"
        self.context = ssl.create_default_context(cafile=str(office.parts.tls.ca_cert))
        self.visitors: list[Visitor] = []

    def visitor(self) -> Visitor:
        """Somebody new, signed in nowhere."""
        one = Visitor(self.url, self.context)
        self.visitors.append(one)
        return one

    async def person(self, name: str, *roles: str, password: str = PASSWORD, **draft):
        """A person with these roles and a password."""
        draft.setdefault("email", f"{name}@example.org")
        draft.setdefault("display_name", name.title())
        return await self.office.hire(name, roles=roles, password=password, **draft)

    async def signed_in(self, name: str, *roles: str, **draft) -> Visitor:
        """A new person with these roles, at a browser."""
        await self.person(name, *roles, **draft)
        visitor = self.visitor()
        answer = await visitor.sign_in(name)
        assert answer.status == 200, answer.words
        return visitor

    async def has_setup_token(self) -> bool:
        """Whether the token of `init` still opens the API."""
        return any(one.name == "setup" and one.revoked_at_us is None for one in await self.parts.tokens.list())

    async def audit(self, action: str) -> list[tuple[str, str, str]]:
        """(actor, subject, detail) of every entry of an action, oldest first."""
        rows = await self.parts.db.read(
            "SELECT actor, subject, detail FROM audit WHERE action=:a ORDER BY id", a=action
        )
        return [(row["actor"], row["subject"], row["detail"]) for row in rows]


@contextlib.asynccontextmanager
async def console_house(tmp_path, *, config: str = "", reads_documents: bool = False, **policy):
    """A new installation with https open; `reads_documents` starts what reads and prints jobs too."""
    base = free_base()
    config = f"[server]\nbase_port = {base}\n{config}"
    office = await asyncio.to_thread(Office.make, tmp_path / "state", config=config)
    if reads_documents:
        await office.open(**policy)
    else:
        checked = check_installation(office.state / "holdfast.toml", environment={})
        office.parts = await open_parts(checked.settings, checked.tariffs, clock=SystemClock(), dice=SystemDice())
        office.verbs = build_verbs(office.parts)
    doors = Doors(office.parts, office.verbs, sockets={})
    house = ConsoleHouse(office, base)
    try:
        await office.parts.sign_in.start()
        await doors.open()
        yield house
    finally:
        for visitor in house.visitors:
            await visitor.client.aclose()
        await doors.close()
        await (office.close() if reads_documents else office.parts.close())
        for device in office.printers.values():
            await device.close()
