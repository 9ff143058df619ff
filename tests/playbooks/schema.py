"""The JSON Schema of playbooks agrees with the compiler."""
import glob
import json
import re
import sys

import jsonschema
import yaml

# What only the compiler can know: conditions' words, what belongs together, what is said twice, YAML itself.
BEYOND_A_SCHEMA = {
    "alias", "condition-bracket", "condition-lone-number", "condition-syntax", "condition-text", "condition-type",
    "duplicate-key", "duplicate-rule", "duplicate-rule-strategy", "internal-by-mail", "internal-without-audience",
    "once-does-not-fit", "tag", "tier-reads-tier", "unknown-fact", "unknown-phase-in-condition", "variants",
    "window-backwards", "calendar-date", "condition-and-sign", "condition-capitals", "condition-curly-quotes",
    "condition-equals-twice", "condition-fraction", "condition-full-width", "condition-number-first", "condition-unequal",
    "condition-unit", "two-in-a-strategy",
}
counts = {"passed": 0, "failed": 0}


def check(name, good, why=""):
    counts["passed" if good else "failed"] += 1
    print(("ok      " if good else "FAILED: ") + name + ("" if good else ": " + why))


def refused(validator, path):
    """The first complaint about a file, or None. A file that is no YAML is refused, too."""
    try:
        with open(path, encoding="utf-8") as file:
            document = yaml.safe_load(file)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return str(error)
    for error in validator.iter_errors(document):
        return error.message[:200]
    return None


def stem(path):
    return re.sub(r".*/|\.yaml$", "", path)


def compiler_keys(path):
    """The keys that an error lists: ... expected a known key (a, b, c), found ..."""
    with open(path, encoding="utf-8") as file:
        return set(re.search(r"known key \(([^)]*)\)", file.read()).group(1).split(", "))


with open("schemas/playbook.schema.json", encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)

for path in ["schemas/playbook.yaml", "tests/playbooks/seed-five-rows.yaml", *sorted(glob.glob("tests/playbooks/doubtful/*.yaml"))]:
    why = refused(validator, path)
    check("accepts " + stem(path), why is None, str(why))
for path in sorted(glob.glob("tests/playbooks/broken/*.yaml")):
    if stem(path) not in BEYOND_A_SCHEMA:
        check("refuses " + stem(path), refused(validator, path) is not None, "accepted")
check("knows the top's keys", compiler_keys("tests/playbooks/broken/unknown-key-top.expected") == set(schema["properties"]))
check("knows a rule's keys", compiler_keys("tests/playbooks/broken/unknown-key-rule.expected")
      == set(schema["properties"]["rules"]["items"]["properties"]))

print(f"{counts['passed']} passed, {counts['failed']} failed, 0 skipped")
sys.exit(1 if counts["failed"] else 0)
