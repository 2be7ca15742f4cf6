"""Checks of the options users write, with sentences that say how to put them right."""


class InvalidOptionError(ValueError):
    """An option of a dataset with a value it cannot take."""


def require_integer(name: str, value: object, low: int, high: int) -> None:
    """Accept an integer in [low, high].

    Errors: `InvalidOptionError` for anything else, truth values included.
    """
    integer = isinstance(value, int) and not isinstance(value, bool)
    if not integer or not low <= value <= high:  # type: ignore[operator]
        raise InvalidOptionError(f"{name}={value!r} is not an integer from {low} to {high}")
