"""Reads an engine's documents as values of the Engine API's types, and refuses wrong shapes with ``ValueError``."""

from __future__ import annotations

from typing import Any, TypeVar

from pymachine.documents import from_document

T = TypeVar("T")
NAME_LIMIT = 1024  # characters of an id, a name, an address; none comes near it


def read(kind: type[T], document: Any) -> T:
    """Return a document as values. Raises ``ValueError`` for a wrong shape, which names the part."""
    try:
        return from_document(kind, document)
    except TypeError as error:
        raise ValueError(str(error)) from None


def read_all(kind: type[T], documents: Any) -> list[T]:
    """Return a list of documents as values; null, which Go has for an empty list, is one. Raises ``ValueError``."""
    if documents is None:
        return []
    return [read(kind, document) for document in read_list(documents, "documents")]


def read_list(documents: Any, what: str) -> list[Any]:
    """Return a list of documents. Raises ``ValueError`` for anything else, null too."""
    if not isinstance(documents, list):
        raise ValueError(f"the {what} are not a list")
    return documents


def read_name(document: Any) -> str:
    """Return a document that is an id. Raises ``ValueError`` for anything else."""
    if not isinstance(document, str):
        raise ValueError("it is not a name")
    return short(document)


def short(text: str) -> str:
    """Return an id, a name or an address. Raises ``ValueError`` for a text that cannot be one."""
    if len(text) > NAME_LIMIT:
        raise ValueError(f"a name of {len(text)} characters")
    return text
