#!/usr/bin/env bash
# The demo: nginx, redis-server and a web app under keepwell, in a temporary folder. Started by `contrib/dev demo`.
#   run.sh [--for 20s] [--script]
# --script breaks three things itself and ends with 0 only if each was healed within the time of --for (default 30s).
set -uo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$home/../../.." && pwd)
python=/usr/bin/python3
keepwell=${KEEPWELL_BIN:-$top/build/release/bin/keepwell}
seconds=0
script=0

usage() {
    printf 'usage: contrib/dev demo [--for 20s] [--script]\n' >&2
    exit 2
}
while (($#)); do
    case $1 in
    --for)
        [[ ${2:-} =~ ^([0-9]+)(s|m)?$ ]] || usage
        seconds=${BASH_REMATCH[1]}
        [[ ${BASH_REMATCH[2]} == m ]] && seconds=$((seconds * 60))
        shift 2
        ;;
    --script)
        script=1
        shift
        ;;
    *) usage ;;
    esac
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/keepwell-demo.XXXXXX") && chmod 755 "$dir" || exit 1
runner=

# Every process that works in the folder or names it: also what a failing keepwell would leave behind.
of_the_demo() {
    local process
    for process in /proc/[0-9]*; do
        [[ ${process##*/} == "$$" ]] && continue
        if [[ $(readlink "$process/cwd" 2>/dev/null) == "$dir" ]] || tr '\0' '\n' 2>/dev/null <"$process/cmdline" | grep -qF "$dir"; then
            printf '%s\n' "${process##*/}"
        fi
    done
}

clean_up() {
    trap '' INT TERM
    if [[ -n $runner ]]; then
        timeout 15 "$keepwell" shutdown >/dev/null 2>&1
        # Again and again: one pass may race with something that forks.
        local pid tries=20
        while [[ -n $(of_the_demo) ]] && ((tries-- > 0)); do
            for pid in $(of_the_demo); do kill -KILL "$pid" 2>/dev/null; done
        done
        wait "$runner" 2>/dev/null
    fi
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_ports() {
    $python - <<'PY'
import socket
held = [socket.socket() for _ in range(3)]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
PY
}

start_fleet() {
    [[ -x $keepwell ]] || {
        printf 'cannot start the demo: no %s; run contrib/dev build release\n' "$keepwell" >&2
        exit 1
    }
    read -r DEMO_WEB_PORT DEMO_APP_PORT DEMO_REDIS_PORT < <(free_ports)
    export DEMO_DIR=$dir DEMO_HOME=$home DEMO_WEB_PORT DEMO_APP_PORT DEMO_REDIS_PORT
    export KEEPWELL_SOCKET=$dir/run/control.sock
    sed "s|@DIR@|$dir|g; s|@WEB_PORT@|$DEMO_WEB_PORT|; s|@APP_PORT@|$DEMO_APP_PORT|" "$home/nginx.conf.in" >"$dir/nginx.conf"
    setsid "$keepwell" run -c "$home/keepwell.toml" >"$dir/keepwell.out" 2>&1 </dev/null &
    runner=$!
}

# "PID STATE VERDICT" of one unit, from the file that any panel would read.
look() {
    $python - "$dir/status.json" "$1" 2>/dev/null <<'PY' || echo "- - -"
import json, sys
service = json.load(open(sys.argv[1]))["services"][sys.argv[2]]
print(service["pid"] or "-", service["state"], service["health"]["status"])
PY
}

# Waits until the unit runs healthy with a pid other than $2.
healthy_again() { # unit old-pid seconds
    local pid state verdict end=$((SECONDS + $3))
    while ((SECONDS < end)); do
        read -r pid state verdict < <(look "$1")
        [[ $state == running && $verdict == healthy && $pid != - && $pid != "$2" ]] && return 0
        kill -0 "$runner" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

give_up() {
    printf '\n%s\n\nkeepwell said:\n' "$1" >&2
    tail -n 30 "$dir/keepwell.out" >&2
    "$keepwell" status >&2
    exit 1
}

all_healthy() {
    local unit
    for unit in redis app nginx; do
        healthy_again "$unit" - 30 || give_up "$unit did not become healthy within 30 s"
    done
}

things_to_try() {
    cat <<TEXT

Three things to try in another terminal. First:
    export DEMO=$dir KEEPWELL_SOCKET=$KEEPWELL_SOCKET
    PATH=$(dirname "$keepwell"):\$PATH
Then, each followed by a look at why:
  1 kill a daemon                    kill -9 \$(cat \$DEMO/nginx.pid)
                                     keepwell why nginx
  2 make its health page answer 500  curl -X POST http://127.0.0.1:$DEMO_WEB_PORT/sick
                                     keepwell why app
  3 freeze one with SIGSTOP          kill -STOP \$(cat \$DEMO/redis.pid)
                                     keepwell why redis
Ctrl-C ends the demo and everything it started.
TEXT
}

live() {
    local text last=
    while kill -0 "$runner" 2>/dev/null; do
        ((seconds > 0 && SECONDS >= seconds)) && return 0
        if [[ -t 1 ]]; then
            printf '\033[H\033[2J'
            "$keepwell" status
            things_to_try
        else
            text=$("$keepwell" status)
            # Uptimes change every second; a new table only when something happened.
            [[ ${text//[0-9]/} != "${last//[0-9]/}" ]] && printf '%s\n\n' "$text"
            last=$text
        fi
        sleep 1
    done
    give_up "keepwell ended by itself"
}

break_and_watch() { # text unit command…
    local text=$1 unit=$2 pid rest begin
    shift 2
    read -r pid rest < <(look "$unit")
    printf '\n=== %s\n$ %s\n' "$text" "$*"
    begin=$SECONDS
    "$@" >/dev/null || give_up "cannot run: $*"
    if healthy_again "$unit" "$pid" "${seconds:-30}"; then
        printf 'healed: pid %s is now %s, healthy after about %d s\n\n' "$pid" "$(look "$unit" | cut -d' ' -f1)" $((SECONDS - begin))
    else
        printf 'NOT healed within %s s\n\n' "$seconds"
        failures=$((failures + 1))
    fi
    "$keepwell" status
    printf '\n$ keepwell why %s\n' "$unit"
    "$keepwell" why "$unit" || failures=$((failures + 1))
}

scripted() {
    ((seconds)) || seconds=30
    failures=0
    "$keepwell" status
    break_and_watch "kill nginx" nginx kill -KILL "$(cat "$dir/nginx.pid")"
    break_and_watch "make the app's health page answer 500" app curl -sf -X POST "http://127.0.0.1:$DEMO_WEB_PORT/sick"
    break_and_watch "freeze redis" redis kill -STOP "$(cat "$dir/redis.pid")"
    ((failures == 0)) || give_up "$failures of the three were not healed"
    printf '\nall three were healed\n'
}

start_fleet
all_healthy
if ((script)); then scripted; else
    SECONDS=0
    [[ -t 1 ]] || things_to_try
    live
fi
