"""Names typed into the demo's shell are taps; anything else says what to type; a closed shell ends nothing."""

import asyncio
import json
import os

from daemon.cli import demo_taps

CARDS = {"anna": "04A1", "ben": "04A2"}


async def _screen(seen):
    """A screen server that takes the first tap and refuses the rest."""

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
        )
        body = await reader.readexactly(length)
        if head.startswith(b"POST /ui/tap"):
            seen.append(json.loads(body)["raw"])
        status = b"202 Accepted" if len(seen) < 2 else b"400 Bad Request"
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


async def test_a_name_taps_that_persons_card_and_new_one_nobody_has(capsys):
    """A name is that person's card, new is another each time, nonsense is explained, a refusing terminal is told."""
    seen = []
    server = await _screen(seen)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/?t=token"
    out, into = os.pipe()
    following = asyncio.create_task(demo_taps.follow(address, CARDS, stdin=out))
    os.write(into, b"An")
    await asyncio.sleep(0.05)
    os.write(into, b"na\n\nnonsense\xff\nnew\n")
    os.close(into)
    await asyncio.wait_for(following, 10)
    os.close(out)
    server.close()
    assert seen[0] == "04A1"
    assert len(seen) == 2
    assert seen[1] not in CARDS.values()
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if line] == [
        "Tapped: look at the screen.",
        "Type one of: anna, ben, new",
        "The terminal does not take cards just now.",
    ]


async def test_a_shell_that_cannot_be_waited_for_is_left_alone(tmp_path):
    """Input from a file, as under a service manager: nothing is read, nothing fails."""
    file = os.open(tmp_path, os.O_RDONLY)
    try:
        await asyncio.wait_for(demo_taps.follow("http://127.0.0.1:9/", CARDS, stdin=file), 5)
    finally:
        os.close(file)
