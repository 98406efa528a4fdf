"""Passes over one value of msgpack without reading it: however deep it nests, and whatever its parts claim to be.

What a parser refuses costs itself then, and not what stands behind it.
"""

from __future__ import annotations

from typing import NamedTuple


class _Shape(NamedTuple):
    """What follows a first byte."""

    length: int = 0
    """Bytes that say how much there is."""
    each: int = 0
    """Values inside, for each of that; 0: it counts bytes."""
    values: int = 0
    """Values inside, whatever it says."""
    size: int = 0
    """Bytes, whatever it says."""


def _shapes() -> list[_Shape]:
    shapes = [_Shape()] * 256  # small integers, nil, booleans; the byte that means nothing
    for n in range(16):
        shapes[0x80 + n] = _Shape(values=2 * n)
        shapes[0x90 + n] = _Shape(values=n)
    for n in range(32):
        shapes[0xA0 + n] = _Shape(size=n)
    for n, length in enumerate((1, 2, 4)):
        shapes[0xC4 + n] = shapes[0xD9 + n] = _Shape(length)  # bytes, texts
        shapes[0xC7 + n] = _Shape(length, size=1)  # extensions
    for n in range(4):
        shapes[0xCC + n] = shapes[0xD0 + n] = _Shape(size=1 << n)  # integers
    shapes[0xCA], shapes[0xCB] = _Shape(size=4), _Shape(size=8)  # floats
    for n in range(5):
        shapes[0xD4 + n] = _Shape(size=1 + (1 << n))  # extensions
    for n, length in enumerate((2, 4)):
        shapes[0xDC + n] = _Shape(length, each=1)
        shapes[0xDE + n] = _Shape(length, each=2)
    return shapes


_SHAPES = _shapes()


class Skip:
    """Passes over one value, in as many steps as its bytes come in."""

    def __init__(self) -> None:
        self.values = 1
        """Still to be passed over."""
        self.passed = 0
        """Values passed over."""
        self._bytes = 0

    def step(self, data: bytes | bytearray, budget: int) -> int:
        """Go on with the next bytes; return how many of them are passed over.

        `budget`: how many values may be passed over in all.
        """
        at = 0
        while not self.done and self.passed < budget:
            if self._bytes:
                step = min(self._bytes, len(data) - at)
                at += step
                self._bytes -= step
                if self._bytes:
                    break
                continue
            begin = at + 1
            if begin > len(data):
                break
            shape = _SHAPES[data[at]]
            end = begin + shape.length
            if end > len(data):
                break
            count = int.from_bytes(data[begin:end], "big")
            at = end
            self.values += shape.values + count * shape.each - 1
            self._bytes = shape.size + (0 if shape.each else count)
            self.passed += 1
        return at

    @property
    def done(self) -> bool:
        """Whether the value is passed over."""
        return not self.values and not self._bytes
