"""The tests of the suite `reach`: `tests/reach/run [NAME...]`. Each is a function that gets a fresh rig."""
import base64
import concurrent.futures
import functools
import http.server
import inspect
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

import chaos
from audit import audit, each_action_once, each_sequence_unbroken, histories_equal_decisions, redis_equals_changelog
from confluent_kafka import Producer
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, NewTopic,
                                   ResourcePatternType, ResourceType)
from kafka_servers import OLDER
from faults import WORKERS
from following import Folder, text_of
from load import Load
from redis_servers import cli
from rig import ORIORI, ROOT, SHARDS, Failure, Rig, now_ms, wait_for
from runner import run_suite

TESTS = {}
SLOW = set()  # these only under `./tests/run --all`, or by name


def test(slow=False, **options):
    def add(function):
        TESTS[function.__name__] = (function, options)
        if slow:
            SLOW.add(function.__name__)
        return function

    return add


def feed(rig, load, until, seconds=180, rate=200):
    """A steady load until the condition holds; the workers must live."""
    line = inspect.currentframe().f_back.f_lineno
    began, produced = time.monotonic(), 0
    while not until():
        passed = time.monotonic() - began
        if passed > seconds:
            raise Failure(f"under load for {seconds} s in vain (suite.py, line {line})")
        due = int(passed * rate) - produced
        if due > 0:
            rig.produce(load.take(due))
            produced += due
        rig.alive()
        time.sleep(0.1)  # the pace of the load, not a wait for a result


def commits(rig, count):
    """A condition: the worker has committed `count` times from now on."""
    wanted = rig.steps_made() + count
    return lambda: rig.steps_made() >= wanted


def applies(rig, shards=range(SHARDS)):
    """A condition: the view of each of these shards has moved from where it is now."""
    def positions():
        return [cli(rig.redis_servers.at(h), "HGET", f"crm:{{{h}}}:meta", "pos", check=False) for h in shards]

    before = positions()
    return lambda: all(new and new != old for new, old in zip(positions(), before))


def end(rig):
    rig.drain()
    for name in list(rig.workers):
        rig.stop(name)
    audit(rig)


@test(redis="sentinel")
def sentinel_a_failover_that_loses_writes_is_healed(rig):
    """The replica is cut off, the master takes more, the master dies: the promoted one is behind, and the worker knows."""
    load, servers = Load("sentinel", 120, now_ms()), rig.redis_servers
    rig.start("a")
    process = rig.workers["a"].pid
    feed(rig, load, applies(rig))
    servers.part_replica()
    old, spare = servers.at(), servers.other().port
    feed(rig, load, applies(rig))

    def position(port):
        return [int(cli(port, "HGET", f"crm:{{{h}}}:meta", "pos")) for h in range(SHARDS)]

    ahead, behind = position(old), position(spare)
    if not all(a > b for a, b in zip(ahead, behind)):
        raise Failure(f"nothing would be lost: master {ahead}, replica {behind}")
    servers.kill(0)
    feed(rig, load, lambda: servers.at() == spare)
    feed(rig, load, applies(rig))
    servers.heal()  # the old master, empty: the sentinels make it a replica
    feed(rig, load, lambda: "role:slave" in cli(old, "INFO", "replication", check=False))
    cli(spare, "CONFIG", "SET", "masterauth", "")
    feed(rig, load, lambda: "master_link_status:up" in cli(old, "INFO", "replication", check=False))
    # By hand: both live, connections are cut, READONLY. Again and again: a sentinel that does not know yet that the link is up
    # refuses, and one whose promotion is slow gives it up.
    def old_again():
        return servers.at() == old or cli(servers.sentinels[0].port, "SENTINEL", "FAILOVER", "m", check=False) is None

    feed(rig, load, old_again)
    feed(rig, load, applies(rig))
    if rig.workers["a"].pid != process:
        raise Failure("the worker was replaced")
    end(rig)


@test(redis="cluster")
def cluster_a_failover_a_moved_slot_and_a_master_that_comes_back_empty(rig):
    load, servers = Load("cluster", 200, now_ms()), rig.redis_servers
    rig.start("a")
    rig.start("b")
    feed(rig, load, applies(rig))
    where = [servers.at(shard) for shard in range(SHARDS)]
    if len(set(where)) != 3:
        raise Failure(f"the shards are not spread over the masters: {where}")
    dead = servers.kill(1)
    feed(rig, load, lambda: servers.at(1) == servers.nodes[3].port)
    feed(rig, load, applies(rig))
    servers.heal()
    servers.settle()
    target = servers.at(0)
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        moving = other.submit(servers.move, 3, target, pause=0.5)
        feed(rig, load, moving.done)
    if moving.result() < 20 or servers.at(3) != target:
        raise Failure(f"the slot did not move: {moving.result()} keys, at {servers.at(3)}")
    feed(rig, load, applies(rig))
    empty = servers.kill(2)
    if empty == dead or empty != servers.nodes[3].port:
        raise Failure(f"shard 2 was expected on the promoted node, it was at {empty}")
    feed(rig, load, lambda: servers.at(2) == dead)  # its former master, a replica since
    feed(rig, load, applies(rig))
    servers.heal()
    servers.wipe()
    feed(rig, load, applies(rig))
    end(rig)


