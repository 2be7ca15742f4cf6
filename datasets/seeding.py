"""Random numbers and permutations that are the same in every version of NumPy."""

import hashlib

import numpy as np
import numpy.typing as npt


def words(count: int, *axes: str | int) -> npt.NDArray[np.uint64]:
    """Return `count` uniform 64-bit words that depend only on the named axes.

    NumPy keeps the raw stream of PCG64 for ever, whereas the methods of `Generator` may change
    between versions (NEP 19). A smaller count is the beginning of a larger one. Reduce them by `%`:
    below a thousand million that is uniform to one in 10^10.
    """
    digest = hashlib.sha256("/".join(map(str, axes)).encode()).digest()
    drawn: npt.NDArray[np.uint64] = np.random.PCG64(int.from_bytes(digest[:16], "big")).random_raw(
        count
    )
    return drawn


def permutation(length: int, *axes: str | int) -> npt.NDArray[np.int64]:
    """Return a permutation of `range(length)` that depends only on the named axes.

    A longer permutation is not an extension of a shorter one.
    """
    return np.argsort(words(length, *axes), kind="stable").astype(np.int64)
