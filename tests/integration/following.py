"""Workers that follow their playbook file: a folder as kubelet keeps a ConfigMap's, and what a change of it comes to."""
import re
import signal
import subprocess

from rig import ORIORI, ROOT, SHARDS, Failure, free_port, now_ms, wait_for
from scrape import ask, samples, total


class Folder:
    """files -> ..data/file, ..data -> ..N/: a change is a new folder and one rename of the link."""

    def __init__(self, path, text):
        self.path, self.count = path, 0
        path.mkdir()
        self.put(text)
        (path / "playbook.yaml").symlink_to("..data/playbook.yaml")
        self.playbook = path / "playbook.yaml"

    def put(self, text):
        self.count += 1
        new = self.path / f"..{self.count}"
        new.mkdir()
        (new / "playbook.yaml").write_text(text)
        link = self.path / "..data_tmp"
        link.symlink_to(new.name)
        link.rename(self.path / "..data")


def text_of(name):
    """The default one under another name; its thank-yous have a template of that name."""
    text = (ROOT / "schemas/playbook.yaml").read_text()
    for old, new in (('"default-1"', f'"{name}"'), ("    template: thank_you\n", f"    template: thank_you_{name}\n")):
        if text.count(old) != 1:
            raise Failure(f"the default playbook has not one {old!r} any more")
        text = text.replace(old, new)
    return text


class Followers:
    """Two workers, each with a folder of its own, as two pods have."""

    def __init__(self, rig, load):
        self.rig, self.load = rig, load
        first = (ROOT / "schemas/playbook.yaml").read_text()
        self.folders = {name: Folder(rig.folder / f"{name}.d", first) for name in ("a", "b")}

    def start(self):
        for name, folder in self.folders.items():
            self.rig.start(name, instance_id=name, playbook=str(folder.playbook), playbook_watch=name == "b")

    def put(self, text, names=("a", "b")):
        """Seen by b itself; a is told."""
        for name in names:
            self.folders[name].put(text)
        if "a" in names:
            self.hang_up(["a"])

    def hang_up(self, names):
        for name in names:
            self.rig.signal(name, signal.SIGHUP)

    def said(self, what, name, count=1):
        """What a worker's log says, so often. Under load: the flow goes on meanwhile."""

        def found():
            self.rig.alive()
            self.rig.produce(self.load.take(20))
            return len(re.findall(what, self.rig.log_of(name))) >= count

        wait_for(f"{name} to say {what!r}", 60, found, every=0.2)

    def activations(self, wanted):
        """Of the topics, read by other programs: the numbers and versions, one record for each and each shard."""
        entries = [e for e in self.rig.values("crm.playbook") if e["activation"]]
        made = [(e["activation"], e["version"]) for e in entries]
        if made != wanted:
            raise Failure(f"activations {made}, wanted {wanted}")
        controls = sorted(c["playbook"]["activation"] for c in self.rig.values("crm.forward") if c["kind"] == "playbook")
        if controls != sorted([number for number, _ in wanted] * SHARDS):
            raise Failure(f"control records {controls} of {SHARDS} shards for {wanted}")


def in_force(rig, version):
    def everywhere():
        rig.alive()
        shown = rig.oriori("playbook", "show", "--config", rig.config).stdout
        return shown.count(f"version {version} ") == SHARDS and "all shards and customers" in shown

    wait_for(f"all customers at {version}", 90, everywhere, every=0.3)


def thanks(rig, first, template):
    """Forty new customers' thank-yous, of all shards, are the playbook's that is in force."""
    names = {f"{template}{number}" for number in range(first, first + 40)}
    rig.produce([("orders", {"event_id": name, "customer_id": name, "occurred_at": now_ms(), "kind": "PLACED", "order_id": name})
                 for name in sorted(names)])
    rig.drain()
    found = {a["customer_id"]: a["template"] for a in rig.values("crm.actions")
             if a["customer_id"] in names and a["rule"] == "thank_you"}
    if set(found) != names or set(found.values()) != {template}:
        raise Failure(f"{len(found)} of {len(names)} thanked, with {sorted(set(found.values()))}, wanted {template}")


