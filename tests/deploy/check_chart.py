"""Renders the chart with several values and says what does not hold."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

import kubeconform_schemas

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/oriori"
HELM, HELM3 = os.environ["HELM"], os.environ["HELM3"]
VERSIONS = ["1.32", "1.34", "1.36", "1.37"]  # of Kubernetes
EVERYTHING = ["keda.enabled=true", "podMonitor.enabled=true", "prometheusRule.enabled=true", "networkPolicy.enabled=true",
              "dashboards.enabled=true", "serviceMonitor.enabled=true"]
SETTINGS = ([], EVERYTHING, ["hpa.enabled=true"])
OWN_KINDS = {"ScaledObject", "PodMonitor", "ServiceMonitor", "PrometheusRule"}  # their schemas are not Kubernetes' own
passed = failed = skipped = 0


def check(name, holds, detail=""):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {name}{': ' if detail else ''}{detail}")


def helm(*arguments, values=None, program=HELM):
    command = [program, *arguments]
    if values is not None:
        command += ["-f", "-"]
    return subprocess.run(command, input=values, capture_output=True, text=True)


def render(*settings, values=None):
    flags = [flag for setting in settings for flag in ("--set", setting)]
    done = helm("template", "shop", str(CHART), "--namespace", "crm", *flags, values=values)
    check(f"renders with {settings or 'defaults'}", done.returncode == 0, done.stderr.strip())
    return [document for document in yaml.safe_load_all(done.stdout) if document] if done.returncode == 0 else []


def of_kind(documents, kind):
    return [document for document in documents if document["kind"] == kind]


def refuses(setting, word):
    for program, name in ((HELM, "Helm 4"), (HELM3, "Helm 3")):
        done = helm("template", "shop", str(CHART), "--set", setting, program=program)
        check(f"{name} refuses {setting}", done.returncode != 0 and word in done.stderr, done.stderr.strip()[-200:])


def restricted(pod):
    """What the restricted Pod Security profile asks for."""
    problems = []
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot"):
        problems.append("may run as root")
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        problems.append("no seccomp profile")
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            problems.append("privilege escalation")
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            problems.append("keeps capabilities")
        if own.get("readOnlyRootFilesystem") is not True:
            problems.append("can write its image")
    if any(set(volume) - {"name", "configMap", "secret"} for volume in pod.get("volumes", [])):
        problems.append("a volume that is neither config nor secret")
    return problems


def check_helm_3():
    """The two Helms have the versions that they are here for, and render alike but for blank lines."""
    for program, major in ((HELM, "v4."), (HELM3, "v3.")):
        done = helm("version", "--short", program=program)
        check(f"a Helm {major[1]} is tested", done.stdout.startswith(major), done.stdout + done.stderr)
        done = helm("lint", "--strict", str(CHART), program=program)
        check(f"helm {major[1]} lint --strict", done.returncode == 0, done.stdout)
    for settings in SETTINGS:
        flags = [flag for setting in settings for flag in ("--set", setting)]
        done = helm("template", "shop", str(CHART), "--namespace", "crm", *flags, program=HELM3)
        documents = [document for document in yaml.safe_load_all(done.stdout) if document]
        check(f"Helm 3 renders {settings or 'defaults'} as Helm 4 does", documents and documents == render(*settings), done.stderr)


def strictly_valid(document, version):
    """What is wrong with it in that Kubernetes, or nothing."""
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except Exception as error:  # the package has one exception per kind of fault
        return str(error).splitlines()[0]
    return ""


def check_documents():
    for settings in SETTINGS:
        for document in render(*settings):
            if document["kind"] in OWN_KINDS:
                continue
            for version in VERSIONS:
                problem = strictly_valid(document, version)
                check(f"{document['kind']} is strictly valid in {version}", not problem, problem)
            pod = document.get("spec", {}).get("template", {}).get("spec")
            if pod:
                check(f"{document['kind']} is restricted", not restricted(pod), ", ".join(restricted(pod)))


def check_promises():
    documents = render(*EVERYTHING)
    stateful = of_kind(documents, "StatefulSet")[0]
    container = stateful["spec"]["template"]["spec"]["containers"][0]
    names = {variable["name"]: variable for variable in container["env"]}
    check("the pod's name is the transactional id", names["ORIORI_TRANSACTIONAL_ID"]["value"] == "$(POD_NAME)")
    check("the pod's name is the instance id", names["ORIORI_INSTANCE_ID"]["value"] == "$(POD_NAME)")
    check("POD_NAME stands before its use", list(names)[0] == "POD_NAME")
    check("pods start in parallel", stateful["spec"]["podManagementPolicy"] == "Parallel")
    check("KEDA owns the replicas", "replicas" not in stateful["spec"])
    scaled = of_kind(documents, "ScaledObject")[0]["spec"]
    check("timers need a worker", scaled["minReplicaCount"] >= 1)
    check("internal topics do not scale", not any("forward" in t["metadata"]["topic"] for t in scaled["triggers"]))
    few = of_kind(render("keda.enabled=true", "config.shards=3"), "ScaledObject")[0]["spec"]
    check("never more pods than shards", few["maxReplicaCount"] == 3)
    config = yaml.safe_load(of_kind(documents, "ConfigMap")[0]["data"]["worker.yaml"])
    program = ROOT / "build/release/oriori"
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "worker.yaml"
        path.write_text(yaml.safe_dump(config))
        done = subprocess.run([program, "config", "check", str(path)], capture_output=True, text=True)
        check("the worker takes the rendered config", done.returncode == 0, done.stderr.strip()[-300:])
    scaler = of_kind(render("hpa.enabled=true", "config.shards=3"), "HorizontalPodAutoscaler")[0]["spec"]
    check("never more pods than shards, by CPU", scaler["maxReplicas"] == 3 and scaler["minReplicas"] >= 1)
    check("the HPA owns the replicas", "replicas" not in of_kind(render("hpa.enabled=true"), "StatefulSet")[0]["spec"])
    spread = stateful["spec"]["template"]["spec"]["topologySpreadConstraints"]
    check("pods spread over machines and zones", [s["topologyKey"] for s in spread] ==
          ["kubernetes.io/hostname", "topology.kubernetes.io/zone"])
    budget = of_kind(documents, "PodDisruptionBudget")[0]["spec"]
    selectors = [budget["selector"], of_kind(documents, "NetworkPolicy")[0]["spec"]["podSelector"],
                 of_kind(documents, "PodMonitor")[0]["spec"]["selector"], spread[0]["labelSelector"]]
    pod_labels = stateful["spec"]["template"]["metadata"]["labels"].items()
    check("selectors find the pods", all(s["matchLabels"].items() <= pod_labels for s in selectors))
    grace = stateful["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    check("the end fits into the grace period", grace > 10)  # the worker ends within 10 s of SIGTERM
    policy = of_kind(render("networkPolicy.enabled=true", "networkPolicy.otherPorts={8081}"), "NetworkPolicy")[0]["spec"]
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    check("a worker reaches names, Kafka, Redis and what is named", ports == {53, 9092, 6379, 8081}, str(ports))
    secret = render(values="secretEnvironment: [{name: ORIORI_REDIS_PASSWORD, secret: redis, key: password}]")
    text = json.dumps(of_kind(secret, "StatefulSet"))
    check("a secret comes by reference", '"secretKeyRef": {"name": "redis", "key": "password"}' in text)
    files = render(values="secretFiles: [{name: tls, secret: kafka-client-tls}]")
    pod = of_kind(files, "StatefulSet")[0]["spec"]["template"]["spec"]
    check("an existing secret is mounted read-only", {"name": "secret-tls", "mountPath": "/etc/oriori-secrets/tls",
                                                      "readOnly": True} in pod["containers"][0]["volumeMounts"])
    # A secret's files are root's; kubelet gives them to the group that the pod names, and to nobody else's eyes.
    modes = [volume["secret"]["defaultMode"] for volume in pod["volumes"] if "secret" in volume]
    check("the worker can read it, others cannot", modes == [0o440] and
          pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"])
    pods = [of_kind(render(*settings), "StatefulSet")[0]["spec"]["template"] for settings in ([], ["config.decisions=all"])]
    check("another config restarts the pods", pods[0] != pods[1])
    check_playbook()


# Of the config, what the chart decides itself, or refuses: secrets come by reference, demonstrations not at all.
NOT_FOR_VALUES = {"demo", "log_folder", "transactional_id", "instance_id", "playbook", "monitor", "redis.password",
                  "redis.sentinel_password", "registry.password", "registry.token", "oauth.client_secret"}


def settable():
    """The reference's keys and defaults, as `config` of the values may have them."""
    reference = yaml.safe_load(subprocess.run([ROOT / "build/release/oriori", "config", "reference"], capture_output=True, text=True,
                                              check=True).stdout)
    found = {}
    for key, value in reference.items():
        if isinstance(value, dict) and key != "kafka":
            value = {name: inner for name, inner in value.items() if f"{key}.{name}" not in NOT_FOR_VALUES}
        if key not in NOT_FOR_VALUES:
            found[key] = value
    return found


