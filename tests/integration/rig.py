"""A real Kafka, a real Redis and real workers for one test, and the audit afterwards.

Events are written and outputs are read by other programs than ours: PyPI's confluent-kafka (a newer librdkafka) and
fastavro, so that a mistake that our reader and writer share is seen.
"""
import json
import os
import pathlib
import random
import signal
import subprocess
import time

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from io import BytesIO

import kafka_servers
import redis_servers
from waiting import Failure, free_port, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
ORIORI = os.environ.get("ORIORI_PROGRAM", str(ROOT / "build/release/oriori"))
ORIORI_HOOKS = os.environ.get("ORIORI_HOOKS_PROGRAM", str(ROOT / "build/release/tests/oriori"))  # tests/hooks/README.md
INPUTS = {"orders": ("order", 3), "deliveries": ("delivery", 4), "surveys": ("survey", 3), "email-opens": ("email_open", 4),
          "customers": ("customer", 4)}
SHARDS = 4
COMING_UP = ("NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS", "LEADER_NOT_AVAILABLE",
             "NOT_LEADER_FOR_PARTITION", "_TIMED_OUT", "_TRANSPORT", "_ALL_BROKERS_DOWN")  # what a broker says that has just begun
HISTORY = 6  # decisions kept of a customer: few, so that most histories are cut


def now_ms():
    return int(time.time() * 1000)


