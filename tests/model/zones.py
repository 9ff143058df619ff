"""A customer's local time (R33, R70, R71): instants are UTC milliseconds, local times are naive datetimes."""

import datetime
import functools
import zoneinfo

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
MS = datetime.timedelta(milliseconds=1)


@functools.lru_cache(maxsize=None)
def zone_find(name):
    """None when the name is unknown."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def local_time(instant, zone):
    return (EPOCH + instant * MS).astimezone(zone).replace(tzinfo=None)


def _instant_of(moment):
    return (moment.astimezone(UTC) - EPOCH) // MS


def instant_at(local, zone):
    """The instant of a local time: the earlier one in an overlap, the first instant after a gap (R71)."""
    guess = _instant_of(local.replace(tzinfo=zone, fold=0))
    if local_time(guess, zone) == local:
        return guess
    low, high = guess - 48 * 3600000, guess + 48 * 3600000
    while low < high:
        middle = (low + high) // 2
        if local_time(middle, zone) >= local:
            high = middle
        else:
            low = middle + 1
    return low


@functools.lru_cache(maxsize=65536)
def at_hour(date, hour, zone):
    return instant_at(datetime.datetime(date.year, date.month, date.day, hour), zone)
