# Sourced by up and down: where things are and which ports. All of it can be overridden from the environment.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
state=${ORIORI_LOCAL_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/oriori}
mkdir -p "$state" && state=$(cd "$state" && pwd -P)
kafka_port=${ORIORI_LOCAL_KAFKA_PORT:-19092}
controller_port=${ORIORI_LOCAL_CONTROLLER_PORT:-19093}
redis_port=${ORIORI_LOCAL_REDIS_PORT:-16379}
registry_port=${ORIORI_LOCAL_REGISTRY_PORT:-18081}

say() { echo "local: $*" >&2; }
die() { say "$*"; exit 1; }

# The process that we started as NAME and that still runs, or nothing. A pid file alone proves nothing after a reboot,
# when the number may be somebody else's: the process must also live in our state folder.
running() { # NAME
    local pid
    pid=$(cat "$state/$1/pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$state/$1" ] || return 1
    echo "$pid"
}

# Ends NAME by its process id: politely, then not, and waits until it is gone.
end() { # NAME SECONDS
    local pid
    pid=$(running "$1") || { rm -f "$state/$1/pid"; return 0; }
    kill "$pid"
    local tries=$(($2 * 10))
    while kill -0 "$pid" 2>/dev/null; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { say "$1 does not end, killing it"; kill -9 "$pid" 2>/dev/null || true; }
        sleep 0.1
    done
    rm -f "$state/$1/pid"
    say "$1 ended"
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
