"""Every command of `holdfast`, in the order the help shows them."""

from __future__ import annotations

from daemon.cli import (
    accounts,
    card_formats,
    card_import,
    card_learn,
    cards,
    config,
    house,
    jobs,
    kiosk,
    ledger,
    people,
    printers,
    probe,
    readers,
    terminals,
)

NOUNS = {
    "config": "Check and show the configuration.",
    "user": "People: add, look at, disable, set passwords.",
    "printer": "Printers jobs come out of.",
    "terminal": "Touch screens beside the printers.",
    "kiosk": "The program on a terminal.",
    "reader": "Card readers of a terminal, and what sends cards to it.",
    "card": "Cards people tap, and how their numbers are read.",
    "job": "Print jobs.",
    "account": "What people have to spend.",
    "ledger": "The books: verify and export.",
}

COMMANDS = (
    *house.COMMANDS,
    *config.COMMANDS,
    *people.COMMANDS,
    *printers.COMMANDS,
    *probe.COMMANDS,
    *terminals.COMMANDS,
    *kiosk.COMMANDS,
    *readers.COMMANDS,
    *cards.COMMANDS,
    *card_import.COMMANDS,
    *card_formats.COMMANDS,
    *card_learn.COMMANDS,
    *jobs.COMMANDS,
    *accounts.COMMANDS,
    *ledger.COMMANDS,
)