def version():
    return subprocess.run([ORIORI, "version"], capture_output=True, text=True, check=True).stdout


@test(slow=True, redis="tls")
def redis_over_tls_with_certificates_on_both_sides(rig):
    """Where the build has it (Debian 13; `./tests/run --all image` brings such a worker); else it must say so."""
    load, servers = Load("redis-tls", 120, now_ms()), rig.redis_servers
    if "without TLS" in version():
        ends(rig, "no-tls", {}, "TLS to Redis is not in this build")
        return
    rig.start("a")
    feed(rig, load, applies(rig))
    servers.cut()
    feed(rig, load, applies(rig))
    servers.kill(0)
    servers.heal()  # it comes back empty
    feed(rig, load, applies(rig))
    servers.ca = "otherca.pem"
    ends(rig, "unknown-ca", {}, "its certificate is refused")
    servers.ca = "ca.pem"
    end(rig)


SECRET = "kafka-secret"


def rights():
    """(kind, name, operation) of every line of deploy/README.md, in the names of this rig."""
    found = []
    for line in (ROOT / "deploy/README.md").read_text().splitlines():
        words = line.split()
        if line.startswith("    ") and words and words[0] in ("topic", "group", "transactional-id"):
            name = words[1].replace("oriori", "oriori-test") if words[0] != "topic" else words[1]
            found += [(words[0], name, operation) for operation in words[2:]]
    if len(found) < 15:
        raise Failure(f"deploy/README.md lists only {found}")
    return found


def binding(right, filtering=False):
    kind, name, operation = right
    kinds = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "transactional-id": ResourceType.TRANSACTIONAL_ID}
    pattern = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
    make = AclBindingFilter if filtering else AclBinding
    return make(kinds[kind], name.rstrip("*"), pattern, "User:oriori", "*", AclOperation[operation.upper()],
                AclPermissionType.ALLOW)


def grant(rig, wanted):
    admin = AdminClient({"bootstrap.servers": rig.bootstrap, "log_level": 0})
    for done in admin.create_acls([binding(right) for right in wanted]).values():
        done.result(30)
    wait_for("the broker to know the rights", 60, lambda: all(is_granted(admin, right) for right in wanted))


def is_granted(admin, right):
    return bool(admin.describe_acls(binding(right, True)).result(30))


def take_away(rig, right):
    admin = AdminClient({"bootstrap.servers": rig.bootstrap, "log_level": 0})
    for done in admin.delete_acls([binding(right, True)]).values():
        if not done.result(30):
            raise Failure(f"there was no {right}")
    wait_for("the broker to forget the right", 60, lambda: not is_granted(admin, right))


def as_user(rig, mechanism, password=SECRET, ca="ca.pem"):
    secret = rig.folder / f"password-{password}"
    secret.write_text(password + "\n")
    return {"bootstrap.servers": f"localhost:{rig.brokers.sasl_port}", "security.protocol": "SASL_SSL",
            "ssl.ca.location": rig.brokers.tls / ca, "sasl.mechanisms": mechanism, "sasl.username": "oriori",
            "sasl.password_file": secret}


def by_certificate(rig):
    tls = rig.brokers.tls
    return {"bootstrap.servers": f"localhost:{rig.brokers.tls_port}", "security.protocol": "SSL",
            "ssl.ca.location": tls / "ca.pem", "ssl.certificate.location": tls / "client.crt",
            "ssl.key.location": tls / "client.key"}


def ends(rig, name, kafka, *texts, **more):
    """The worker ends by itself with 1; its last line is an error with one of the texts, and no line has a secret."""
    rig.start(name, kafka=kafka, **more)
    worker = rig.workers.pop(name)
    try:
        status = worker.wait(90)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
        raise Failure(f"{name}: the worker tries for ever:\n{rig.log_of(name)[-1500:]}")
    log = rig.log_of(name)
    errors = [line for line in log.splitlines() if '"level":"error"' in line or line.startswith("oriori: ")]
    if status != 1 or not errors or not any(text in line for line in errors for text in texts):
        raise Failure(f"{name}: status {status}, wanted 1 and one of {texts}:\n{log[-1500:]}")
    if len(errors) > 3:
        raise Failure(f"{name}: it says it {len(errors)} times:\n{log[-2500:]}")
    no_secrets(rig, name)


