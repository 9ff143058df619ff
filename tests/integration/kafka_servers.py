"""Apache Kafka for one test where deploy/local's single plain broker is not enough: another version, three brokers, users.

The jars are deploy/local's (by Maven, once per version); every broker is a process of ours on loopback.
"""
import os
import pathlib
import re
import subprocess

from certificates import certificates
from confluent_kafka.admin import AdminClient
from redis_servers import free_port, wait

LOCAL = pathlib.Path(__file__).resolve().parents[2] / "deploy/local"
NEWEST = re.search(r"<kafka.version>(.*)<", (LOCAL / "pom.xml").read_text())[1]
OLDER = "3.9.1"


def jars(version):
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / f"oriori/kafka-{version}"
    if not (folder / ".complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mvn", "-q", "-B", "--no-transfer-progress", "-Dstyle.color=never", f"-Dkafka.version={version}", "-f",
                        str(LOCAL / "pom.xml"), "dependency:copy-dependencies", "-DincludeScope=runtime",
                        f"-DoutputDirectory={folder}"], check=True)
        for other in folder.glob("slf4j-reload4j*"):  # 3.9 brings its own logger; ours is the simple one
            other.unlink()
        (folder / ".complete").touch()
    return folder


class Kafka:
    """`count` brokers that are controllers too; with `secure` each also listens to TLS with users, and to TLS with
    certificates. Plain connections are the tests' own and may do everything; all others need rights."""

    def __init__(self, folder, version=NEWEST, count=1, secure=False):
        self.folder, self.version, self.count = pathlib.Path(folder) / "kafka-servers", version, count
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = [free_port() for _ in range(count)]
        self.controllers = [free_port() for _ in range(count)]
        self.sasl_port, self.tls_port = (free_port(), free_port()) if secure else (None, None)
        self.tls = certificates(self.folder / "tls") if secure else None
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.processes = [None] * count

    def properties(self, i):
        n, isr = self.count, 2 if self.count > 1 else 1
        listeners = [f"PLAINTEXT://127.0.0.1:{self.ports[i]}"]
        if self.tls:
            listeners += [f"SASL_SSL://127.0.0.1:{self.sasl_port}", f"SSL://127.0.0.1:{self.tls_port}"]
        lines = {
            "process.roles": "broker,controller", "node.id": i + 1,
            "listeners": ",".join(listeners + [f"CONTROLLER://127.0.0.1:{self.controllers[i]}"]),
            "advertised.listeners": ",".join(listeners).replace("SSL://127.0.0.1", "SSL://localhost"),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
            "controller.listener.names": "CONTROLLER", "inter.broker.listener.name": "PLAINTEXT",
            "controller.quorum.voters": ",".join(f"{j + 1}@127.0.0.1:{port}" for j, port in enumerate(self.controllers)),
            "log.dirs": self.folder / f"data{i}", "auto.create.topics.enable": "false",
            "default.replication.factor": n, "min.insync.replicas": isr,
            "offsets.topic.replication.factor": n, "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": n, "transaction.state.log.min.isr": isr,
            "transaction.state.log.num.partitions": 4, "share.coordinator.state.topic.replication.factor": n,
            "share.coordinator.state.topic.min.isr": isr, "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000, "broker.session.timeout.ms": 4000, "broker.heartbeat.interval.ms": 500,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000, "num.network.threads": 2, "num.io.threads": 4,
            "log.cleaner.dedupe.buffer.size": 20971520, "log.index.size.max.bytes": 1048576,
        }
        if self.tls:
            jaas = "org.apache.kafka.common.security"
            lines |= {
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS", "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
                "ssl.keystore.type": "PEM", "ssl.keystore.location": self.tls / "server.pem",
                "ssl.truststore.type": "PEM", "ssl.truststore.location": self.tls / "ca.pem",
                "listener.name.ssl.ssl.client.auth": "required",
                "ssl.principal.mapping.rules": "RULE:^CN=(.*)$/$1/,DEFAULT",
                "listener.name.sasl_ssl.plain.sasl.jaas.config":
                    f'{jaas}.plain.PlainLoginModule required user_oriori="kafka-secret";',
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule required;",
            }
        return "".join(f"{key}={value}\n" for key, value in lines.items())

    def java(self, *arguments):
        return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp", f"{jars(self.version)}/*", *arguments]

    def start(self):
        for i in range(self.count):
            path = self.folder / f"{i}.properties"
            path.write_text(self.properties(i))
            scram = ["--add-scram", "SCRAM-SHA-512=[name=oriori,password=kafka-secret]"] if self.tls else []
            with (self.folder / f"format{i}.log").open("w") as log:
                subprocess.run(self.java("kafka.tools.StorageTool", "format", "-t", "b3Jpb3JpdGVzdG9yaW9yaQ", "-c", str(path),
                                         *scram), check=True, stdout=log, stderr=log)
        self.heal()
        self.ready()

    def heal(self):
        """Starts what is not running, on the data it had."""
        for i in range(self.count):
            if self.processes[i] is None:
                with (self.folder / f"log{i}").open("a") as log:
                    self.processes[i] = subprocess.Popen(self.java("-Xmx384m", "kafka.Kafka", str(self.folder / f"{i}.properties")),
                                                         stdout=log, stderr=log, start_new_session=True)

    def ready(self):
        """All brokers are in the cluster."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

        def complete():
            for i, process in enumerate(self.processes):
                if process is not None and process.poll() is not None:
                    raise RuntimeError(f"broker {i} ended: {(self.folder / f'log{i}').read_text()[-1000:]}")
            try:
                return len(admin.list_topics(timeout=2).brokers) == self.count
            except Exception:  # not up yet
                return False

        wait("the brokers", complete, 180)

    def kill(self, i):
        if self.processes[i] is not None:
            self.processes[i].kill()
            self.processes[i].wait()
            self.processes[i] = None

    def stop(self):
        for i in range(self.count):
            self.kill(i)
