"""Which errors belong to one of several items, and which to the whole call.

An item's are those that come of reading the item itself: a picture that cannot be used, a name that is none or that the
collection does not have, a region that is not in it, metadata that do not fit. They name its place, and with
`on_error="return"` they stand where its answer would. Everything else ends the call, whatever is said of items: a filter
(`WhereError`), the encoder, the store, a missing extra. So what is wrong for every item alike, such as a region of a collection
without cells, is checked before the first one is read.
"""

from __future__ import annotations

from .errors import ImageError, InvalidInput, PointNotFound, WhereError

__all__ = ["ITEM_ERRORS", "ItemError", "in_place"]

ItemError = ImageError | InvalidInput | PointNotFound
ITEM_ERRORS = (ImageError, InvalidInput, PointNotFound)
"""To be caught around the reading of one item, and given to `in_place`."""


def in_place(error: ItemError, index: int | None, among: str = "pictures") -> ItemError:
    """The same error with the place of its item, as `pictures[3]: …`. Raises the error itself where it is no item's.

    Args:
        error: as it was raised.
        index: from 0; None where the item is the only one of its kind.
        among: what the items are called.
    """
    if isinstance(error, WhereError):
        raise error
    message = f"{among if index is None else f'{among}[{index}]'}: {error}"
    if isinstance(error, ImageError):
        return ImageError(message, reason=error.reason, index=index)
    return type(error)(message)
