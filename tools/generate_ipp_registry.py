"""Write daemon/ipp/registry_data.py from IANA's IPP registrations.

    python tools/generate_ipp_registry.py ipp-registrations.xml > daemon/ipp/registry_data.py

Public source: https://www.iana.org/assignments/ipp-registrations/ipp-registrations.xml
Protocol tables are generated, never typed. What the registry gets wrong or leaves out is said in ERRATA_* below,
each entry with its reason; a test compares hand-copied values from the RFCs with the output.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator

NS = {"i": "http://www.iana.org/assignments"}
NOTE = re.compile(r"\((?:extension|obsolete|deprecated)\)", re.IGNORECASE)
KEYWORD = re.compile(r"[a-z0-9][a-z0-9._-]*")
ENUM_CLASSES = {
    "document-state": "DocumentState",
    "finishings": "Finishing",
    "job-state": "JobState",
    "orientation-requested": "Orientation",
    "print-quality": "PrintQuality",
    "printer-state": "PrinterState",
}
"""Enum attributes that become a class of their own; the others stay in ENUMS."""
COLLECTIONS = (
    "Operation", "Job Template", "Job Description", "Job Status",
    "Document Template", "Document Description", "Document Status", "Printer Description", "Printer Status",
)  # fmt: skip
"""Attribute groups of the objects we speak about; subscriptions, resources and systems are left out."""
ERRATA_TAGS = {
    # The registry describes octetString in a sentence and 0x7F as a note instead of giving them a name.
    0x30: "octet-string",
    0x7F: "extension",
}
ERRATA_STATUS = {
    # CUPS' own range: in no registry, but the only "hold this job" answers CUPS clients understand (2.4, master).
    "cups-account-info-needed": 0x049C,
    "cups-account-closed": 0x049D,
    "cups-account-limit-reached": 0x049E,
    "cups-account-authorization-failed": 0x049F,
}
ERRATA_SYNTAX = {
    # Registered twice with different syntaxes; the newer specification's is taken.
    "finishings-col": "1setOf collection",  # PWG 5100.1-2022 over RFC 8011's single value
    "job-state": "type1 enum",  # RFC 8011; "| unknown" is for a proxy's view only
    "media-actual": "1setOf (type2 keyword | name(MAX))",  # PWG 5100.8
    "number-up-actual": "1setOf integer(1:MAX)",
    "output-bin-actual": "1setOf (type2 keyword | name(MAX))",
    "printer-geo-location": "uri | unknown",  # PWG 5100.13: unknown until somebody sets it
}

Record = dict[str, str]


def records(root: ET.Element, number: int) -> Iterator[Record]:
    """The records of sub-registry `number`, each as element name -> text."""
    for registry in root.findall("i:registry", NS):
        if registry.get("id") == f"ipp-registrations-{number}":
            for record in registry.iter(f"{{{NS['i']}}}record"):
                yield {child.tag.partition("}")[2]: (child.text or "").strip() for child in record}


def constant(name: str) -> str:
    """`Print-Job` -> `PRINT_JOB`, `textWithLanguage` -> `TEXT_WITH_LANGUAGE`."""
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name) if "-" not in name else name
    return name.replace("-", "_").replace(".", "_").upper()


def enum_class(name: str, doc: str, members: Iterable[tuple[str, int]], width: int = 4) -> Iterator[str]:
    """One enum's lines."""
    yield f"\n\nclass {name}(Keyworded):"
    yield f'    """{doc}"""\n'
    for keyword, number in members:
        yield f"    {constant(keyword)} = 0x{number:0{width}X}"


def coded(root: ET.Element, number: int) -> dict[str, int]:
    """Name -> number of a sub-registry of codes, without reserved and unassigned ones."""
    found: dict[str, int] = {}
    for record in records(root, number):
        name, value = record["name"], record["value"]
        if re.fullmatch(r"0x[0-9A-F]+", value):
            name = ERRATA_TAGS.get(int(value, 16), name) if number == 9 else name
            if re.fullmatch(r"[A-Za-z][A-Za-z-]*", name) and not name.startswith(("Reserved", "Unassigned")):
                found[name] = int(value, 16)
    return found


def enums(root: ET.Element) -> dict[str, dict[str, int]]:
    """Attribute -> {name: number} of all enum attributes with values of their own."""
    found: dict[str, dict[str, int]] = {}
    for record in records(root, 6):
        value = NOTE.sub("", record.get("value", ""))
        name = NOTE.sub("", record.get("name", ""))
        if re.fullmatch(r"\d+|0x[0-9A-F]{4}", value) and not name.startswith("Reserved"):
            found.setdefault(record["attribute"], {}).setdefault(name, int(value, 0))
    return found


