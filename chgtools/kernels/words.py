"""Eight bytes of text at once: unaligned 64-bit loads and stores, and eight decimal digits in one word.

The plain functions serve when Numba is switched off (NUMBA_DISABLE_JIT=1) and are the twins in the tests; compiled
code gets one load or store instruction instead. Little-endian machines only, as x86-64 and ARM64 are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload


def load8(text: Any, position: Any) -> np.uint64:
    """Bytes text[position : position + 8] as a little-endian unsigned word."""
    return np.uint64(int.from_bytes(bytes(text[position : position + 8]), "little"))


def store8(text: Any, position: Any, word: Any) -> None:
    """Write a little-endian unsigned word to text[position : position + 8]."""
    text[position : position + 8] = np.frombuffer(int(word).to_bytes(8, "little"), np.uint8)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, position: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [position]), ir.IntType(64).as_pointer())


@intrinsic
def _load8(typing_context, text, position):
    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load(pointer, align=1)

    return types.uint64(text, types.intp), generate


@intrinsic
def _store8(typing_context, text, position, word):
    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        builder.store(arguments[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(text, types.intp, types.uint64), generate


@overload(load8)
def _overload_load8(text, position):
    return lambda text, position: _load8(text, position)


@overload(store8)
def _overload_store8(text, position, word):
    return lambda text, position, word: _store8(text, position, word)


U = np.uint64
HIGH_NIBBLES = U(0xF0F0F0F0F0F0F0F0)
LOW_NIBBLES = U(0x0F0F0F0F0F0F0F0F)
SIXES = U(0x0606060606060606)
THREES = U(0x3333333333333333)
DIGIT_ZEROS = U(0x3030303030303030)
ONES_2, ONES_4 = U(0x00FF00FF00FF00FF), U(0x0000FFFF0000FFFF)
TIMES_1, TIMES_2, TIMES_3 = U(2561), U(6553601), U(42949672960001)


@njit(nogil=True, forceinline=True)
def not_digits(word):
    """Zero exactly when all eight bytes are ASCII digits."""
    return ((word & HIGH_NIBBLES) | (((word + SIXES) & HIGH_NIBBLES) >> U(4))) ^ THREES


@njit(nogil=True, forceinline=True)
def eight_digits(word):
    """Value of eight ASCII digits, the first one in the lowest byte (pairs, fours, eights: three multiplications)."""
    word = ((word & LOW_NIBBLES) * TIMES_1) >> U(8)
    word = ((word & ONES_2) * TIMES_2) >> U(16)
    return ((word & ONES_4) * TIMES_3) >> U(32)


@njit(nogil=True, forceinline=True)
def digits_of(value):
    """Eight ASCII digits of 0 <= value < 10**8 as a word, the first digit in the lowest byte."""
    value = U(value)
    upper = value // U(10000)
    word = upper | ((value - upper * U(10000)) << U(32))
    hundreds = ((word * U(10486)) >> U(20)) & U(0x0000007F0000007F)
    word = hundreds | ((word - hundreds * U(100)) << U(16))
    tens = ((word * U(103)) >> U(10)) & U(0x000F000F000F000F)
    word = tens | ((word - tens * U(10)) << U(8))
    return word | DIGIT_ZEROS
