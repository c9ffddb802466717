"""What a card may open at a terminal, and who decides it: the terminal itself, or the site for all of them. Pure."""

from __future__ import annotations

SITE = "site"
POLICIES = ("card", "card+password", "daily", "none")
"""`card`: alone. `card+password`: never alone. `daily`: with the password at its first use in a day, alone after it.
`none`: this terminal takes no cards."""
TERMINAL_POLICIES = (SITE, *POLICIES)
"""What a terminal may be set to; `site` follows the site's setting."""


def effective_policy(policy: str, *, site_policy: str) -> str:
    """The policy that holds at a terminal: its own, or the site's where it says `site`."""
    return site_policy if policy == SITE else policy