def no_secrets(rig, name):
    if SECRET in rig.log_of(name):
        raise Failure(f"the log of {name} has the password")


def serves(rig, name, kafka, load, until=None, **more):
    """The worker is ready, commits, and ends politely."""
    rig.start(name, kafka=kafka, **more)
    feed(rig, load, until or commits(rig, 3))
    limits = pathlib.Path(f"/proc/{rig.workers[name].pid}/limits").read_text()
    if not re.search(r"^Max core file size +0 +0 ", limits, re.M):
        raise Failure(f"core dumps are on:\n{limits}")
    rig.drain()
    rig.stop(name)
    no_secrets(rig, name)


def follows_its_playbook(rig, kafka, load):
    """What it runs when its playbook file changes needs no more rights than it has itself."""
    folder = Folder(rig.folder / "playbook.d", (ROOT / "schemas/playbook.yaml").read_text())

    def activated():
        rig.signal("follows", signal.SIGHUP)
        return "activation 1: playbook" in rig.log_of("follows")

    def begins():
        if rig.owned_by("follows"):
            folder.put(text_of("second"))
            return True

    rig.start("follows", kafka=kafka, playbook=str(folder.playbook))
    feed(rig, load, begins)
    feed(rig, load, activated)
    rig.drain()
    rig.stop("follows")


def old_librdkafka():
    found = re.search(r"librdkafka (\d+)\.(\d+)\.(\d+)", subprocess.run([ORIORI, "version"], capture_output=True, text=True).stdout)
    return tuple(int(number) for number in found.groups()) < (2, 6, 1)


@test(kafka={"secure": True})
def kafka_4_users_certificates_and_exactly_the_rights_of_the_readme(rig):
    load, granted = Load("rights", 60, now_ms()), rights()
    plain = as_user(rig, "PLAIN")
    grant(rig, granted)
    trimmed = lambda: any(rig.low_watermark("crm.forward", partition) > 0 for partition in range(SHARDS))
    serves(rig, "plain", plain, load, until=trimmed, **{"topics.forward_keep": "1s"})
    serves(rig, "certificate", by_certificate(rig), load)
    follows_its_playbook(rig, plain, load)
    if old_librdkafka():
        ends(rig, "scram", as_user(rig, "SCRAM-SHA-512"), "needs 2.6.1 or newer")
    else:
        serves(rig, "scram", as_user(rig, "SCRAM-SHA-512"), load)
    ends(rig, "wrong-password", as_user(rig, "PLAIN", password="wrong"), "Authentication failed", "authentication failure")
    ends(rig, "unknown-ca", as_user(rig, "PLAIN", ca="otherca.pem"), "certificate verify failed", "verify")
    ends(rig, "session", {**plain, "session.timeout.ms": 900, "heartbeat.interval.ms": 300}, "Invalid session timeout")
    ends(rig, "long", plain, "InvalidTransactionTimeout", "transaction timeout", "Transaction timeout", timeouts={"transaction": "2m"})
    shadow_writes_its_own_topic_alone(rig, plain, load)
    some = [("topic", "crm.orders", "Read"), ("topic", "crm.state", "Write"), ("group", "oriori-test", "Read"),
            ("transactional-id", "oriori-test*", "Write")]
    mild = [("topic", "crm.decisions", "Read")]  # the histories stand still, and that is said
    everything = [right for right in granted if right[1] != "crm.playbook" and right[2] != "Delete" and right not in mild]
    for number, right in enumerate(everything if os.environ.get("ORIORI_ALL") else some):
        take_away(rig, right)
        rig.produce(load.take(400))  # so that all kinds of records are written
        ends(rig, f"without{number}", plain, right[1].rstrip("*"))
        grant(rig, [right])
    serves(rig, "again", plain, load)
    rig.settle(kafka=plain)
    each_action_once(rig)
    each_sequence_unbroken(rig)
    redis_equals_changelog(rig)
    histories_equal_decisions(rig)


def shadow_writes_its_own_topic_alone(rig, kafka, load):
    live, shadow = ("topic", "crm.actions", "Write"), ("topic", "crm.actions.shadow", "Write")
    take_away(rig, live)
    grant(rig, [shadow])
    serves(rig, "shadow", kafka, load, actions="shadow")
    take_away(rig, shadow)
    grant(rig, [live])


@test(slow=True, kafka={"secure": True, "version": OLDER})
def kafka_3_9_with_scram_end_to_end(rig):
    load = Load("older", 100, now_ms())
    grant(rig, rights())
    rig.kafka_settings = as_user(rig, "SCRAM-SHA-512")
    rig.start("a")
    rig.start("b")
    feed(rig, load, commits(rig, 5))
    rig.kill("b")
    rig.start("b")
    feed(rig, load, commits(rig, 10))
    end(rig)
    for name in ("a", "b"):
        no_secrets(rig, name)


