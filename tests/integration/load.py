"""A steady stream of believable and of hostile events for the tests on real servers, seeded.

Histories lie in the last hundred days before `now`, so that with the wall clock some timers are already stale, some are
due at once and some fall due while the test runs; one in ten facts comes late, twice or out of order.
"""
import random

DAY = 86_400_000
PURPOSES = ["ASSESS", "INITIAL", "FIRST_IMPRESSION", "EARLY_EXPERIENCE", "EFFECT", "OTHERS_NOTICED", "MONTHLY", "LAPSE"]


class Load:
    def __init__(self, seed, customers, now):
        self.random = random.Random(f"load-{seed}")
        self.customers = [f"c-{seed}-{i}" for i in range(customers)]
        self.now = now
        self.orders = {}  # customer -> [(order_id, placed_at)]
        self.count = 0
        self.sent = []

    def _event(self, topic, customer, at, **fields):
        self.count += 1
        event = {"event_id": f"e{self.count}", "customer_id": customer, "occurred_at": at, "source": "shop"}
        event.update(fields)
        return topic, event

    def _order(self, customer):
        r = self.random
        orders = self.orders.setdefault(customer, [])
        order_id = f"o-{customer}-{len(orders)}"
        at = self.now - r.choice([0, 0, 0, 1, 3, 14, 15, 30, 60, 89, 90]) * DAY - r.randrange(0, 20_000)
        orders.append((order_id, at))
        sku = r.choice(["TRIAL-01", "DAILY-01", "DAILY-02", "PREMIUM-01"])
        fields = {
            "kind": "PLACED", "order_id": order_id, "currency": "JPY",
            "lines": [{"sku": sku, "quantity": r.randrange(1, 4), "unit_price": r.randrange(500, 9000)}],
            "email_registered": r.random() < 0.8, "marketing_consent": r.random() < 0.8,
        }
        if r.random() < 0.3:
            fields["line_registered"] = True
        if r.random() < 0.1:
            fields["referrer_customer_id"] = r.choice(self.customers)
        if r.random() < 0.2:
            fields["kind"] = "SUBSCRIPTION_RENEWED"
            fields["subscription_id"] = "s"
        return self._event("orders", customer, at, **fields)

    def _next(self):
        r = self.random
        customer = r.choice(self.customers)
        orders = self.orders.get(customer)
        draw = r.random()
        if not orders or draw < 0.25:
            return self._order(customer)
        order_id, at = r.choice(orders)
        if draw < 0.5:
            kind = r.choice(["SHIPPED", "DELIVERED", "DELIVERED", "DELIVERED", "FAILED", "RETURNED"])
            # some deliveries lie so that a check or the two-week reminder falls due within the next half minute
            when = self.now - r.choice([1, 3, 14, 0]) * DAY + r.randrange(0, 30_000) if kind == "DELIVERED" else at + DAY
            return self._event("deliveries", customer, min(when, self.now), kind=kind, order_id=order_id)
        if draw < 0.7:
            return self._event("surveys", customer, min(self.now, at + r.randrange(0, 5 * DAY)), survey_id="s1",
                               response_id=f"r{r.randrange(0, 6)}", purpose=r.choice(PURPOSES), nps=r.randrange(0, 11),
                               satisfaction=r.randrange(1, 6), version=r.randrange(0, 3))
        if draw < 0.85:
            return self._event("email-opens", customer, min(self.now, at + r.randrange(0, 5 * DAY)),
                               kind=r.choice(["OPENED", "CLICKED", "OPENED", "UNSUBSCRIBED", "BOUNCED"]),
                               agent=r.choice(["HUMAN", "HUMAN", "MACHINE", "UNKNOWN"]))
        if draw < 0.9:
            return self._event("orders", customer, at + 1000, kind="CANCELLED", order_id=order_id)
        if draw < 0.99:
            return self._event("customers", customer, min(self.now, at + 60_000),
                               kind=r.choice(["REGISTERED", "CONSENTED", "SHARED", "REFERRED", "OPTED_OUT"]))
        return self._event("customers", customer, self.now, kind="ERASED")

    def take(self, count):
        """The next `count` events, (topic, event); some of them sent before."""
        events = []
        for _ in range(count):
            if self.sent and self.random.random() < 0.05:
                events.append(self.random.choice(self.sent))
                continue
            made = self._next()
            events.append(made)
            if len(self.sent) < 5000:
                self.sent.append(made)
        return events