def check_every_key():
    """Whatever the reference has can be said in the values, and arrives as it was said, large numbers too."""
    config = settable()
    check("the reference has its keys", len(config) > 15 and len(config["redis"]) > 6 and "listen" not in str(config))
    config["kafka"] |= {"client.rack": "zone-a", "queued.max.messages.kbytes": 2000000, "sasl.username": "oriori",
                        "sasl.password_file": "/etc/oriori-secrets/kafka/password", "producer": {"linger.ms": 7}}
    config |= {"sends_per_second": 10000, "shards": 64}
    config["batch"]["records"] = 100000
    for program in (HELM, HELM3):
        done = helm("template", "shop", str(CHART), values=yaml.safe_dump({"config": config}), program=program)
        check("every key of the reference is taken", done.returncode == 0, done.stderr.strip()[-300:])
        documents = [document for document in yaml.safe_load_all(done.stdout) if document] if done.returncode == 0 else []
        for map_ in of_kind(documents, "ConfigMap"):
            text = map_["data"]["worker.yaml"]
            rendered = yaml.safe_load(text)
            check("every key arrives", {key: rendered.get(key) for key in config} == config,
                  str([key for key in config if rendered.get(key) != config[key]]))
            check("numbers are written out", "e+" not in text)
    refuses("config.registry.token=hunter2", "token")
    refuses("config.oauth.client_secret=hunter2", "client_secret")
    refuses("config.kafka.sasl\\.password=hunter2", "sasl.password")


