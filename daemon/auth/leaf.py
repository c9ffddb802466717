"""The server's certificate while the daemon runs: renewed in time, and served by the listeners without a restart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from daemon.auth import tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from daemon.auth.tls import TlsFiles
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice

log = structlog.get_logger(__name__)

CHECK_S = 6 * 3600


class Leaf:
    """Gives out server contexts and keeps every one of them on the newest certificate."""

    def __init__(self, files: TlsFiles, *, names: Sequence[str], clock: Clock, dice: Dice) -> None:
        self._files = files
        self._names = tuple(names)
        self._clock = clock
        self._dice = dice
        self._contexts: list[ssl.SSLContext] = []

    def context(self) -> ssl.SSLContext:
        """A context for one listener.

        Raises:
            KeysMissing: there is no certificate to serve.
        """
        context = tls.server_context(self._files)
        self._contexts.append(context)
        return context

    async def run(self) -> None:
        """Look four times a day, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_S)
            await self.check()

    async def check(self) -> bool:
        """Renew if it is time; new connections then see the new certificate, open ones keep theirs."""
        names, clock, dice = self._names, self._clock, self._dice
        is_new = await asyncio.to_thread(lambda: tls.renew(self._files, names=names, clock=clock, dice=dice))
        if is_new:
            for context in self._contexts:
                tls.reload(context, self._files)
            log.info("certificate.renewed")
        return is_new
