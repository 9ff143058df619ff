#!/bin/bash
# Installs what a part of the project needs, from the distribution (Debian 12 or 13), and nothing that is there already.
#
#   deploy/install.sh build          compiler and libraries of oriori
#   deploy/install.sh test           what the test suites need
#   deploy/install.sh kafka          a JDK and Maven, for the real Kafka of deploy/local
#   deploy/install.sh redis          Redis alone
#   deploy/install.sh demo           what deploy/demo needs beside build
#
# Safe to run twice. Needs root or sudo only when something is missing.
set -euo pipefail

packages_build=(gcc libc6-dev cmake ninja-build pkg-config librdkafka-dev libhiredis-dev libmicrohttpd-dev libavro-dev libyaml-dev
                libcurl4-openssl-dev libjansson-dev libxxhash-dev nettle-dev tzdata)
packages_test=(clang libclang-rt-dev libcmocka-dev redis-server python3 python3-yaml python3-jsonschema jq kcat git openssl
               prometheus)
packages_demo=(redis-server python3 jq tzdata)

die() {
    echo "install: $*" >&2
    exit 1
}

installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
want() {
    local package
    for package in "$@"; do
        installed "$package" || missing+=("$package")
    done
}

# A JDK or Maven from elsewhere is as good as the distribution's.
want_kafka() {
    command -v java >/dev/null || missing+=(default-jre-headless)
    command -v mvn >/dev/null || missing+=(maven)
    want kcat jq
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        die "these packages are missing: ${missing[*]}; run this as root, or install sudo"
    fi
}

apt_get() {
    as_root apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

install_missing() {
    local log
    echo "install: ${missing[*]}" >&2
    log=$(mktemp)
    # The daemons of packages (redis-server) are not wanted as services here: RUNLEVEL=1 keeps SysV ones from starting.
    if ! { apt_get update && RUNLEVEL=1 apt_get install --no-install-recommends -y "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install: ${missing[*]}"
    fi
    rm -f "$log"
}

[ $# -gt 0 ] || die "which part? build, test, kafka, redis, demo"
for part in "$@"; do
    case $part in
    build | test | kafka | redis | demo) ;;
    *) die "no part named '$part'; there are build, test, kafka, redis, demo" ;;
    esac
done
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "this script knows Debian's apt only; on another system install the packages that it names by hand"
fi
for part in "$@"; do
    case $part in
    build) want "${packages_build[@]}" ;;
    test) want "${packages_test[@]}" ;;
    kafka) want_kafka ;;
    redis) want redis-server ;;
    demo) want "${packages_demo[@]}" ;;
    esac
done
[ ${#missing[@]} -eq 0 ] || install_missing
