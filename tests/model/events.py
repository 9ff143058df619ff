"""One line of input to one event, or to a dead letter (R10, R34, R86)."""

import datetime
import json
import re
import unicodedata

TIME_MAX = 1 << 47
INTEGER_MIN, INTEGER_MAX = -(1 << 63), (1 << 63) - 1  # an Avro long
KINDS = {
    "orders": ["PLACED", "CANCELLED", "REFUNDED", "SUBSCRIPTION_STARTED", "SUBSCRIPTION_RENEWED",
               "SUBSCRIPTION_PAUSED", "SUBSCRIPTION_RESUMED", "SUBSCRIPTION_CANCELLED"],
    "deliveries": ["SHIPPED", "DELIVERED", "FAILED", "RETURNED"],
    "surveys": None,
    "email-opens": ["OPENED", "CLICKED", "UNSUBSCRIBED", "BOUNCED", "COMPLAINED"],
    "customers": ["REGISTERED", "UNREGISTERED", "CONSENTED", "OPTED_OUT", "REFERRED", "SHARED", "EVENT_ATTENDED",
                  "SUPPORT_CONTACTED", "ERASED"],
}
PURPOSES = ["ASSESS", "INITIAL", "FIRST_IMPRESSION", "EARLY_EXPERIENCE", "EFFECT", "OTHERS_NOTICED", "MONTHLY",
            "LAPSE"]
CONCERNS = ["quality", "price", "safety", "effect", "usage", "other"]
TOPICS = {**{name: name for name in KINDS}, **{"crm." + name: name for name in KINDS}}


class Dead(Exception):
    """A record that is refused: str() is the field or the reason."""


def _text(value):
    if not isinstance(value, str):
        raise ValueError
    value.encode("utf-8")  # a lone surrogate is no UTF-8: UnicodeEncodeError is a ValueError
    return value


def _id(value):
    if any(unicodedata.category(letter) == "Cc" for letter in _text(value)):
        raise ValueError  # R10
    return value


def _customer_id(value):
    if len(_id(value).encode("utf-8")) > 128:
        raise ValueError
    return value


def _short(value):
    if len(_text(value).encode("utf-8")) > 64:
        raise ValueError
    return value


def _integer(value):
    if isinstance(value, bool) or not isinstance(value, int) or not INTEGER_MIN <= value <= INTEGER_MAX:
        raise ValueError
    return value


def _amount(value):
    if _integer(value) == INTEGER_MIN:  # the one number that stands for no amount in the state
        raise ValueError
    return value


def _boolean(value):
    if not isinstance(value, bool):
        raise ValueError
    return value


def _within(low, high):
    def check(value):
        if not low <= _integer(value) <= high:
            raise ValueError
        return value
    return check


def _one_of(*names):
    def check(value):
        if _text(value) not in names:
            raise ValueError
        return value
    return check


def _object(value):
    if not isinstance(value, dict):
        raise ValueError
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # no lone surrogates in it
    return value


def _concerns(value):
    if not isinstance(value, list):
        raise ValueError
    return [_one_of(*CONCERNS)(item) for item in value]


def _lines(value):
    if not isinstance(value, list):
        raise ValueError
    lines = []
    for item in value:
        _object(item)
        quantity, price = item.get("quantity"), item.get("unit_price")
        lines.append({"sku": _text(item.get("sku") or ""),
                      "quantity": 1 if quantity is None else _integer(quantity),
                      "unit_price": 0 if price is None else _integer(price)})
    return lines


def time_of(value):
    """Integer ms or ISO 8601 with an offset."""
    if isinstance(value, str):
        if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d+)?)?([Zz]|[+-]\d\d:?\d\d)", value, re.ASCII):
            raise ValueError
        moment = datetime.datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", value))
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        value = (moment - epoch) // datetime.timedelta(milliseconds=1)
    if not 0 <= _integer(value) <= TIME_MAX:
        raise ValueError
    return value


COMMON = {"event_id": _id, "customer_id": _customer_id, "source": _text, "version": _integer, "backfill": _boolean,
          "test": _boolean}