def check_playbook():
    """Another text changes the ConfigMap alone, and the pods follow it: they look, and the mount is one that kubelet renews."""
    one, other = (render(values=f"playbook: |\n  version: {name}\n") for name in ("one", "other"))
    texts = [of_kind(documents, "ConfigMap")[0]["data"]["playbook.yaml"] for documents in (one, other)]
    check("the ConfigMap has the playbook's text", texts == ["version: one\n", "version: other\n"], str(texts))
    check("another text restarts no pod", of_kind(one, "StatefulSet") == of_kind(other, "StatefulSet"))
    check("another text changes nothing else", [d for d in one if d["kind"] != "ConfigMap"] == [d for d in other if d["kind"] != "ConfigMap"])
    config = yaml.safe_load(of_kind(one, "ConfigMap")[0]["data"]["worker.yaml"])
    check("the pods look at the playbook file", config["playbook"] == "playbook.yaml" and config["playbook_watch"] is True)
    mounts = of_kind(one, "StatefulSet")[0]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    check("kubelet renews the mounted file", [m for m in mounts if m["name"] == "config"] ==
          [{"name": "config", "mountPath": "/etc/oriori", "readOnly": True}])  # a subPath would stay as it was


def check_refusals():
    refuses("replicas=two", "replicas")
    refuses("config.shards=0", "shards")
    refuses("config.demo=true", "demo")
    refuses("config.redis.password=hunter2", "redis")
    refuses("imagee.tag=1", "imagee")
    refuses("keda.minReplicas=0", "minReplicas")
    refuses("hpa.enabled=true,keda.enabled=true", "choose one")
    refuses("hpa.minReplicas=0", "minReplicas")


