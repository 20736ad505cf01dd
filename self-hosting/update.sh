#!/bin/sh
# Update Mailstead to another version of its image; if that version fails, everything goes back: code, settings, data.
#
#   self-hosting/update.sh 1.2.0          the version is a tag of the image
#   self-hosting/update.sh --help
#
# 1. The image is pulled, and a backup is made while everything runs (backup.target must be set).
# 2. The new version restores that backup aside and looks it over: what it does to the stores is rehearsed on a copy.
# 3. The old version stops; what has changed since is backed up. Senders keep their mail for us meanwhile.
# 4. The new version starts on the real data with no port open to others, and a message must come through it.
# 5. Only then the ports are its own. If 4 fails, the data of 3 comes back and the old version goes on.
set -eu

usage() {
    sed -n '2,5p' "$0" | sed 's/^# \{0,1\}//'
    echo 'Options: --folder DIR (of compose.yaml; here by default), --limit SECONDS (for the new version to be well; 60)'
}

folder=. limit=60 new=
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --folder) folder=${2:?--folder needs a directory}; shift ;;
        --limit) limit=${2:?--limit needs seconds}; shift ;;
        -*) echo "update: $1 is not known; see --help" >&2; exit 2 ;;
        *) new=$1 ;;
    esac
    shift
done
[ -n "$new" ] || { usage >&2; exit 2; }
cd "$folder"

say() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" | tee -a update.log; }
fail() { say "FAILED: $*"; exit 1; }

[ -f compose.yaml ] || { echo "update: there is no compose.yaml in $PWD; name its folder with --folder" >&2; exit 2; }
[ -f .env ] || { echo "update: there is no .env in $PWD; make one that has MAILSTEAD_TAG=..." >&2; exit 2; }
old=$(sed -n 's/^MAILSTEAD_TAG=//p' .env | tail -n 1)
[ -n "$old" ] || { echo "update: .env does not pin the version: add a line MAILSTEAD_TAG=... with the one that runs" >&2; exit 2; }
[ "$old" != "$new" ] || { echo "update: $new is the version that runs"; exit 0; }
is_version() { printf '%s' "$1" | grep -Eq '^v?[0-9]+(\.[0-9]+)*$'; }
if is_version "$old" && is_version "$new" && [ "$(printf '%s\n%s\n' "$old" "$new" | sort -V | tail -n 1)" = "$old" ]; then
    echo "update: $new is older than $old, which runs: an older version cannot read what a newer one has written." >&2
    echo 'To go back to a day, restore a backup of that day with the version of that day.' >&2
    exit 2
fi

# Variables of the shell stand above those of .env, so this alone chooses the image.
with() { tag=$1; shift; MAILSTEAD_TAG=$tag docker compose "$@"; }
once() { tag=$1; shift; with "$tag" run --rm --no-deps -T "$@" </dev/null; }

[ -n "$(docker compose ps -q mailstead)" ] || fail 'the service mailstead does not run; start it first (split is not supported)'
say "from $old to $new"
with "$new" pull -q mailstead || fail "the image $new cannot be pulled; nothing was changed"
docker compose exec -T mailstead mailstead backup </dev/null >>update.log 2>&1 ||
    fail 'no backup could be made, and without one nothing is updated (backup.target; see update.log)'
once "$new" mailstead backup drill >>update.log 2>&1 ||
    fail "$new cannot take over a copy of the data (see update.log); $old goes on as before, nothing was changed"

# From here on the way leads through, or back: one that ends in between, by Ctrl-C or a lost line, would leave nobody running.
trap '' INT TERM HUP
say "$old stops; this cannot be interrupted until $new or $old runs"
with "$old" stop -t 60 mailstead
snapshot=$(once "$old" mailstead --json backup 2>>update.log | sed -n 's/^ *"snapshot": "\([^"]*\)".*/\1/p')
if [ -z "$snapshot" ]; then
    with "$old" up -d --wait mailstead
    fail "the last backup could not be made (see update.log); $old runs again"
fi

trial=mailstead-trial-$$
is_well() {
    until docker exec "$trial" mailstead health >/dev/null 2>&1; do
        [ "$(docker inspect -f '{{.State.Running}}' "$trial" 2>/dev/null)" = true ] || return 1
        [ "$(date +%s)" -lt "$1" ] || return 1
        sleep 1 # between two questions; the container tells nobody when it is well
    done
    docker exec "$trial" mailstead trial >>update.log 2>&1 </dev/null
}
say "$new is tried, without a port to others"
# Without the queue: what it sent now would go out again if the data came back.
if with "$new" run -d --no-deps --name "$trial" -e MAILSTEAD_SERVER_SERVICES=mx,submission,imap,pop3,sieve,web \
    mailstead >/dev/null 2>>update.log &&
    is_well $(($(date +%s) + limit)); then
    docker stop -t 60 "$trial" >/dev/null
    docker rm "$trial" >/dev/null
    cp -p .env .env.before-update
    sed "s/^MAILSTEAD_TAG=.*/MAILSTEAD_TAG=$new/" .env.before-update >.env.new
    cat .env.new >.env # the file stays the same, with its owner and rights
    rm .env.new
    docker compose up -d --wait --wait-timeout "$limit" mailstead >>update.log 2>&1 ||
        fail "$new is well and its ports are not: see docker compose ps, docker compose logs; the data are its own by now"
    say "done: $new runs"
    exit 0
fi

say "$new is not well; everything goes back to $old"
docker logs --tail 40 "$trial" >>update.log 2>&1 || true
docker rm -f "$trial" >/dev/null 2>&1 || true
# Put aside, not removed: should the restore fail, it is still there. A single quote, as the container's shell expands it.
# shellcheck disable=SC2016
with "$old" run --rm --no-deps -T --entrypoint sh mailstead -c '
    cd /var/lib/mailstead && mkdir -p scratch/failed &&
    for each in * .[!.]*; do [ "$each" = scratch ] || [ ! -e "$each" ] || mv "$each" scratch/failed/ || exit 1; done' \
    </dev/null || fail "the data could not be put aside; nothing is lost: the backup is $snapshot"
once "$old" mailstead restore "$snapshot" >>update.log 2>&1 ||
    fail "the backup $snapshot could not be restored (see update.log); the data of $new are in scratch/failed of the volume"
with "$old" up -d --wait mailstead >>update.log 2>&1 ||
    fail "$old does not start on the data that came back (see docker compose logs)"
with "$old" run --rm --no-deps -T --entrypoint rm mailstead -r /var/lib/mailstead/scratch/failed </dev/null || true
fail "$new was not well (see update.log); $old runs again, with all mail"
