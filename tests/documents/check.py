"""What the documents for operators name exists: tests/documents/run."""
import pathlib
import re
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
ORIORI = ROOT / "build/release/oriori"
DEPLOY = (ROOT / "deploy/README.md").read_text()
PERSONAL = (ROOT / "deploy/personal-data.md").read_text()
TESTS = (ROOT / "tests/README.md").read_text()
results = {"passed": 0, "failed": 0}


def check(what, wrong):
    """wrong: what speaks against it; nothing = passed."""
    wrong = list(wrong)
    results["failed" if wrong else "passed"] += 1
    if wrong:
        print(f"FAILED: {what}: {', '.join(map(str, wrong[:8]))}")


def section(text, title):
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text):
    """The first table's rows as lists of cells, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def alerts():
    return set(re.findall(r"- alert: (\w+)", (ROOT / "deploy/helm/oriori/rules.yaml").read_text()))


def test_names():
    """Of every test function of the suites in Python, and of the unit tests in C."""
    found = set()
    for path in (ROOT / "tests").rglob("*.py"):
        found |= set(re.findall(r"^def (\w+)\(", path.read_text(), re.M))
    for path in (ROOT / "tests/unit").glob("*.c"):
        found |= set(re.findall(r"cmocka_unit_test\w*\((\w+)", path.read_text()))
    return found


def runbook():
    table = rows(section(DEPLOY, "Runbook"))
    check("every alert has a row in the runbook, and every row an alert", alerts() ^ {row[0] for row in table})
    check("a row says what the alert means, where to look and what to do",
          [row[0] for row in table if len(row) != 4 or not all(len(cell) > 10 for cell in row[1:])])


def lost_tests(table):
    """Of the tests (*in italics*) and suites (`in code`) that the last column names, those that are not there."""
    names, suites = test_names(), set(subprocess.run([ROOT / "tests/run", "--list"], capture_output=True, text=True,
                                                     check=True).stdout.split())
    words = re.compile(r"(?<!\*)\*([a-z][^*]+)\*(?!\*)")
    for row in table:
        for name in words.findall(row[-1]):
            wanted = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
            if not any(found == wanted or (name.endswith("...") and found.startswith(wanted)) for found in names):
                yield f"{row[0]}: {name}"
        for name in re.findall(r"`([a-z]+)`", row[-1]):
            if name not in suites and not (ROOT / "tests" / name).exists():
                yield f"{row[0]}: suite {name}"


def procedures():
    table = rows(section(DEPLOY, "Procedures"))
    check("every procedure says how, and what shows it", [row[0] for row in table if len(row) != 3 or not row[2]])
    check("every test that a procedure names exists", lost_tests(table))


def personal_data():
    table = rows(section(PERSONAL, "Where it lies"))
    check("every place says what, how long, what ERASED does, and what shows it",
          [row[0] for row in table if len(row) != 5 or not all(row[1:])])
    check("every test that a place names exists", lost_tests(table))


def files():
    """Paths in backticks, seen from the project's top folder, from deploy/ or from beside the document."""
    for name, text in (("deploy", DEPLOY + PERSONAL), ("tests", TESTS)):
        named = {word.split()[0].removeprefix("./") for word in re.findall(r"`([\w./-]+/[\w./-]*[^`]*)`", text)}
        paths = {path for path in named if re.fullmatch(r"(\.ci|common|deploy|tests|schemas|workers|helm|image|examples|local)/[\w./-]+", path)}
        check(f"every file that {name}/README.md names exists",
              [path for path in sorted(paths) if not any((base / path).exists() for base in (ROOT, ROOT / name, ROOT / "tests/integration"))])


def commands():
    known = set(re.findall(r"^  (\w+) ", subprocess.run([ORIORI, "help"], capture_output=True, text=True).stdout, re.M))
    named = set(re.findall(r"(?:`| )oriori (\w+) ", PERSONAL)) | set(re.findall(r"`oriori (\w+)", DEPLOY))
    check("every subcommand that the documents name exists", named - known)


def keys():
    """Config keys in backticks, as `redis.url` or `sends_per_second: N`."""
    reference = yaml.safe_load(subprocess.run([ORIORI, "config", "reference"], capture_output=True, text=True, check=True).stdout)
    tops = {key for key, value in reference.items() if isinstance(value, dict)} - {"kafka"}
    known = {f"{top}.{key}" for top in tops for key in reference[top]} | set(reference)
    secrets = {f"{key}_file" for key in known if key.rsplit(".", 1)[-1].endswith(("password", "token", "secret", "headers"))}
    named = {word for word in re.findall(r"`(\w+\.\w+)(?::[^`]*)?`", DEPLOY + PERSONAL) if word.split(".")[0] in tops}
    check("every config key that the documents name exists", named - known - secrets)


def examples():
    for path in sorted((ROOT / "deploy/examples").glob("*.yaml")):
        done = subprocess.run([ORIORI, "config", "check", path], capture_output=True, text=True)
        check(f"{path.name} is a good config", [done.stderr] if done.returncode else [])


for part in (runbook, procedures, personal_data, files, commands, keys, examples):
    part()
print(f"{results['passed']} passed, {results['failed']} failed, 0 skipped")
sys.exit(results["failed"] > 0)