CHANNEL = _one_of("EMAIL", "LINE")
FIELDS = {
    "orders": {"order_id": _id, "lines": _lines, "currency": _text, "subscription_id": _id,
               "referrer_customer_id": _customer_id, "coupon": _text, "campaign": _short, "refund_amount": _amount,
               "email_registered": _boolean, "line_registered": _boolean, "marketing_consent": _boolean,
               "time_zone": _text},
    "deliveries": {"order_id": _id, "parcel_id": _id, "carrier": _text, "tracking": _text, "estimated_at": time_of},
    "surveys": {"survey_id": _id, "response_id": _id, "purpose": _one_of(*PURPOSES), "satisfaction": _within(1, 5),
                "nps": _within(0, 10), "effect_felt": _boolean, "goal": _short, "concerns": _concerns,
                "consent_to_share": _boolean, "comment": _text, "answers": _object},
    "email-opens": {"action_id": _id, "campaign": _short, "channel": CHANNEL,
                    "agent": _one_of("HUMAN", "MACHINE", "UNKNOWN")},
    "customers": {"channel": CHANNEL, "marketing_consent": _boolean, "referred_customer_id": _customer_id,
                  "time_zone": _text, "note": _text},
}


class Event:
    """Every field of R34 is an attribute; absent = None."""

    def __init__(self, topic, values):
        for fields in FIELDS.values():
            for name in fields:
                setattr(self, name, None)
        self.topic = topic
        self.__dict__.update(values)


def _required(topic, kind):
    if topic == "surveys":
        return ["survey_id", "response_id", "purpose"]
    if topic == "deliveries" or kind in ("PLACED", "CANCELLED", "REFUNDED"):
        return ["order_id"]
    return []


def read_event(topic, raw, occurred_at):
    """The event, or Dead. `raw` is a JSON object whose time was already read."""
    values = {"occurred_at": occurred_at, "arrived_at": None, "kind": "RESPONSE"}
    fields = {**COMMON, **FIELDS[topic]}
    if KINDS[topic]:
        fields["kind"] = _one_of(*KINDS[topic])
    for name, check in fields.items():
        value = raw.get(name)
        if value is None or value == "":
            values[name] = None if name != "kind" or KINDS[topic] else "RESPONSE"
            continue
        try:
            values[name] = check(value)
        except (ValueError, OverflowError):
            raise Dead(name) from None
    required = ["event_id", "customer_id"] + (["kind"] if KINDS[topic] else []) + _required(topic, values["kind"])
    for name in required:
        if values[name] is None:
            raise Dead(name)
    values["source"] = values["source"] or ""
    values["version"] = values["version"] or 0
    values["backfill"] = bool(values["backfill"])
    values["test"] = bool(values["test"])
    if topic == "email-opens":
        values["agent"] = values["agent"] or "UNKNOWN"
    if topic in ("email-opens", "customers"):
        values["channel"] = values["channel"] or "EMAIL"
    return Event(topic, values)


class Line:
    """What a line says: `time` (None when unreadable), `received` and either `event` or `dead`."""

    def __init__(self, text):
        self.time = self.received = self.event = self.dead = self.occurred_at = None
        try:
            raw = json.loads(text)
            event = raw["event"] if isinstance(raw, dict) else None
            if not isinstance(event, dict):
                raise Dead("event")
        except Dead as error:
            self.dead = str(error)
            return
        except (ValueError, KeyError, RecursionError):
            self.dead = "not a JSON object with an event"
            return
        try:
            self.occurred_at = time_of(event.get("occurred_at"))
        except (ValueError, OverflowError):
            self.dead = "occurred_at"
            return
        received = raw.get("received_at")
        if received is not None and received != "":
            try:
                self.received = time_of(received)
            except (ValueError, OverflowError):
                self.dead = "received_at"
                return
        self.time = self.received if self.received is not None else self.occurred_at
        topic = raw.get("topic")
        if not isinstance(topic, str) or topic not in TOPICS:
            self.dead = "topic"
            return
        try:
            self.event = read_event(TOPICS[topic], event, self.occurred_at)
        except Dead as error:
            self.dead = str(error)
