"""A worker's HTTP window, and Prometheus's own tools on what it shows."""
import re
import subprocess
import urllib.error
import urllib.request

from rig import Failure


def ask(port, path, method="GET"):
    """(status, body); status 0 = nobody listens yet."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()
    except OSError:
        return 0, ""


def samples(text):
    """{(name, labels as written): value}"""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            if (name, labels or "") in found:
                raise Failure(f"the scrape says {name}{{{labels}}} twice")
            found[(name, labels or "")] = float(value)
    return found


def total(scraped, name):
    values = [value for (metric, _), value in scraped.items() if metric == name]
    if not values:
        raise Failure(f"the scrape has no {name}")
    return sum(values)


def table_agrees(page, text):
    """The document's table of metrics and a real scrape name the same: neither has what the other has not. `name_*` in the table is
    for whatever begins so, and must be for something."""
    shown = set(re.findall(r"^# TYPE (\w+) \w+$", text, re.M))
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith(("| `oriori_", "| `process_"))]
    told = {name for row in rows for name in re.findall(r"`((?:oriori|process)_\w+\*?)(?:\{[\w,]*\})?`", row)}
    of_star = {name: {other for other in shown if other.startswith(name[:-1])} for name in told if name.endswith("*")}
    named = {name for name in told if name not in of_star}.union(*of_star.values())
    empty = {name for name, found in of_star.items() if not found}
    if len(shown) < 50 or shown - named or named - shown or empty:
        raise Failure(f"{len(shown)} metrics in the scrape; not in the table: {sorted(shown - named)}; "
                      f"only in the table: {sorted((named - shown) | empty)}")


def promtool_accepts(text):
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    if done.returncode != 0 or done.stdout + done.stderr:
        raise Failure(f"promtool check metrics: status {done.returncode}\n{done.stdout}{done.stderr}")


def names_in(expressions):
    """Every metric of a worker that a query names, as a scrape would show it."""
    return {name for text in expressions for name in re.findall(r"\b(?:oriori_|process_(?=cpu|resident|open|max|start))\w+", text)}
