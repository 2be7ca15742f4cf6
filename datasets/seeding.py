"""Seeded permutations that are the same in every version of NumPy."""

import hashlib

import numpy as np
import numpy.typing as npt


def permutation(length: int, *axes: str | int) -> npt.NDArray[np.int64]:
    """Return a permutation of `range(length)` that depends only on the named axes.

    It sorts raw PCG64 words: NumPy keeps that stream for ever, whereas the methods of `Generator`
    may change between versions (NEP 19). A longer permutation is not an extension of a shorter one.
    """
    digest = hashlib.sha256("/".join(map(str, axes)).encode()).digest()
    words = np.random.PCG64(int.from_bytes(digest[:16], "big")).random_raw(length)
    return np.argsort(words, kind="stable").astype(np.int64)
