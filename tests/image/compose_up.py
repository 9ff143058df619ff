"""`docker compose up` without an engine: what deploy/compose.yaml says, as local processes, in a network of their own where
every service's name is loopback. The order, conditions, health checks, commands, environment and files are those that the real
docker compose resolves; the worker's image is deploy/image/build's; Kafka is set up by the wrapper that is its image's entry
point, from the same variables; Redis, Apicurio and Python are this machine's, in place of theirs.

    compose_up.py COMPOSE-BINARY BUNDLE FOLDER     needs root; prints one line for each claim, and `up: N claims`
"""
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import datetime, timezone

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
import waiting  # noqa: E402
from waiting import Failure  # noqa: E402

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "oriori"
JAVA = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
LOG4J = """Configuration:
  Properties: {Property: []}
  Appenders: {Console: {name: STDOUT, PatternLayout: {pattern: "%m%n"}}}
  Loggers: {Root: {level: warn, AppenderRef: [{ref: STDOUT}]}, Logger: []}
"""


def wait_for(what, seconds, check):
    return waiting.wait_for(what, seconds, check, every=0.3)  # mostly a command of the image's


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up and running


class Services:
    def __init__(self, compose, bundle, folder):
        self.bundle, self.folder = bundle, folder
        words = [compose, "-f", str(ROOT / "deploy/compose.yaml"), "--profile", "*", "config", "--format", "json"]
        self.all = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)["services"]
        self.up = {name: service for name, service in self.all.items() if not service.get("profiles")}
        self.running, self.healthy, self.restarts = {}, set(), {}
        for name in ("events", "kafka/default", "kafka/mounted", "kafka/final", "redis", "registry"):
            (folder / name).mkdir(parents=True)
        hosts = folder / "hosts"
        hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ["localhost", socket.gethostname(), *self.all]))
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)

    def source(self, volume):
        return str(self.folder / volume["source"]) if volume["type"] == "volume" else volume["source"]

    def command(self, name):
        """(what to run here, its working folder) for a service of that image."""
        service, image = self.all[name], self.all[name]["image"]
        if "build" in service:
            volumes = [word for volume in service["volumes"] for word in
                       ("--volume", f"{self.source(volume)}:{volume['target']}")]
            return [str(ROOT / "deploy/image/run"), str(self.bundle), *volumes, "/usr/bin/oriori", *service["command"]], self.folder
        if image.startswith("apache/kafka:"):
            self.set_up_kafka(service)
            return [*JAVA, "-cp", self.kafka_jars(image), "kafka.Kafka", "final/server.properties"], self.folder / "kafka"
        if image.startswith("redis:"):
            return service["command"], self.folder / "redis"
        if image.startswith("apicurio/"):
            jar = next((CACHE / f"apicurio-{image.split(':')[1]}").glob("apicurio-registry-app-*-runner.jar"))
            return [*JAVA, "-Dapicurio.datasource.jdbc.initial-size=1", "-jar", str(jar)], self.folder / "registry"
        if image.startswith("python:"):  # folders by their names on this machine
            words = service["command"]
            for volume in service["volumes"]:
                words = [word.replace(volume["target"] + "/", self.source(volume) + "/") for word in words]
            return words, self.folder
        raise Failure(f"{name}: nothing here stands for the image {image}")

    def kafka_jars(self, image):
        return str(CACHE / f"kafka-{image.split(':')[1]}") + "/*"

    def set_up_kafka(self, service):
        """As the entry point of Apache's image does: the variables become server.properties, the folder is formatted."""
        folder = self.folder / "kafka"
        for name in ("log4j2.yaml", "tools-log4j2.yaml"):
            (folder / "default" / name).write_text(LOG4J)
        environment = {**self.environment(service), "KAFKA_LOG_DIRS": str(folder / "data")}
        if service["environment"]["KAFKA_LOG_DIRS"] != "/var/lib/kafka/data":
            raise Failure("Kafka's folder is not the one that its image keeps for it")
        environment["CLUSTER_ID"] = "5L6g3nShT-eMCtK--X86sw"
        done = subprocess.run([*JAVA, "-cp", self.kafka_jars(service["image"]), "kafka.docker.KafkaDockerWrapper", "setup",
                               "--default-configs-dir", "default", "--mounted-configs-dir", "mounted",
                               "--final-configs-dir", "final"], cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"Kafka's wrapper: {done.stdout[-1000:]}{done.stderr[-1000:]}")

    def environment(self, service):
        return {"PATH": os.environ["PATH"], **(service.get("environment") or {})}

    def start(self, name):
        words, folder = self.command(name)
        log = (self.folder / f"{name}.log").open("w")
        self.running[name] = subprocess.Popen(words, cwd=folder, env=self.environment(self.all[name]), stdout=log, stderr=log,
                                              stdin=subprocess.DEVNULL, start_new_session=True)

    def run(self, name, *command, told=None):
        """docker compose run: a command of a service by hand."""
        words, folder = self.command(name)
        if command:
            words = words[:words.index("/usr/bin/oriori") + 1] + list(command)
        done = subprocess.run(words, cwd=folder, env=self.environment(self.all[name]), input=told, capture_output=True,
                              text=True, timeout=300)
        if done.returncode:
            raise Failure(f"{name} {command}: status {done.returncode}\n{done.stderr[-1000:]}")
        return done.stdout

    def ended(self, name):
        """Ended with 0; any other status is trouble, unless its restart policy has a try left."""
        process = self.running.get(name)
        if not process or process.poll() is None:
            return False
        tries = int(self.all[name].get("restart", "no:0").split(":")[1])
        if process.returncode and self.restarts.get(name, 0) < tries:
            self.restarts[name] = self.restarts.get(name, 0) + 1
            self.start(name)
            return False
        if process.returncode:
            tail = (self.folder / f"{name}.log").read_text()[-1500:]
            raise Failure(f"{name} ended with {process.returncode}:\n{tail}")
        return True

    def is_healthy(self, name):
        if name in self.running and name not in self.healthy:
            kind, *words = self.all[name]["healthcheck"]["test"]
            words = ["sh", "-c", words[0]] if kind == "CMD-SHELL" else words
            tool = [*JAVA, "-cp", self.kafka_jars(self.all["kafka"]["image"]), "org.apache.kafka.tools.BrokerApiVersionsCommand"]
            words = [word.replace("/opt/kafka/bin/kafka-broker-api-versions.sh", " ".join(f"'{part}'" for part in tool))
                     for word in words]
            if subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60).returncode == 0:
                self.healthy.add(name)
        return name in self.healthy

    def met(self, name):
        check = {"service_healthy": self.is_healthy, "service_completed_successfully": self.ended,
                 "service_started": lambda other: other in self.running}
        return all(check[how["condition"]](other) for other, how in (self.up[name].get("depends_on") or {}).items())

    def all_started(self):
        for name in self.up:
            if name not in self.running and self.met(name):
                self.start(name)
            self.ended(name)  # none may fail
        return len(self.running) == len(self.up)

    def down(self):
        for process in reversed(self.running.values()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def answer(path):
    try:
        with urllib.request.urlopen(f"http://localhost:9464{path}", timeout=5) as response:
            return response.read().decode()
    except (urllib.error.URLError, OSError):
        return ""


def judged():
    """Events that the worker has judged, of all topics and verdicts."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in answer("/metrics").splitlines() if line.startswith("oriori_events_total{"))


def claims(services):
    wait_for("every service started, its conditions met", 300, services.all_started)
    yield f"{len(services.up)} services started, in the order that their conditions ask for"
    wait_for("/readyz", 120, lambda: services.all_started() and answer("/readyz"))
    yield "the worker is ready on its published port"
    wait_for("the history to be written", 600, lambda: services.all_started() and services.ended("history"))
    written = int((services.folder / "history.log").read_text().split(" events written")[0].split()[-1])
    wait_for("the history to be read", 600, lambda: services.all_started() and judged() >= written)
    customers = services.run("oriori", "customer", "list", "--config", "/etc/oriori/worker.yaml").count("\n")
    if customers < 4000:
        raise Failure(f"only {customers} customers")
    yield f"a year of history: {written} events, {customers} customers"
    sent = services.run("oriori", "consume", "actions", "--from", "beginning", "--config", "/etc/oriori/worker.yaml")
    if "thank_you" in sent:
        raise Failure("history has sent thank-yous")
    order = {"kind": "PLACED", "event_id": "e1", "customer_id": "hanako", "order_id": "o1", "marketing_consent": True,
             "occurred_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "email_registered": True,
             "lines": [{"sku": "TEA-1", "quantity": 1, "unit_price": 1980}]}
    services.run("oriori", "produce", "orders", "--config", "/etc/oriori/worker.yaml", told=json.dumps(order) + "\n")
    wait_for("an order by hand to be thanked", 120, lambda: "thank_you" in services.run(
        "oriori", "consume", "actions", "--from", "beginning", "--config", "/etc/oriori/worker.yaml"))
    yield "an order by hand is thanked"
    if "thank_you" not in services.run("report"):
        raise Failure("the report does not know the rule thank_you")
    yield "the report names its rules"
    worker = services.running["worker"]
    os.kill(worker.pid, signal.SIGTERM)
    if worker.wait(int(services.all["worker"]["stop_grace_period"].rstrip("s"))) != 0:
        raise Failure(f"the worker ended with {worker.returncode} on SIGTERM")
    yield "the worker ends within stop_grace_period, with 0"


def main(compose, bundle, folder):
    if os.environ.get("ORIORI_COMPOSE_UP") != "inside":
        os.execvpe("unshare", ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, __file__, compose,
                               bundle, folder], {**os.environ, "ORIORI_COMPOSE_UP": "inside"})
    folder = pathlib.Path(folder).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    loopback_up()
    services, count = Services(compose, pathlib.Path(bundle).resolve(), folder), 0
    try:
        for words in claims(services):
            count += 1
            print(f"  {words}", flush=True)
    except (Failure, subprocess.TimeoutExpired) as trouble:
        print(f"up: {trouble} (logs: {folder})")
        return 1
    finally:
        services.down()
    print(f"up: {count} claims")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
