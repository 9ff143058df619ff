"""XXH64 (seed 0), UUIDv5 and the holdout hash, written out in plain Python: slow and short."""

import functools
import hashlib
import uuid

MASK = (1 << 64) - 1
P1 = 11400714785074694791
P2 = 14029467366897019727
P3 = 1609587929392839161
P4 = 9650029242287828579
P5 = 2870177450012600261

ACTION_NAMESPACE = uuid.UUID("15935922-0691-581b-98ac-4c1d9ee243c1")


def _rotate(value, bits):
    return ((value << bits) | (value >> (64 - bits))) & MASK


def _round(lane, word):
    return _rotate((lane + word * P2) & MASK, 31) * P1 & MASK


def _merge(total, lane):
    return ((total ^ _round(0, lane)) * P1 + P4) & MASK


def xxh64_bytes(data):
    size = len(data)
    place = 0
    if size >= 32:
        lanes = [(P1 + P2) & MASK, P2, 0, (-P1) & MASK]
        while place + 32 <= size:
            for lane in range(4):
                word = int.from_bytes(data[place:place + 8], "little")
                lanes[lane] = _round(lanes[lane], word)
                place += 8
        total = sum(_rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            total = _merge(total, lane)
    else:
        total = P5
    total = (total + size) & MASK
    while place + 8 <= size:
        total ^= _round(0, int.from_bytes(data[place:place + 8], "little"))
        total = (_rotate(total, 27) * P1 + P4) & MASK
        place += 8
    if place + 4 <= size:
        total ^= int.from_bytes(data[place:place + 4], "little") * P1 & MASK
        total = (_rotate(total, 23) * P2 + P3) & MASK
        place += 4
    while place < size:
        total ^= data[place] * P5 & MASK
        total = _rotate(total, 11) * P1 & MASK
        place += 1
    total ^= total >> 33
    total = total * P2 & MASK
    total ^= total >> 29
    total = total * P3 & MASK
    return total ^ (total >> 32)


@functools.lru_cache(maxsize=65536)
def xxh64(text):
    return xxh64_bytes(text.encode("utf-8"))


def action_id(customer_id, rule, key, n):
    """R77."""
    return str(uuid.uuid5(ACTION_NAMESPACE, "\x1f".join((customer_id, rule, key, str(n)))))


@functools.lru_cache(maxsize=65536)
def share_hash(word, rule, customer_id):
    """R72: 0..9999."""
    digest = hashlib.sha1("\x1f".join((word, rule, customer_id)).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") % 10000


def self_test():
    assert xxh64("") == 0xEF46DB3751D8E999
    assert xxh64("a") == 0xD24EC4F1A98C6E5B
    assert xxh64("abc") == 0x44BC2CF5AD770999
    assert str(uuid.uuid5(uuid.NAMESPACE_URL, "urn:oriori:action")) == str(ACTION_NAMESPACE)