@test(kafka={"count": 1, "links": WORKERS})
def chaos_with_most_kinds_of_fault_once(rig):
    """The short form of ./tests/chaos: without what makes a broker slow to come back more than once."""
    chaos.run(rig, chaos.settings(["--each-once", "--static", "--pace", "1.5", "--without", "stall_broker,fill_disk"]))


@test(slow=True, kafka={"count": 3, "links": WORKERS, "disk_mb": chaos.DISK_MB}, redis="sentinel")
def chaos_with_every_kind_of_fault_once_on_three_brokers(rig):
    chaos.run(rig, chaos.settings(["--each-once", "--static", "--pace", "3", "--brokers", "3"]))


@test(slow=True, kafka={"count": 3, "racks": True})
def a_worker_reads_from_its_own_rack_and_lives_with_a_quota(rig):
    """client.rack: records come from the copy in the worker's rack. A quota slows it down, and that is all."""
    load = Load("rack", 100, now_ms())
    rig.kafka_settings = {"client.rack": "r2", "debug": "topic"}
    rig.start("a", logging={"level": "debug"})
    near = re.compile(r"Topic crm\.\w+ \[\d\]: migrating from broker \d to 2 \(leader is [13]\): preferred replica")
    feed(rig, load, lambda: near.search(rig.log_of("a")))
    throttled = []
    rig.brokers.quota(20_000)
    witness = Producer({"bootstrap.servers": rig.bootstrap, "throttle_cb": throttled.append})
    admin = rig.brokers.admin()
    admin.create_topics([NewTopic("witness", 1, 3)])["witness"].result(30)
    witness.produce("witness", b"x" * 400_000)
    try:
        feed(rig, load, lambda: witness.poll(0) >= 0 and throttled)
        feed(rig, load, commits(rig, 10))
    finally:
        rig.brokers.quota(None)
    end(rig)


def jwt(seconds):
    """An unsigned one, for the user whose rights are those of the README."""
    part = lambda claims: base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    now = int(time.time())
    return f'{part({"alg": "none"})}.{part({"sub": "oriori", "iat": now - 60, "exp": now + seconds})}.'


class TokenEndpoint(http.server.BaseHTTPRequestHandler):
    seconds, asked = 10, []

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        who = base64.b64decode(self.headers.get("Authorization", "Basic ").split()[1]).decode()
        good = who == f"client:{SECRET}" and form == {"grant_type": ["client_credentials"], "scope": ["kafka all"]}
        TokenEndpoint.asked.append((who, form))
        body = json.dumps({"access_token": jwt(self.seconds)} if good else {"error": "invalid_client"}).encode()
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@test(kafka={"secure": True})
def kafka_by_tokens_of_a_file_and_of_an_endpoint(rig):
    load = Load("tokens", 60, now_ms())
    grant(rig, rights())
    kafka = {key: value for key, value in as_user(rig, "OAUTHBEARER").items() if "sername" not in key and "password" not in key}
    token, secret = rig.folder / "token", rig.folder / "client-secret"
    token.write_text("nonsense\n")
    ends(rig, "no-token", kafka, "it is no JWT", **{"oauth.token_file": str(token)})
    token.write_text(jwt(-10))
    ends(rig, "old-token", kafka, "the token for Kafka is refused", **{"oauth.token_file": str(token)})
    token.write_text(jwt(600) + "\n")
    serves(rig, "file", kafka, load, **{"oauth.token_file": str(token)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenEndpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = {"oauth.url": f"http://127.0.0.1:{server.server_address[1]}/token", "oauth.client_id": "client",
                    "oauth.scope": "kafka all", "oauth.client_secret_file": str(secret)}
        secret.write_text("wrong\n")
        ends(rig, "wrong-client", kafka, "HTTP status 401, invalid_client", **endpoint)
        secret.write_text(SECRET + "\n")
        TokenEndpoint.asked.clear()
        # Two handles of the worker ask at its start; more is a token renewed before it ends.
        serves(rig, "endpoint", kafka, load, until=lambda: len(TokenEndpoint.asked) >= 6, **endpoint)
        rig.settle(kafka=kafka, **endpoint)
        server.shutdown()
    each_action_once(rig)
    each_sequence_unbroken(rig)
    redis_equals_changelog(rig)


def suite_of(tests):
    return {name: (functools.partial(Rig, **options), function) for name, (function, options) in tests.items()}


if __name__ == "__main__":
    quick = [name for name in TESTS if name not in SLOW or os.environ.get("ORIORI_ALL")]
    sys.exit(run_suite("reach", suite_of(TESTS), quick))
