"""Renders the chart with several values and says what does not hold."""
import json
import os
import pathlib
import re
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
              "dashboards.enabled=true", "serviceAccountToken.enabled=true", "serviceAccountName=crm", "podLabels.team=crm",
              "extraEnv[0].name=TZ", "extraEnv[0].value=UTC", "extraVolumes[0].name=ca", "extraVolumes[0].configMap.name=ca",
              "extraVolumeMounts[0].name=ca", "extraVolumeMounts[0].mountPath=/ca"]
SETTINGS = ([], EVERYTHING, ["hpa.enabled=true", "serviceMonitor.enabled=true"])
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
    if any(set(volume) - {"name", "configMap", "secret", "projected"} for volume in pod.get("volumes", [])):
        problems.append("a volume that is neither config nor secret nor token")
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
    # Transactional ids are the whole cluster's: the pod's name alone would be that of a release in another namespace too.
    check("the transactional id is the application's and the pod's", names["ORIORI_TRANSACTIONAL_ID"]["value"] == "oriori-$(POD_NAME)")
    other = of_kind(render("config.application_id=oriori-green"), "StatefulSet")[0]["spec"]["template"]["spec"]["containers"][0]["env"]
    check("another application has other transactional ids",
          {"name": "ORIORI_TRANSACTIONAL_ID", "value": "oriori-green-$(POD_NAME)"} in other)
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
    check("a drain does not wait for pods that serve nothing", budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow")
    selectors = [budget["selector"], of_kind(documents, "PodMonitor")[0]["spec"]["selector"], spread[0]["labelSelector"]]
    pod_labels = stateful["spec"]["template"]["metadata"]["labels"].items()
    check("selectors find the pods", all(s["matchLabels"].items() <= pod_labels for s in selectors))
    grace = stateful["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    check("the end fits into the grace period", grace > 10)  # the worker ends within 10 s of SIGTERM
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
    check_topics_job()
    check_network_policy()
    check_keda()
    check_knobs()


def check_topics_job():
    """Pods are not ready without topics: whoever waits for readiness (helm --wait, Flux, Argo CD) must have the Job by then."""
    jobs = [of_kind(render(*settings), "Job")[0] for settings in ([], ["config.topics.prefix=eu."], ["image.tag=v2"], ["replicas=3"])]
    for job in jobs:
        check("the topics job is no hook", not any("hook" in key for key in job["metadata"].get("annotations", {})))
        check("it stays: one that is gone would be made again and again", "ttlSecondsAfterFinished" not in job["spec"])
    names = [job["metadata"]["name"] for job in jobs]
    check("another content is another Job, as none can be changed", len(set(names[:3])) == 3 and names[3] == names[0], str(names))
    check("the same content is the same Job", jobs[3]["spec"] == jobs[0]["spec"])
    long = of_kind(render("fullnameOverride=" + "a-name-" * 9 + "end"), "Job")[0]["metadata"]["name"]
    check("its name fits into a label", len(long) <= 63 and "--" not in long, long)
    documents = render("tolerations[0].operator=Exists", "nodeSelector.disk=ssd", "priorityClassName=high", "serviceAccountName=crm")
    worker, job = (of_kind(documents, kind)[0]["spec"]["template"] for kind in ("StatefulSet", "Job"))
    for key in ("automountServiceAccountToken", "enableServiceLinks", "tolerations", "nodeSelector", "priorityClassName",
                "serviceAccountName", "securityContext", "volumes"):
        check(f"the job's pod has the workers' {key}", key in job["spec"] and job["spec"][key] == worker["spec"][key])
    check("a Service's variables are kept out", job["spec"].get("enableServiceLinks") is False)
    policy = of_kind(render("networkPolicy.enabled=true"), "NetworkPolicy")[0]["spec"]["podSelector"]
    for template in (worker, job):
        labels = template["metadata"]["labels"]
        check("the network policy holds for workers and job", policy["matchLabels"].items() <= labels.items() and
              all(labels[rule["key"]] in rule["values"] for rule in policy["matchExpressions"]))
    check("no worker's selector finds the job", not of_kind(documents, "StatefulSet")[0]["spec"]["selector"]["matchLabels"].items()
          <= job["metadata"]["labels"].items())
    check("off, where others make topics", not of_kind(render("topicsJob.enabled=false"), "Job"))


def egress(**config):
    """Of a policy with that config: the ports by rule."""
    values = {"config": config, "networkPolicy": {"enabled": True, "kafkaPorts": [], "redisPorts": [], "otherPorts": [4000],
                                                  "kafkaTo": [{"namespaceSelector": {"matchLabels": {"name": "kafka"}}}]}}
    rules = of_kind(render(values=yaml.safe_dump(values)), "NetworkPolicy")[0]["spec"]["egress"]
    check("peers stand where they are named", [rule.get("to") for rule in rules[:3]] == [None, values["networkPolicy"]["kafkaTo"], None])
    return [[port["port"] for port in rule["ports"]] for rule in rules]


def check_network_policy():
    policy = of_kind(render("networkPolicy.enabled=true", "networkPolicy.otherPorts={8081}"), "NetworkPolicy")[0]["spec"]
    ports = [[port["port"] for port in rule["ports"]] for rule in policy["egress"]]
    check("a worker reaches names, Kafka, Redis and what is named", ports == [[53, 53], [9092], [6379], [8081]], str(ports))
    ports = egress(kafka={"bootstrap.servers": "a:9093, b:9094,c"}, redis={"url": "rediss://oriori:x@[fd00::1]:6380/2"},
                   registry={"url": "http://a:8081/apis/ccompat/v7 https://b"}, tracing={"endpoint": "http://otel:4318/v1/traces"},
                   oauth={"url": "https://issuer:8443/token"})
    check("ports that the config names are open", ports == [[53, 53], [9093, 9094, 9092], [6380], [4000, 8081, 443, 4318, 8443]], str(ports))
    ports = egress(redis={"url": "redis-sentinel://s1,s2:26380/oriori"}, registry={"url": "none"})
    check("sentinels too", ports == [[53, 53], [9092], [26379, 26380], [4000]], str(ports))


def triggers(config, **keda):
    documents = render(values=yaml.safe_dump({"config": config, "keda": {"enabled": True, **keda}}))
    return [trigger["metadata"] for trigger in of_kind(documents, "ScaledObject")[0]["spec"]["triggers"]]


def check_keda():
    names = [trigger["topic"] for trigger in triggers({"topics": {"prefix": "eu.", "email_opens": "mail.opened"}})]
    check("KEDA looks at the inputs by their names", names == ["eu.orders", "eu.deliveries", "eu.surveys", "mail.opened", "eu.customers"],
          str(names))
    check("no prefix is one too", triggers({"topics": {"prefix": ""}})[0]["topic"] == "orders")
    check("by default it is the worker's", triggers({})[0]["topic"] == "crm.orders")
    check("topics that are named win", [trigger["topic"] for trigger in triggers({}, topics=["crm.orders"])] == ["crm.orders"])
    safe = triggers({"kafka": {"security.protocol": "SSL"}}, metadata={"tls": "enable"})
    check("what KEDA needs for TLS passes through", all(trigger["tls"] == "enable" for trigger in safe))
    refuses("keda.enabled=true,config.kafka.security\\.protocol=SASL_SSL", "authenticationRef")


def check_knobs():
    documents = render(*EVERYTHING, f"image.digest=sha256:{'a' * 64}", "fullnameOverride=lifecycle")
    check("all names follow fullnameOverride", all(d["metadata"]["name"].startswith("lifecycle") for d in documents))
    for kind in ("StatefulSet", "Job"):
        template = of_kind(documents, kind)[0]["spec"]["template"]
        pod, container = template["spec"], template["spec"]["containers"][0]
        check(f"{kind}: a digest wins over the tag", container["image"] == f"oriori@sha256:{'a' * 64}")
        check(f"{kind}: labels, variables, volumes and mounts are added", template["metadata"]["labels"]["team"] == "crm" and
              {"name": "TZ", "value": "UTC"} in container["env"] and {"name": "ca", "configMap": {"name": "ca"}} in pod["volumes"] and
              {"name": "ca", "mountPath": "/ca"} in container["volumeMounts"])
        tokens = [v["projected"]["sources"][0]["serviceAccountToken"] for v in pod["volumes"] if "projected" in v]
        check(f"{kind}: a token that kubelet renews", tokens == [{"path": "token", "expirationSeconds": 3600}], str(tokens))
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        config = yaml.safe_load(of_kind(documents, "ConfigMap")[0]["data"]["worker.yaml"])
        check(f"{kind}: the config names the token", config["oauth"]["token_file"] == mounts["token"] + "/token")
    own = render("serviceAccountToken.enabled=true", "serviceAccountToken.audience=kafka", "config.oauth.token_file=/ca/token")
    text = json.dumps(of_kind(own, "StatefulSet"))
    check("the token is for whom it is asked", '"audience": "kafka"' in text)
    check("a token file that is named wins", "token_file: /ca/token" in of_kind(own, "ConfigMap")[0]["data"]["worker.yaml"])


# Of the config, what the chart decides itself, or refuses: secrets come by reference, demonstrations not at all.
NOT_FOR_VALUES = {"demo", "log_folder", "transactional_id", "instance_id", "playbook", "monitor", "redis.password",
                  "redis.sentinel_password", "registry.password", "registry.token", "oauth.client_secret",
                  "tracing.headers"}


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
    refuses("config.tracing.headers=hunter2", "headers")
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
    refuses("podMonitor.enabled=true,serviceMonitor.enabled=true", "choose one")
    refuses("podLabels.app\\.kubernetes\\.io/name=other", "podLabels")
    refuses("extraEnv[0].name=ORIORI_TRANSACTIONAL_ID", "extraEnv")
    refuses("image.digest=latest", "digest")


def rules_of(*settings):
    """The alerts as the chart renders them."""
    return of_kind(render("prometheusRule.enabled=true", *settings), "PrometheusRule")[0]["spec"]


def check_scopes():
    rules = [rule for group in rules_of()["groups"] for rule in group["rules"]]
    for rule in rules:
        metrics = re.findall(r"oriori_[a-z_]+(\{[^}]*\})?", rule["expr"])
        check(f"{rule['alert']} looks at its own release", metrics and all('namespace="crm",application="oriori"' in m for m in metrics),
              rule["expr"])
        check(f"{rule['alert']}: no runbook_url of nowhere", "runbook_url" not in rule["annotations"])
    linked = [rule for group in rules_of("prometheusRule.runbookUrl=https://wiki/oriori#")["groups"] for rule in group["rules"]]
    check("each alert links to its row", all(rule["annotations"]["runbook_url"] == "https://wiki/oriori#" + rule["alert"] for rule in linked))
    for kind, field in (("PodMonitor", "podMetricsEndpoints"), ("ServiceMonitor", "endpoints")):
        monitor = of_kind(render(f"{kind[0].lower()}{kind[1:]}.enabled=true", "config.application_id=oriori-green"), kind)[0]
        check(f"{kind} says which application", monitor["spec"][field][0]["relabelings"] ==
              [{"targetLabel": "application", "replacement": "oriori-green"}])


def check_alerts():
    global skipped
    if not shutil.which("promtool"):
        skipped += 1
        print("skipped: alerts, because promtool is not installed (package prometheus)")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules_of()))
        (folder / "green.yaml").write_text(yaml.safe_dump(rules_of("config.application_id=oriori-green")))
        shutil.copy(CHART / "rules.yaml", folder / "plain.yaml")
        for path in (ROOT / "tests/deploy").glob("rules_*.yaml"):
            shutil.copy(path, folder)
        commands = [["check", "rules", "rules.yaml", "green.yaml", "plain.yaml"],
                    *(["test", "rules", path.name] for path in sorted(folder.glob("rules_*.yaml")))]
        check("three files of cases", len(commands) == 4)
        for command in commands:
            done = subprocess.run(["promtool", *command], capture_output=True, text=True, cwd=folder)
            check(f"promtool {' '.join(command)}", done.returncode == 0, done.stdout[-500:] + done.stderr[-500:])
    check_scopes()
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
            yield panel["title"], target["expr"].replace("$namespace", "crm").replace("$application", "oriori").replace("$pod", "w-0")


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
            for document in render(*EVERYTHING) + of_kind(render("serviceMonitor.enabled=true"), "ServiceMonitor"):
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
