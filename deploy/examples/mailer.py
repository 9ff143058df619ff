#!/usr/bin/env python3
"""A small mailer: reads crm.actions (JSON), sends mails by SMTP. It keeps the contract of deploy/mailers.md.

It never sends an action twice, also when it is killed: before a mail goes out its action is marked `sending` on disk, so
that a mailer that dies in between finds the mark and leaves the mail alone (`unsure`: a person may look whether the mail
server got it; the Message-ID is the action's id). Who would rather send twice than not at all changes one line: see
`wake_up`.

    pip install confluent-kafka
    deploy/examples/mailer.py --bootstrap 127.0.0.1:19092 --smtp 127.0.0.1:25 --addresses addresses.json

addresses.json: {"hanako": "hanako@example.com"}; Oriori knows no addresses.
"""
import argparse
import email.message
import json
import smtplib
import sqlite3
import time

from confluent_kafka import Consumer, KafkaException


class Store:
    """What was read and what became of it. One row per action id, for ever: that is the dedupe."""

    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute("CREATE TABLE IF NOT EXISTS actions (id TEXT PRIMARY KEY, state TEXT NOT NULL, send_after INTEGER, "
                        "expires_at INTEGER, action TEXT)")

    def wake_up(self):
        """What was on its way when we died. To prefer "twice" over "not at all": set 'waiting' instead of 'unsure'."""
        self.db.execute("UPDATE actions SET state = 'unsure' WHERE state = 'sending'")

    def take(self, actions):
        """Before the offsets are committed: what is read again after a crash is known already."""
        self.db.execute("BEGIN IMMEDIATE")
        for action in actions:
            if action["kind"] == "revoke":  # also when its send was never seen: a late copy of it must not go out
                self.db.execute("INSERT INTO actions (id, state) VALUES (?, 'revoked') ON CONFLICT (id) DO UPDATE SET "
                                "state = 'revoked' WHERE state = 'waiting'", (action["action_id"],))
            elif action["channel"] == "email":
                self.db.execute("INSERT INTO actions VALUES (?, 'waiting', ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                                (action["action_id"], action["send_after"], action["expires_at"], json.dumps(action)))
        self.db.execute("COMMIT")

    def due(self, now):
        return self.db.execute("SELECT id, expires_at, action FROM actions WHERE state = 'waiting' AND send_after <= ? "
                               "ORDER BY send_after, id", (now,)).fetchall()

    def set(self, action_id, state):
        self.db.execute("UPDATE actions SET state = ? WHERE id = ?", (state, action_id))


def letter(action, address, sender):
    """The action's id goes along: in the Message-ID, and in the link and the picture that tell of clicks and opens."""
    mail = email.message.EmailMessage()
    mail["From"], mail["To"] = sender, address
    mail["Message-ID"] = f"<{action['action_id']}@{sender.split('@')[1]}>"
    mail["X-Action-Id"] = action["action_id"]
    mail["Subject"] = action["template"]
    words = ", ".join(f"{name}: {value}" for name, value in sorted((action["variables"] or {}).items()))
    mail.set_content(f"{action['template']} ({words})\nhttps://shop.example/?a={action['action_id']}\n")
    return mail


class Mailer:
    def __init__(self, options):
        self.options = options
        self.store = Store(options.state)
        self.addresses = json.load(open(options.addresses))
        self.consumer = Consumer({"bootstrap.servers": options.bootstrap, "group.id": options.group,
                                  "isolation.level": "read_committed",  # what was aborted was never said
                                  "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        self.consumer.subscribe([options.topic])

    def read(self):
        """All that is there. A revoke that has arrived must be seen before its send goes out."""
        while messages := self.consumer.consume(500, 0.3):
            good = []
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                good.append(json.loads(message.value()))
            self.store.take(good)
            self.consumer.commit(asynchronous=False)

    def send(self):
        due = self.store.due(now := int(time.time() * 1000))
        if not due:
            return
        host, port = self.options.smtp.rsplit(":", 1)
        with smtplib.SMTP(host, int(port), timeout=10) as server:
            for action_id, expires_at, text in due:
                action = json.loads(text)
                address = self.addresses.get(action["customer_id"])
                if expires_at is not None and now >= expires_at:
                    self.store.set(action_id, "expired")
                elif address is None:
                    self.store.set(action_id, "no address")
                else:
                    self.store.set(action_id, "sending")
                    server.send_message(letter(action, address, self.options.sender))
                    self.store.set(action_id, "sent")

    def run(self):
        self.store.wake_up()
        while True:
            self.read()
            try:
                self.send()
            except (OSError, smtplib.SMTPException) as error:  # the mail server is away: what is `sending` stays so
                print(f"mailer: {error}", flush=True)
                time.sleep(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:19092")
    parser.add_argument("--topic", default="crm.actions")
    parser.add_argument("--group", default="mailer")
    parser.add_argument("--smtp", default="127.0.0.1:25")
    parser.add_argument("--sender", default="letters@shop.example")
    parser.add_argument("--state", default="mailer.sqlite")
    parser.add_argument("--addresses", required=True)
    try:
        Mailer(parser.parse_args()).run()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
