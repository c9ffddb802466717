"""Every page of the console against every role: the table is written out again here, so that a change is made twice."""

from daemon.auth.permissions import ROLES
from daemon.web.console.app import PAGES
from daemon.web.console.gate import ANYBODY
from tests.helpers.console import console_house

ALL = set(ROLES)
LOOKS = {"admin", "operator", "read-only"}
SEES_PEOPLE = LOOKS | {"billing"}
ADMIN = {"admin"}

ALLOWED = {
    ("GET", "/console/sign-in"): ANYBODY,
    ("POST", "/console/sign-in"): ANYBODY,
    ("GET", "/console/set-up"): ANYBODY,
    ("POST", "/console/set-up"): ANYBODY,
    ("POST", "/console/language"): ANYBODY,
    ("POST", "/console/sign-out"): ALL,
    ("POST", "/console/sign-out-everywhere"): ALL,
    ("GET", "/console"): ALL,
    ("GET", "/console/me"): ALL,
    ("GET", "/console/people"): SEES_PEOPLE,
    ("GET", "/console/people/new"): ADMIN,
    ("POST", "/console/people/new"): ADMIN,
    ("GET", "/console/people/by-name/{name}"): SEES_PEOPLE,
    ("GET", "/console/people/{id}"): SEES_PEOPLE,
    ("POST", "/console/people/{id}/change"): ADMIN,
    ("POST", "/console/people/{id}/unlock"): {"admin", "operator"},
    ("POST", "/console/people/{id}/disable"): ADMIN,
    ("POST", "/console/people/{id}/enable"): ADMIN,
    ("POST", "/console/people/{id}/pin"): ADMIN,
    ("POST", "/console/people/{id}/link"): ADMIN,
    ("POST", "/console/people/{id}/roles"): ADMIN,
    ("POST", "/console/people/{id}/adjust"): {"admin", "billing"},
    ("POST", "/console/people/{id}/cards"): ADMIN,
    ("POST", "/console/people/{id}/cards/{card}/describe"): ADMIN,
    ("POST", "/console/people/{id}/cards/{card}/block"): {"admin", "operator"},
    ("POST", "/console/people/{id}/cards/{card}/unblock"): ADMIN,
    ("POST", "/console/people/{id}/cards/{card}/remove"): ADMIN,
    ("POST", "/console/me/cards/{card}/block"): ALL,
    ("GET", "/console/jobs"): LOOKS,
    ("GET", "/console/jobs/{id}"): LOOKS,
    ("POST", "/console/jobs/{id}/cancel"): {"admin", "operator"},
    ("GET", "/console/jobs/{id}/decide"): {"admin", "operator"},
    ("POST", "/console/jobs/{id}/decide"): {"admin", "operator"},
    ("GET", "/console/terminals"): LOOKS,
    ("GET", "/console/terminals/new"): ADMIN,
    ("POST", "/console/terminals/new"): ADMIN,
    ("GET", "/console/terminals/{id}"): LOOKS,
    ("POST", "/console/terminals/{id}/change"): ADMIN,
    ("POST", "/console/terminals/{id}/code"): ADMIN,
    ("POST", "/console/terminals/{id}/revoke"): ADMIN,
    ("POST", "/console/terminals/{id}/ask"): {"admin", "operator"},
    ("GET", "/console/printers"): LOOKS,
    ("GET", "/console/printers/new"): ADMIN,
    ("POST", "/console/printers/new"): ADMIN,
    ("GET", "/console/printers/{id}"): LOOKS,
    ("POST", "/console/printers/{id}/remove"): ADMIN,
    ("GET", "/console/audit"): ADMIN,
    ("GET", "/console/settings"): ADMIN,
    ("GET", "/console/tokens"): ADMIN,
    ("POST", "/console/tokens"): ADMIN,
    ("POST", "/console/tokens/revoke"): ADMIN,
}
PUBLIC_MAX = 6
LEAVING = ("/console/sign-out", "/console/sign-out-everywhere")


def test_the_table_is_whole():
    """Every page stands in it and nothing else; few answer strangers."""
    assert {(page.method, page.path) for page in PAGES} == set(ALLOWED)
    assert sum(allowed == ANYBODY for allowed in ALLOWED.values()) <= PUBLIC_MAX


def _address(path: str) -> str:
    return path.replace("{id}", "aaaaaaaaaaaaaaaaaaaaaaaaaa").replace("{name}", "nobody").replace("{card}", "b" * 26)


async def test_every_page_for_every_role_and_for_strangers(tmp_path):
    """403 exactly where the table does not allow, before anything is looked up; strangers are sent to sign in."""
    async with console_house(tmp_path) as house:
        stranger = house.visitor()
        for (method, path), allowed in ALLOWED.items():
            answer = await stranger.client.request(method, _address(path), headers=stranger.headers)
            if allowed != ANYBODY:
                assert (answer.status_code, answer.headers["location"][:16]) == (303, "/console/sign-in"), path
        for role in (*ROLES, ""):
            visitor = await house.signed_in(f"person-{role}", *([role] if role else []))
            token = await visitor.token()
            for (method, path), allowed in ALLOWED.items():
                if allowed == ANYBODY or path in LEAVING:
                    continue
                data = {"form_token": token} if method == "POST" else None
                answer = await visitor.client.request(method, _address(path), data=data, headers=visitor.headers)
                may = role in allowed or (allowed == ALL and not role)
                assert (answer.status_code != 403) == may, (role, method, path, answer.status_code)
                assert answer.status_code < 500, (role, method, path)


async def test_the_navigation_shows_what_the_role_may_open(tmp_path):
    """No link in the header leads to a refusal, for any role."""
    async with console_house(tmp_path) as house:
        for role in (*ROLES, ""):
            visitor = await house.signed_in(f"person-{role}", *([role] if role else []))
            page = await visitor.get("/console")
            header = page.text.partition("</header>")[0]
            links = [part.partition('"')[0] for part in header.split('href="')[1:] if part.startswith("/console")]
            assert "/console/me" in links
            for link in links:
                assert (await visitor.client.get(link)).status_code in (200, 303), (role, link)


async def test_looking_changes_nothing(tmp_path):
    """Every GET, by an administrator, leaves every table as it was but the session's own idle end."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        bert = await house.person("bert")
        tables = [
            row["name"]
            for row in await house.parts.db.read("SELECT name FROM sqlite_schema WHERE type='table'")
            if row["name"] != "console_session" and not row["name"].startswith("sqlite_")
        ]

        async def content() -> dict[str, str]:
            return {
                name: str([dict(row) for row in await house.parts.db.read(f"SELECT * FROM {name}")]) for name in tables
            }

        await visitor.get("/console/me")
        before = await content()
        for method, path in ALLOWED:
            if method == "GET":
                await visitor.get(path.replace("{id}", bert.public_id).replace("{name}", "bert"))
        assert await content() == before