def two_have_looked_and_not_begun(rig, name, after):
    """One is held up between its look and its fence, when another does it: what it saw must not count any more."""
    path = rig.folder / f"{name}.yaml"
    path.write_text(text_of(name))
    command = [ORIORI, "playbook", "activate", str(path), "--unless-after", str(after), "--config", rig.config]
    late = subprocess.Popen(["stdbuf", "-oL", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    late.stdout.readline()  # it has looked, and counted
    late.send_signal(signal.SIGSTOP)
    first = subprocess.run([*command, "--no-count"], capture_output=True, text=True, timeout=120)
    late.send_signal(signal.SIGCONT)
    said, status = late.communicate(timeout=120)[0], late.returncode
    if first.returncode or f"activation {after + 1}:" not in first.stdout or status not in (0, 75):  # 75: it had fenced, and was fenced
        raise Failure(f"status {first.returncode} and {status}:\n{first.stdout}{first.stderr}{said}")


def a_changed_file_is_activated_once(rig, load):
    workers = Followers(rig, load)
    workers.start()
    rig.produce(load.take(600))
    rig.drain()
    workers.put(text_of("second"))  # both at about the same time
    for name in ("a", "b"):
        workers.said("activation 1: playbook", name)
    workers.activations([(1, "second")])
    in_force(rig, "second")
    thanks(rig, 0, "thank_you_second")

    workers.hang_up(["a", "b"])
    for name in ("a", "b"):
        workers.said("as it was: nothing to do", name)
    workers.put("version: x\n")
    for name in ("a", "b"):
        workers.said(r"refused: what is in force stays.*playbook\.yaml:1:1: ", name)
    workers.activations([(1, "second")])

    workers.put(text_of("third"), ["a"])  # b's kubelet is late; people take it back meanwhile
    workers.said("activation 2: playbook", "a")
    second = next(e["hash"] for e in rig.values("crm.playbook") if e["activation"] == 1)
    rig.oriori("playbook", "activate", "--hash", second.hex()[:12], "--no-count", "--config", rig.config)
    workers.put(text_of("third"), ["b"])
    workers.said("a file that comes late does not take that back", "b")
    workers.activations([(1, "second"), (2, "third"), (3, "second")])
    in_force(rig, "second")

    workers.put(text_of("fourth"))
    workers.hang_up(["a", "b"])  # at the same moment
    for name in ("a", "b"):
        workers.said("activation 4: playbook", name)
    made = [(1, "second"), (2, "third"), (3, "second"), (4, "fourth")]
    workers.activations(made)
    two_have_looked_and_not_begun(rig, "fifth", after=4)
    workers.activations([*made, (5, "fifth")])
    in_force(rig, "fifth")
    thanks(rig, 100, "thank_you_fifth")
    if "puts a file in force" in rig.log_of("b"):
        raise Failure("a worker whose file came a little later advised to put the old one in force again")
    for name in ("a", "b"):
        rig.stop(name)


def broken_file_start(rig, name, path):
    """A worker with that file, and what its window answers."""
    port = free_port()
    rig.start(name, playbook=str(path), monitor={"listen": f"127.0.0.1:{port}"})
    return lambda what: ask(port, what)


def a_broken_file_keeps_nobody_from_serving(rig):
    path, second = rig.folder / "broken.yaml", rig.folder / "second.yaml"
    path.write_text("version: x\n")
    second.write_text(text_of("second"))
    broken_file_start(rig, "first", path)
    status = rig.workers.pop("first").wait(120)
    if status != 1 or "no shard can be born: the playbook file does not compile" not in rig.log_of("first"):
        raise Failure(f"a first cluster with a broken file: status {status}\n{rig.log_of('first')}")

    rig.oriori("playbook", "activate", str(second), "--no-count", "--config", rig.config)  # there is one, but nobody was born
    window = broken_file_start(rig, "unborn", path)
    wait_for("/readyz to say why", 60, lambda: rig.alive() or
             "is not born yet, and cannot be: the playbook file does not compile" in window("/readyz")[1])
    if (window("/readyz")[0], window("/healthz")[0], window("/playbook")[0]) != (503, 200, 404):
        raise Failure(f"it waits for people: {[window(what) for what in ('/readyz', '/healthz', '/playbook')]}")
    rig.stop("unborn")

    rig.start("good")
    in_force(rig, "second")  # born under its own file, each shard comes to the control record when it reads it
    thanks(rig, 0, "thank_you_second")
    rig.stop("good")

    window = broken_file_start(rig, "again", path)
    wait_for("a restart with a broken file to serve", 60, lambda: rig.alive() or window("/readyz")[0] == 200)
    thanks(rig, 100, "thank_you_second")
    if window("/playbook") != (200, second.read_text()) or total(samples(window("/metrics")[1]), "oriori_playbook_file_in_force") != 0:
        raise Failure(f"/playbook: {window('/playbook')[1][:200]}")
    if not re.search(r"broken\.yaml:1:1: ", rig.log_of("again")):
        raise Failure("the log does not say where the file is broken")
    path.write_text(text_of("third"))
    rig.signal("again", signal.SIGHUP)
    wait_for("the mended file in force", 60, lambda: rig.alive() or "activation 2: playbook" in rig.log_of("again"))
    wait_for("everywhere", 60, lambda: rig.alive() or window("/playbook") == (200, path.read_text()))
    thanks(rig, 200, "thank_you_third")
    rig.stop("again")
