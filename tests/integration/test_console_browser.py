"""The password page in a real browser under the site's content policy: the code leaves the address and fills the form."""

from daemon.people.names import normalise
from daemon.web.console.pages import ConsoleServices, create_console
from daemon.web.door import Door
from daemon.web.https import WebServer, listen_tcp
from tests.helpers.auth_house import PASSWORD, auth_house
from tests.helpers.browser import chromium, screen


async def test_a_person_sets_a_password_from_the_mail(tmp_path):
    """Open the mailed link, see the code filled in and gone from the address, choose, read the PIN, sign in with both."""
    async with auth_house(tmp_path) as house:
        app, pages = create_console(ConsoleServices(house.credentials, normalise, 15))
        sockets = listen_tcp(["127.0.0.1"], 0)
        server = WebServer(Door({"/": app}, new_request_id=lambda: "1"), sockets)
        await server.start()
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        person = await house.add_person("anna", email="anna@example.org")
        await house.credentials.send_link(person, actor="test")
        token = house.mail.sent[-1][2]["code"]
        try:
            async with (
                chromium() as browser,
                screen(browser, f"{url}/password/set#t={token}", size="1280x800") as shown,
            ):
                page = shown.page
                assert await page.input_value("#token") == token
                assert token not in page.url
                await page.fill("#password", PASSWORD)
                await page.check("#show")
                assert await page.get_attribute("#password", "type") == "text"
                await page.click("button")
                pin = await page.inner_text(".pin")
                assert shown.errors == []
        finally:
            await server.close()
            await pages.close()
        terminal = await house.add_terminal()
        await house.sign_in.by_pin(pin, PASSWORD, terminal=terminal)