def murmur2(data):
    m, h = 0x5BD1E995, 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & 0xFFFFFFFF
        k = (k ^ k >> 24) * m & 0xFFFFFFFF
        h = (h * m & 0xFFFFFFFF) ^ k
    tail = data[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & 0xFFFFFFFF
    h = (h ^ h >> 13) * m & 0xFFFFFFFF
    return h ^ h >> 15


def home(customer_id, count):
    return (murmur2(customer_id.encode()) & 0x7FFFFFFF) % count


class Schemas:
    """The project's own schema files and their fixed ids, in fastavro's hands."""

    def __init__(self):
        self.ids = {row["name"]: row["id"] for row in json.loads((ROOT / "schemas/ids.json").read_text())}
        self.parsed = {}
        for name in self.ids:
            self.parsed[name] = fastavro.parse_schema(json.loads((ROOT / f"schemas/{name}.avsc").read_text()), {})
        self.by_id = {number: name for name, number in self.ids.items()}

    def encode(self, name, value):
        out = BytesIO()
        out.write(b"\0" + int(self.ids[name]).to_bytes(4, "big"))
        fastavro.schemaless_writer(out, self.parsed[name], value)
        return out.getvalue()

    def decode(self, data):
        name = self.by_id[int.from_bytes(data[1:5], "big")]
        return name, fastavro.schemaless_reader(BytesIO(data[5:]), self.parsed[name])


class Rig:
    def __init__(self, folder, seed=1, settings=None, redis="single", kafka=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.random = random.Random(f"rig-{seed}")
        self.kafka_port, self.controller_port, self.redis_port = free_port(), free_port(), free_port()
        self.environment = dict(os.environ, ORIORI_LOCAL_DIR=str(self.folder / "servers"),
                                ORIORI_LOCAL_KAFKA_PORT=str(self.kafka_port),
                                ORIORI_LOCAL_CONTROLLER_PORT=str(self.controller_port),
                                ORIORI_LOCAL_REDIS_PORT=str(self.redis_port))
        self.workers = {}
        self.started = {}
        self.settings = settings or {}
        self.schemas = Schemas()
        self.bootstrap = f"127.0.0.1:{self.kafka_port}"
        self.produced = 0
        self.redriven = False  # inputs were written in transactions too
        self.redis_servers = redis_servers.KINDS[redis](self)
        self.brokers = kafka_servers.Kafka(self.folder, **kafka) if kafka else None  # None: deploy/local's
        if self.brokers:
            self.bootstrap = self.brokers.bootstrap
        self.kafka_settings = {}  # of workers, beside bootstrap.servers
        self.events = []  # what was told, as lines for `oriori simulate`

    # ---- servers

    def make_odd_inputs(self):
        """Inputs that have not S partitions exist before ours are made: whatever lies there must be forwarded home."""
        odd = [NewTopic(f"crm.{topic}", partitions, self.brokers.count if self.brokers else 1) for topic, (_, partitions) in INPUTS.items() if partitions != SHARDS]
        if not odd:
            return
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for done in admin.create_topics(odd).values():
            done.result(30)

    def __enter__(self):
        try:
            if local := ["kafka"] * (not self.brokers) + ["redis"] * (self.redis_servers.kind == "single"):
                self.servers("up", *local)
            if self.brokers:
                self.brokers.start()
            self.redis_servers.start()
        except BaseException:
            self.down()
            raise
        self.config = self.write_config("worker")
        self.make_odd_inputs()
        self.oriori("topics", "create", "--config", self.config)
        self.producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5, "log_level": 0, "enable.idempotence": True,
                                  "message.timeout.ms": 900_000})
        return self

    def __exit__(self, *_):
        for name in list(self.workers):
            self.kill(name)
        self.producer = None
        self.down()

    def down(self):
        self.redis_servers.stop()
        if self.brokers:
            self.brokers.stop()
        self.servers("down", "--wipe")

    def servers(self, verb, *arguments):
        """deploy/local's up or down. A broker killed at a bad moment may need a second start: three tries, each said."""
        for attempt in range(3):
            log = (self.folder / "servers.log").open("a")
            done = subprocess.run([str(ROOT / "deploy/local" / verb), *arguments], env=self.environment,
                                  stdout=subprocess.DEVNULL, stderr=log)
            if done.returncode == 0:
                return
            log.write(f"rig: try {attempt + 1} of {verb} failed\n")
        raise Failure(f"deploy/local/{verb} failed three times: see {self.folder}/servers.log")

    def kill_server(self, name):
        """kill -9 of "kafka" or "redis"; servers("up") brings it back (Redis empty, Kafka with its log)."""
        os.kill(self.server_pid(name), signal.SIGKILL)
        wait_for(f"{name} dead", 60, lambda: not self.server_lives(name))

    def server_pid(self, name):
        return int((self.folder / "servers" / name / "pid").read_text())

    def server_lives(self, name):
        """As long as any of its threads is there: the first may be gone while others still hold ports and files."""
        try:
            tasks = list(pathlib.Path(f"/proc/{self.server_pid(name)}/task").iterdir())
            return any("Z" not in (task / "stat").read_text().rsplit(")", 1)[1][:3] for task in tasks)
        except OSError:
            return False

    def write_config(self, name, **more):
        settings = {"application_id": "oriori-test", "shards": SHARDS, "playbook": str(ROOT / "schemas/playbook.yaml"),
                    "schemas": str(ROOT / "schemas"), "decisions": "all", "transactional_id": f"oriori-test-{name}"}
        settings.update(self.settings)
        settings.update(more)
        kafka = {"bootstrap.servers": self.bootstrap, **settings.pop("kafka", self.kafka_settings)}
        redis_url = settings.pop("redis_url", self.redis_servers.url)
        lines = [f"{key}: {json.dumps(value)}" for key, value in settings.items()]
        lines += ["topics:", f"  partitions: {SHARDS}", "redis:", f"  url: {redis_url}",
                  f"  history: {HISTORY}",
                  *(f"  {key}: {value}" for key, value in self.redis_servers.access().items()), "kafka:",
                  *(f"  {key}: {json.dumps(str(value))}" for key, value in kafka.items())]
        path = self.folder / f"{name}.yaml"
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    def oriori(self, *arguments, check=True, **options):
        done = subprocess.run([ORIORI, *arguments], capture_output=True, text=True, timeout=300, **options)
        if check and done.returncode != 0:
            raise Failure(f"oriori {' '.join(arguments)}: status {done.returncode}\n{done.stderr[-2000:]}")
        return done

    def redis(self, *arguments):
        return self.redis_at(self.redis_port, *arguments)

    def redis_at(self, port, *arguments):
        return subprocess.run(["redis-cli", "-p", str(port), *arguments], capture_output=True, check=True).stdout

    def redis_of(self, shard, *arguments):
        """Asked of the server that holds the shard."""
        return self.redis_at(self.redis_servers.at(shard), *arguments)

    # ---- workers

    def start(self, name, hooks=None, program=None, **more):
        """hooks: the test build, with ORIORI_FAULT, ORIORI_CRASH as they say; program: another build; more: keys of the
        config."""
        self.started[name] = {"hooks": hooks, "program": program, **more}
        log = (self.folder / f"{name}.log").open("a")
        config = self.write_config(name, **more)
        self.workers[name] = subprocess.Popen([program or (ORIORI_HOOKS if hooks else ORIORI), "worker", "--config", config],
                                              env=dict(os.environ, **(hooks or {})), stdout=log, stderr=log)

    def signal(self, name, number):
        self.workers[name].send_signal(number)

    def kill(self, name):
        worker = self.workers.pop(name, None)
        if worker is not None:
            worker.kill()
            worker.wait()

    def stop(self, name, seconds=10):
        """SIGTERM: must end by itself, status 0, in time."""
        worker = self.workers.pop(name)
        worker.send_signal(signal.SIGTERM)
        try:
            status = worker.wait(seconds)
        except subprocess.TimeoutExpired:
            worker.kill()
            raise Failure(f"worker {name} did not end within {seconds} s of SIGTERM")
        if status != 0:
            raise Failure(f"worker {name} ended with status {status} on SIGTERM")

    def log_of(self, name):
        return (self.folder / f"{name}.log").read_text()

    def alive(self):
        for name, worker in self.workers.items():
            if worker.poll() is not None:
                tail = (self.folder / f"{name}.log").read_text()[-1500:]
                raise Failure(f"worker {name} ended by itself with status {worker.returncode}:\n{tail}")

    def playbook(self):
        return self.settings.get("playbook", ROOT / "schemas/playbook.yaml")

    def settle(self, **more):
        """A short life of one more worker: what the last one had committed and not applied is healed."""
        self.start("settle", **more)
        wait_for("the worker that settles", 180, lambda: self.alive() or self.owned_by("settle"))
        wait_for("the histories of decisions", 180, lambda: self.alive() or self.histories_whole())
        self.stop("settle", 60)
        wait_for("all open transactions to end", 120, self.no_transaction_is_open, every=0.5)

    def owned_by(self, name):
        """The view's owner of every shard is this worker and its pos is the changelog's end."""
        owners = [self.redis_of(shard, "--raw", "HGET", f"crm:{{{shard}}}:meta", "owner").strip().decode() for shard in range(SHARDS)]
        return owners == [f"oriori-test-{name}"] * SHARDS

    def histories_whole(self):
        """What the view says itself: its place in crm.decisions is of the shard's last transaction."""
        for shard in range(SHARDS):
            seq, place = self.redis_of(shard, "--raw", "HMGET", f"crm:{{{shard}}}:meta", "seq", "history").decode().splitlines()[:2]
            if seq not in place.split()[1:2]:
                return False
        return True

    # ---- events in

    def produce(self, events, wrong_keys=0.1):
        self.write(events, wrong_keys)
        self.flush()

    def write(self, events, wrong_keys=0.1):
        """Avro by fastavro, on its way but not yet taken. One in ten records lies on a partition that is nobody's home."""
        for topic, event in events:
            schema, partitions = INPUTS[topic]
            value = self.schemas.encode(schema, self.fit(schema, event))
            key, partition = event["customer_id"], home(event["customer_id"], partitions)
            if self.random.random() < wrong_keys:
                key, partition = f"x{self.random.random()}", self.random.randrange(partitions)
            self.raw(topic, partition, key, value, event)

    def told(self, topic, event):
        """Notes an event for the audit of the facts."""
        self.events.append({"topic": topic, "received_at": now_ms(), "event": event})

    def fit(self, schema, event):
        """Absent fields as the schema's defaults say; times as numbers."""
        return {name: value for name, value in event.items() if value is not None}

    def raw(self, topic, partition, key, value, event=None):
        """Bytes as they are. event: what they say, for the audit of the facts; None: nothing that may be applied."""
        if event:
            self.told(topic, event)
        while True:
            try:
                self.producer.produce(f"crm.{topic}", value=value, key=key, partition=partition,
                                      on_delivery=self.delivered)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.produced += 1
        self.producer.poll(0)

    def delivered(self, error, message):
        if error:
            raise Failure(f"an event for {message.topic()} was not taken: {error}")

    def flush(self, seconds=60):
        if self.producer.flush(seconds) != 0:
            raise Failure(f"the broker did not take all events within {seconds} s")

    # ---- records out

    def consumer(self, isolation="read_committed"):
        return Consumer({"bootstrap.servers": self.bootstrap, "group.id": f"audit-{self.random.random()}",
                         "isolation.level": isolation, "enable.auto.commit": False,
                         "enable.partition.eof": True, "auto.offset.reset": "earliest"})

    def no_transaction_is_open(self):
        """What a worker that was refused a right, or killed, left open ends by its timeout; until then readers stall."""
        ends = []
        for isolation in ("read_committed", "read_uncommitted"):
            consumer = self.consumer(isolation)
            try:
                topics = consumer.list_topics(timeout=30).topics
                ends.append({(name, p): consumer.get_watermark_offsets(TopicPartition(name, p), 30)[1]
                             for name, topic in topics.items() if name.startswith("crm.") for p in topic.partitions})
            finally:
                consumer.close()
        return ends[0] == ends[1]

    def read(self, topic, headers=False):
        """All committed records of a topic that are still there, [(partition, offset, key, value)]; with headers, those last."""
        consumer = self.consumer()
        try:
            partitions = consumer.list_topics(topic, 10).topics[topic].partitions
            consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
            left, records = set(partitions), []
            deadline = time.monotonic() + 300
            while left:
                if time.monotonic() > deadline:
                    raise Failure(f"{topic} could not be read to its end: an open transaction stalls its readers?")
                message = consumer.poll(1)
                if message is None:
                    continue
                if message.error():
                    if message.error().name() == "_PARTITION_EOF":
                        left.discard(message.partition())
                        continue
                    raise Failure(f"{topic}: {message.error()}")
                record = (message.partition(), message.offset(), message.key(), message.value())
                records.append((*record, message.headers()) if headers else record)
            return records
        finally:
            consumer.close()

    def values(self, topic):
        return [self.schemas.decode(value)[1] for _, _, _, value in self.read(topic)]

    def committed(self):
        """Next offsets by (topic, partition) as the group committed them, and how far the inputs reach."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "oriori-test", "enable.auto.commit": False})
        try:
            wanted = [TopicPartition(f"crm.{topic}", p) for topic, (_, _) in INPUTS.items() for p in
                      consumer.list_topics(f"crm.{topic}", 30).topics[f"crm.{topic}"].partitions]
            wanted += [TopicPartition("crm.forward", p) for p in range(SHARDS)]
            done = consumer.committed(wanted, 60)
            ends = {(p.topic, p.partition): consumer.get_watermark_offsets(p, 30)[1] for p in wanted}
            return {(p.topic, p.partition): p.offset for p in done}, ends
        finally:
            consumer.close()

    def forget_offsets(self):
        """What an outage longer than the brokers keep offsets does: the group is gone, its offsets and metadata too."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})

        def gone():
            try:
                for answer in admin.delete_consumer_groups(["oriori-test"]).values():
                    answer.result(10)
                return True
            except KafkaException as error:
                if error.args[0].name() != "NON_EMPTY_GROUP":  # who was stopped just now may still count
                    raise
                return False

        wait_for("the group to be deleted", 30, gone, every=0.3)

    def unread(self, offsets, ends):
        """Partitions of the inputs that are not consumed to their end. A transaction's marker is no record to consume."""
        short = {key for key, end in ends.items() if key[0] != "crm.forward" and offsets[key] < end}
        if self.redriven:
            found = {(topic, record[0], record[1]) for topic in {topic for topic, _ in short} for record in self.read(topic)}
            short = {key for key in short if any((topic, p) == key and offset >= offsets[key] for topic, p, offset in found)}
        return short

    def drain(self, seconds=120, respawn=False):
        """Until every input record and every forward that a committed transaction wrote is consumed."""

        def drained():
            if respawn:
                self.respawn()
            else:
                self.alive()
            try:
                offsets, ends = self.committed()
            except KafkaException as error:  # the group's coordinator has just come up
                if error.args[0].name() not in COMING_UP:
                    raise
                return False
            if self.unread(offsets, ends):
                return False
            return all(offset < offsets[("crm.forward", partition)]
                       for partition, offset, _, _ in self.read("crm.forward"))

        wait_for("all input consumed", seconds, drained, every=0.3)

    def respawn(self):
        """What an orchestrator does: a worker that ended by itself is started again. Returns how many there were."""
        dead = [name for name, worker in self.workers.items() if worker.poll() is not None]
        for name in dead:
            del self.workers[name]
            self.start(name, **self.started.get(name, {}))
        return len(dead)

    def low_watermark(self, topic, partition):
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "low", "log_level": 0})
        try:
            return consumer.get_watermark_offsets(TopicPartition(topic, partition), 10)[0]
        finally:
            consumer.close()

    def steps_made(self):
        """How far crm.steps reaches: grows with every commit."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "steps", "log_level": 0})
        try:
            return sum(consumer.get_watermark_offsets(TopicPartition("crm.steps", p), 10)[1] for p in range(SHARDS))
        except KafkaException:  # a topic just made has no leader yet
            return 0
        finally:
            consumer.close()