def check_alerts():
    global skipped
    if not shutil.which("promtool"):
        skipped += 1
        print("skipped: alerts, because promtool is not installed (package prometheus)")
        return
    for command in (["check", "rules", str(CHART / "rules.yaml")],
                    ["test", "rules", str(ROOT / "tests/deploy/rules_test.yaml")]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True)
        check(f"promtool {' '.join(command[:2])}", done.returncode == 0, done.stdout[-500:] + done.stderr[-500:])
    alerts = {rule["alert"] for group in yaml.safe_load((CHART / "rules.yaml").read_text())["groups"] for rule in group["rules"]}
    tested = yaml.safe_load((ROOT / "tests/deploy/rules_test.yaml").read_text())["tests"]
    fired = {case["alertname"] for test in tested for case in test["alert_rule_test"] if case.get("exp_alerts")}
    silent = {case["alertname"] for test in tested for case in test["alert_rule_test"] if not case.get("exp_alerts")}
    check("every alert is shown to fire", alerts == fired, str(alerts - fired))
    check("every alert is shown to be silent", alerts == silent, str(alerts - silent))


def expressions(dashboard):
    """(title, query) of every panel, with Grafana's variables as Prometheus would get them."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$namespace", "crm").replace("$pod", "w-0")


def check_dashboards():
    """As the ConfigMap holds them. That each metric exists in a real scrape is checked by the suite `kafka`."""
    maps = [d for d in of_kind(render("dashboards.enabled=true"), "ConfigMap") if d["metadata"]["name"].endswith("-dashboards")]
    check("one ConfigMap of dashboards, found by its label",
          len(maps) == 1 and maps[0]["metadata"]["labels"]["grafana_dashboard"] == "1")
    check("off by default", not any(d["metadata"]["name"].endswith("-dashboards") for d in of_kind(render(), "ConfigMap")))
    for name, text in maps[0]["data"].items():
        check(f"{name} is the file", json.loads(text) == json.loads((CHART / "dashboards" / name).read_text()))
        dashboard = json.loads(text)
        ids = [panel["id"] for panel in dashboard["panels"]]
        check(f"{name}: a uid, ids of its own", bool(dashboard["uid"]) and len(set(ids)) == len(ids))
        queries = list(expressions(dashboard))
        check(f"{name}: every panel asks", {title for title, _ in queries} ==
              {panel["title"] for panel in dashboard["panels"] if panel["type"] != "row"})
        check(f"{name}: no data source of somebody's", all(target["datasource"]["uid"] == "${datasource}"
              for panel in dashboard["panels"] for target in panel.get("targets", [])))
        check(f"{name}: no variable is left", not any("$" in query for _, query in queries))
        if shutil.which("promtool"):
            rules = {"groups": [{"name": name, "rules": [{"record": "x:y", "expr": query} for _, query in queries]}]}
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                yaml.safe_dump(rules, file)
                file.flush()
                done = subprocess.run(["promtool", "check", "rules", "--lint=none", file.name], capture_output=True, text=True)
            check(f"{name}: promtool parses the {len(queries)} queries", done.returncode == 0, done.stdout + done.stderr)


def check_with_kubeconform():
    """All kinds, those of KEDA and of the Prometheus operator by the schemas in their CRDs; a misspelt field is found."""
    kubeconform = os.environ.get("KUBECONFORM")
    if not kubeconform:  # it takes a minute to build: under --all only
        return
    with tempfile.TemporaryDirectory() as folder:
        crds = kubeconform_schemas.write(pathlib.Path(folder), VERSIONS, os.environ["CRDS"].split(":"))
        check("the CRDs have all other kinds", OWN_KINDS <= crds, str(OWN_KINDS - crds))
        for version in VERSIONS:
            for settings in SETTINGS:
                problem = conforms(kubeconform, folder, version, render(*settings))
                check(f"kubeconform {version} takes {settings or 'defaults'}", not problem, problem)
            for document in render(*EVERYTHING):
                document["spec" if "spec" in document else "metadata"]["misspelt"] = 1
                check(f"kubeconform {version} refuses a misspelt field in {document['kind']}",
                      "misspelt" in conforms(kubeconform, folder, version, [document]))


def conforms(kubeconform, folder, version, documents):
    location = folder + "/{{.NormalizedKubernetesVersion}}-standalone{{.StrictSuffix}}/{{.ResourceKind}}{{.KindSuffix}}.json"
    done = subprocess.run([kubeconform, "-strict", "-kubernetes-version", version + ".0", "-schema-location", location],
                          input=yaml.safe_dump_all(documents), capture_output=True, text=True)
    return (done.stdout + done.stderr).strip() if done.returncode else ""


check_helm_3()
check_documents()
check_with_kubeconform()
check_promises()
check_every_key()
check_dashboards()
check_refusals()
check_alerts()
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(failed != 0)
