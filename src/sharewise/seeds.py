"""Seeds derived from names, so that a run's luck depends on what it is and never on when it ran."""

from __future__ import annotations

import hashlib


def derive(root: int, *names: object) -> int:
    """63-bit seed from a root seed and any number of names.

    The same root and names give the same seed on every machine; any change gives an unrelated one
    (BLAKE2b of the joined names), so that adding an arm to a study does not move the luck of another.

    >>> derive(0, "single", "task", 1) == derive(0, "single", "task", 1)
    True
    """
    text = "\x1f".join([str(root), *(str(n) for n in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
