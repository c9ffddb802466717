"""A document as the worker holds it: mapped from its descriptor, never copied whole."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING, Any, BinaryIO

import pikepdf
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from daemon.jobs.documents.frames import Refuse
from daemon.jobs.documents.sandbox import DOCUMENT_FD

if TYPE_CHECKING:
    from collections.abc import Iterator

TREE_DEPTH_MAX = 64
FILE_BUFFER_BYTES = 1 << 18
_ERROR_PASSWORD = 4


_held: list[mmap.mmap] = []


def map_document(size: int) -> None:
    """Map the document into memory, before the locks close: mapping needs a call that is forbidden afterwards.

    Not a byte of it is read here.
    """
    if size:
        _held.append(mmap.mmap(DOCUMENT_FD, size, access=mmap.ACCESS_COPY))


def mapped() -> mmap.mmap:
    """The document's bytes, private to this process.

    Raises:
        Refuse: it is empty.
    """
    if not _held:
        raise Refuse("document-format-error", "the document is empty")
    return _held[0]


def open_file() -> BinaryIO:
    """The document as a seekable file."""
    file = os.fdopen(DOCUMENT_FD, "rb", buffering=FILE_BUFFER_BYTES, closefd=False)
    file.seek(0)
    return file


def open_pdfium(content: mmap.mmap | bytes) -> pdfium.PdfDocument:
    """The PDF in pdfium, with its form fields drawn.

    Raises:
        Refuse: not readable, or it asks for a password.
    """
    buffer = content if isinstance(content, bytes) else (ctypes.c_ubyte * len(content)).from_buffer(content)
    try:
        document = pdfium.PdfDocument(buffer)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == _ERROR_PASSWORD:
            raise Refuse("document-password-error", "the document is locked with a password") from error
        raise Refuse("document-format-error", "the document is damaged and cannot be read") from error
    if document.get_formtype() != pdfium_c.FORMTYPE_NONE:
        document.init_forms()
    return document


def open_pikepdf(file: BinaryIO) -> pikepdf.Pdf:
    """The PDF in qpdf.

    Raises:
        Refuse: not readable, or it asks for a password.
    """
    try:
        return pikepdf.open(file, access_mode=pikepdf.AccessMode.stream, suppress_warnings=True)
    except pikepdf.PasswordError as error:
        raise Refuse("document-password-error", "the document is locked with a password") from error
    except (pikepdf.PdfError, ValueError) as error:
        raise Refuse("document-format-error", "the document is damaged and cannot be read") from error


def tree_leaves(document: pikepdf.Pdf, *, pages_max: int) -> Iterator[pikepdf.Object]:
    """Every page of the page tree, by walking /Kids and believing no /Count.

    Raises:
        Refuse: a loop, a tree too deep, or more pages than allowed.
    """
    root = document.Root.get("/Pages")
    if not isinstance(root, pikepdf.Dictionary):
        raise Refuse("document-format-error", "the document has no pages")
    stack: list[Iterator[Any]] = [iter([root])]
    above: list[tuple[int, int]] = [(0, 0)]
    found = 0
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            above.pop()
            continue
        if not isinstance(node, pikepdf.Dictionary):
            continue
        kids = node.get("/Kids")
        if not isinstance(kids, pikepdf.Array):
            found += 1
            if found > pages_max:
                raise too_many_pages(pages_max)
            yield node
            continue
        identity = node.objgen
        if (identity != (0, 0) and identity in above) or len(stack) > TREE_DEPTH_MAX:
            raise Refuse("document-format-error", "the document's pages run in a circle")
        above.append(identity)
        stack.append(iter(kids))


def too_many_pages(pages_max: int) -> Refuse:
    """The refusal of a document with more pages than one job may have."""
    return Refuse("document-too-complex", f"the document has more than {pages_max} pages")