def attributes(root: ET.Element) -> dict[str, str]:
    """`name` or `collection/member` -> syntax, as registered."""
    found: dict[str, str] = {}
    for record in records(root, 2):
        if record["collection"] not in COLLECTIONS:
            continue
        names = [record[k] for k in ("name", "member_attribute", "sub-member_attribute") if record.get(k)]
        path = NOTE.sub("", "/".join(names))
        if all(KEYWORD.fullmatch(part) for part in path.split("/")) and record["syntax"]:
            found.setdefault(path, re.sub(r"\s+", " ", record["syntax"]))
    return {path: ERRATA_SYNTAX.get(path, syntax) for path, syntax in found.items()}


def keywords(root: ET.Element) -> dict[str, list[str]]:
    """The two lists of reasons: what a front door may meet or say."""
    found: dict[str, list[str]] = {"job-state-reasons": [], "printer-state-reasons": []}
    for record in records(root, 4):
        value = NOTE.sub("", record.get("value", ""))
        listed = found.get(NOTE.sub("", record["attribute"]))
        if listed is not None and KEYWORD.fullmatch(value) and value not in listed:
            listed.append(value)
    return {name: sorted(values) for name, values in found.items()}


def generate(root: ET.Element) -> Iterator[str]:
    """The module's lines."""
    updated = root.findtext("i:updated", namespaces=NS)
    yield f'"""IPP names and numbers. Generated by tools/generate_ipp_registry.py from IANA\'s of {updated}."""'
    yield "\nfrom __future__ import annotations\n\nfrom enum import IntEnum"
    yield "\n\nclass Keyworded(IntEnum):"
    yield '    """A number with a registered keyword."""\n'
    yield "    @property\n    def keyword(self) -> str:"
    yield '        """The registered spelling in lower case, `print-job`."""'
    yield '        return self.name.lower().replace("_", "-")'
    yield from enum_class("GroupTag", "Attribute group tags (RFC 8010 section 3.5.1).", short_groups(root), 2)
    tags = {**coded(root, 8), **coded(root, 9)}
    yield from enum_class("Tag", "Value tags (RFC 8010 sections 3.5.2 and 3.5.3).", tags.items(), 2)
    statuses = {**coded(root, 11), **ERRATA_STATUS}
    yield from enum_class("Status", "Status codes (RFC 8011 appendix B and extensions).", statuses.items())
    numbers = enums(root)
    operations = numbers.pop("operations-supported")
    yield from enum_class("Operation", "Operation codes (RFC 8011 section 5.4.15 and extensions).", operations.items())
    for attribute, name in ENUM_CLASSES.items():
        yield from enum_class(name, f"Values of `{attribute}`.", numbers.pop(attribute).items(), 2)
    yield "\n\nENUMS: dict[str, dict[str, int]] = {"
    yield from (f'    "{attribute}": {values!r},'.replace("'", '"') for attribute, values in numbers.items())
    yield '}\n"""Other enum attributes: name -> number."""'
    yield "\nREASONS: dict[str, frozenset[str]] = {"
    for name, values in keywords(root).items():
        yield f'    "{name}": frozenset(('
        yield from (f'        "{value}",' for value in values)
        yield "    )),"
    yield '}\n"""Registered state reasons; printers add `-error`, `-warning` and `-report`."""'
    yield "\nSYNTAX: dict[str, str] = {"
    yield from (f'    "{path}": "{syntax}",' for path, syntax in sorted(attributes(root).items()))
    yield '}\n"""Attribute, or collection/member, -> syntax as registered."""'


def short_groups(root: ET.Element) -> list[tuple[str, int]]:
    """Group tags as `operation`, `job`, `end`: the registry's common ending says nothing."""
    names = coded(root, 7).items()
    return [(name.removesuffix("-tag").removesuffix("-attributes").removesuffix("-of"), n) for name, n in names]


def main(argv: list[str]) -> int:
    """Write the module to stdout; exit 2 without the registry's path."""
    if len(argv) != 2:
        sys.stderr.write(__doc__ or "")
        return 2
    root = ET.parse(argv[1]).getroot()  # noqa: S314  -- an operator's own download, read once by hand
    sys.stdout.write("\n".join(generate(root)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
