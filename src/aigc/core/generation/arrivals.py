"""Requests, as they come, into lists of those to be worked on together."""

from collections.abc import Iterable, Iterator

from aigc.core.generation.request import Request

__all__ = ["gathered"]


def gathered(requests: Iterable[Request | None], most: int) -> Iterator[list[Request]]:
    """Lists of so many requests, or of fewer where none has come yet.

    Args:
        requests: None stands for "none has come yet".
    """
    some: list[Request] = []
    for request in requests:
        if request is not None:
            some.append(request)
        if len(some) == most or (some and request is None):
            yield some
            some = []
    if some:
        yield some
