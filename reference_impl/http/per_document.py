"""What is made of a document is made once, however many servers of a process have that document."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Document = Mapping[str, Any]

_MOST = 8


def per_document(make: Callable[Concatenate[Document, P], T]) -> Callable[Concatenate[Document, P], T]:
    """Remember the results of ``make`` for the last few documents and (hashable) further arguments.

    The very object counts, since to compare documents takes as long as what is saved; nobody may write to it.
    """
    known: OrderedDict[tuple[Any, ...], tuple[Document, T]] = OrderedDict()

    @wraps(make)
    def remembered(document: Document, /, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (id(document), args, tuple(kwargs.items()))
        if key not in known:
            # The document is kept as well: no other can come to have its id meanwhile.
            known[key] = (document, make(document, *args, **kwargs))
            if len(known) > _MOST:
                known.popitem(last=False)
        return known[key][1]

    return remembered
