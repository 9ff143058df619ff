#!/bin/bash
# The demo shop's playbook, on standard output: the default one (schemas/playbook.yaml), word for word, but for the shop's
# currency and time zone and a version of its own. Its products are the default's: TRIAL-*, PREMIUM-*, RELATED-*.
set -euo pipefail
default=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/schemas/playbook.yaml
sed -e 's/^version: "default/version: "demo-shop/' \
    -e 's/^currency: JPY/currency: GBP/' \
    -e 's/^time_zone: Asia\/Tokyo/time_zone: Europe\/London/' "$default"
