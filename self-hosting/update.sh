#!/bin/sh
# Update Mailstead to another version of its image; if that version fails, everything goes back: code, settings, data.
#
#   self-hosting/update.sh 1.2.0          the version is a tag of the image
#   self-hosting/update.sh --newest       the version that the tag `latest` is; for the timer (MAILSTEAD_UPDATE=off: none)
#   self-hosting/update.sh --resume       finish what a power cut has interrupted; nothing if there is nothing
#   self-hosting/update.sh --help
#
# 1. The image is pulled, and a backup is made while everything runs (backup.target must be set).
# 2. The new version restores that backup aside and looks it over: what it does to the stores is rehearsed on a copy.
# 3. The old version stops; what has changed since is backed up. Senders keep their mail for us meanwhile.
# 4. The new version starts on the real data with no port open to others, and a message must come through it.
# 5. Only then the ports are its own. If 4 fails, the data of 3 comes back and the old version goes on.
#
# From 2 on the image is named by its digest, in .env too: what was rehearsed is what runs. How far it has come stands in
# .update-state, so that the next run knows the way: back before 5, on from there.
set -eu

usage() {
    sed -n '2,7p' "$0" | sed 's/^# \{0,1\}//'
    echo 'Options: --folder DIR (of compose.yaml; here by default), --limit SECONDS (for the new version to be well; 60)'
}

folder=. limit=60 new='' is_newest='' is_resume=''
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --folder) folder=${2:?--folder needs a directory}; shift ;;
        --limit) limit=${2:?--limit needs seconds}; shift ;;
        --newest) is_newest=yes ;;
        --resume) is_resume=yes ;;
        -*) echo "update: $1 is not known; see --help" >&2; exit 2 ;;
        *) new=$1 ;;
    esac
    shift
done
[ -n "$new$is_newest$is_resume" ] || { usage >&2; exit 2; }
[ -z "$new" ] || [ -z "$is_newest" ] || { echo "update: name a version, or --newest, not both" >&2; exit 2; }
cd "$folder"

say() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" | tee -a update.log; }
fail() { say "FAILED: $*"; exit 1; }

[ -f compose.yaml ] || { echo "update: there is no compose.yaml in $PWD; name its folder with --folder" >&2; exit 2; }
[ -f .env ] || { echo "update: there is no .env in $PWD; make one that has MAILSTEAD_TAG=..." >&2; exit 2; }
setting() { sed -n "s/^$1=//p" .env | tail -n 1 | tr -d "'\""; }
[ -n "$(setting MAILSTEAD_TAG)" ] ||
    { echo "update: .env does not pin the version: add a line MAILSTEAD_TAG=... with the one that runs" >&2; exit 2; }
image=$(setting MAILSTEAD_IMAGE)
image=${image:-mailstead}

# Held until the end, by what we have started as well: a second run could do nothing but harm.
exec 9>.update.lock
flock -n 9 || { echo 'update: another update is running; nothing was done' >&2; exit 1; }

# Variables of the shell stand above those of .env, so this alone chooses the image.
apart=''
with() { tag=$1; shift; MAILSTEAD_TAG=$tag $apart docker compose "$@"; }
once() { tag=$1; shift; with "$tag" run --rm --no-deps -T "$@" </dev/null; }
label() { docker image inspect -f "{{index .Config.Labels \"org.opencontainers.image.$1\"}}" "$2"; }
without_digest() { printf '%s' "${1%%@*}"; }

# From the stop on the way leads through, or back: one that ends in between, by Ctrl-C or a lost line, would leave nobody
# running. What we start is in a session of its own, since the terminal tells everybody in ours.
do_not_stop() {
    trap '' INT TERM HUP
    apart='setsid -w'
}
# Whole and on the disk, or not at all: the power may go at any moment.
put() {
    cat >"$1.new"
    sync "$1.new"
    mv "$1.new" "$1"
    sync .
}
note() { printf 'phase=%s\nold=%s\nnew=%s\nsnapshot=%s\n' "$1" "$old_pin" "$new_pin" "${snapshot:-}" | put .update-state; }
noted() { sed -n "s/^$1=//p" .update-state; }
forget() { rm -f .update-state; sync .; }

switch() {
    note switching
    cp -p .env .env.before-update
    cp -p .env .env.new # it keeps owner and rights
    sed "s|^MAILSTEAD_TAG=.*|MAILSTEAD_TAG=$new_pin|" .env.before-update | put .env
    with "$new_pin" up -d --wait --wait-timeout "$limit" mailstead >>update.log 2>&1 ||
        fail "$new is well and its ports are not: see docker compose ps, docker compose logs; the data are its own by now"
    forget
    say "done: $new runs"
}

go_back() {
    note 'going back'
    # Put aside, not removed: should the restore fail, it is still there; each try has a folder of its own.
    # Single quotes, as the container's shell expands it.
    # shellcheck disable=SC2016
    with "$old_pin" run --rm --no-deps -T --entrypoint sh mailstead -c '
        cd /var/lib/mailstead && mkdir -p scratch/failed && aside=$(mktemp -d scratch/failed/XXXXXX) &&
        for each in * .[!.]*; do [ "$each" = scratch ] || [ ! -e "$each" ] || mv "$each" "$aside/" || exit 1; done' \
        </dev/null || fail "the data could not be put aside; nothing is lost: the backup is $snapshot"
    once "$old_pin" mailstead restore --send-queue "$snapshot" >>update.log 2>&1 ||
        fail "the backup $snapshot could not be restored (see update.log); the data of $new are in scratch/failed of the volume"
    with "$old_pin" up -d --wait mailstead >>update.log 2>&1 ||
        fail "$old does not start on the data that came back (see docker compose logs)"
    with "$old_pin" run --rm --no-deps -T --entrypoint rm mailstead -rf \
        /var/lib/mailstead/scratch/failed /var/lib/mailstead/settings.env </dev/null || true
    forget
}

resume() {
    [ -f .update-state ] || return 0
    phase=$(noted phase) old_pin=$(noted old) new_pin=$(noted new) snapshot=$(noted snapshot)
    old=$(without_digest "$old_pin") new=$(without_digest "$new_pin")
    do_not_stop
    say "the update from $old to $new was interrupted: $phase"
    # The trial, or a restore, may still be there, and at work on the same data.
    project=$(docker compose ps -a --format '{{.Project}}' | head -n 1)
    for left in $(docker ps -aq --filter "label=com.docker.compose.project=$project" \
        --filter 'label=com.docker.compose.oneoff=True'); do
        docker rm -f "$left" >/dev/null
    done
    case $phase in
        stopping)
            with "$old_pin" up -d --wait mailstead >>update.log 2>&1 || fail "$old does not start (see docker compose logs)"
            forget
            say "$old runs again; $new had not begun"
            ;;
        switching) switch ;;
        *)
            go_back
            say "$old runs again, with all mail"
            ;;
    esac
    trap - INT TERM HUP
    apart=''
}

wanted=$new
resume
[ -n "$wanted$is_newest" ] || exit 0
new=$wanted

old_pin=$(setting MAILSTEAD_TAG)
old=$(without_digest "$old_pin")
is_version() { printf '%s' "$1" | grep -Eq '^v?[0-9]+(\.[0-9]+)*$'; }
if [ -n "$is_newest" ]; then
    if [ "$(setting MAILSTEAD_UPDATE)" = off ]; then
        say "$old stays: .env has MAILSTEAD_UPDATE=off"
        exit 0
    fi
    is_version "$old" || fail "$old is no version, so nobody can say what is newer: set MAILSTEAD_TAG in .env to the one that runs"
    docker pull -q "$image:latest" >/dev/null || fail "$image:latest cannot be pulled; $old goes on as before"
    new=$(label version "$image:latest")
    is_version "$new" || fail "$image:latest does not say which version it is (label org.opencontainers.image.version)"
fi
if [ "$old" = "$new" ]; then
    [ -n "$is_newest" ] || echo "update: $new is the version that runs"
    exit 0
fi
if is_version "$old" && is_version "$new" && [ "$(printf '%s\n%s\n' "$old" "$new" | sort -V | tail -n 1)" = "$old" ]; then
    echo "update: $new is older than $old, which runs: an older version cannot read what a newer one has written." >&2
    echo 'To go back to a day, restore a backup of that day with the version of that day.' >&2
    exit 2
fi

running=$(docker compose ps -q mailstead)
[ -n "$running" ] || fail 'the service mailstead does not run; start it first (several containers are updated by hand: see the guide)'
with "$new" pull -q mailstead || fail "the image $new cannot be pulled; nothing was changed"
# What a registry gives under a name may be something else: another product, or an old version that would lose against us.
[ "$(label title "$image:$new")" = "$(label title "$(docker inspect -f '{{.Image}}' "$running")")" ] ||
    fail "$image:$new is not the same product as what runs: it calls itself '$(label title "$image:$new")'; nothing was changed"
told=$(label version "$image:$new")
if is_version "$new" && [ -n "$told" ] && [ "$told" != development ] && [ "$told" != "${new#v}" ]; then
    fail "$image:$new calls itself $told; nothing was changed"
fi
if [ -n "$is_newest" ]; then
    [ "$(docker image inspect -f '{{.Id}}' "$image:latest")" = "$(docker image inspect -f '{{.Id}}' "$image:$new")" ] ||
        fail "$image:latest calls itself $new and is not the image of that tag; nothing was changed"
fi
# RepoDigests has a line NAME@sha256:... per registry; a name without a registry may stand there shorter than we write it.
digest=$(docker image inspect -f '{{range .RepoDigests}}{{println .}}{{end}}' "$image:$new" | while IFS=@ read -r name digest; do
    case /$image in */"$name") printf '%s' "$digest"; break ;; esac
done)
new_pin=$new${digest:+@$digest}
if [ -n "$is_newest" ] && [ -f .update-failed ] && [ "$(cat .update-failed)" = "$new_pin" ]; then
    say "$new has failed here before, and $old stays; to try it again: update.sh $new"
    exit 0
fi
not_well() { printf '%s\n' "$new_pin" >.update-failed; }

say "from $old to $new${digest:+ ($digest)}"
docker compose exec -T mailstead mailstead backup </dev/null >>update.log 2>&1 ||
    fail 'no backup could be made, and without one nothing is updated (backup.target; see update.log)'
once "$new_pin" mailstead backup drill >>update.log 2>&1 || {
    not_well
    fail "$new cannot take over a copy of the data (see update.log); $old goes on as before, nothing was changed"
}

do_not_stop
note stopping
say "$old stops; this cannot be interrupted until $new or $old runs"
with "$old_pin" stop -t 60 mailstead
snapshot=$(once "$old_pin" mailstead --json backup 2>>update.log | sed -n 's/^ *"snapshot": "\([^"]*\)".*/\1/p')
if [ -z "$snapshot" ]; then
    with "$old_pin" up -d --wait mailstead
    forget
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
note trying
say "$new is tried, without a port to others"
# Without the queue: what it sent now would go out again if the data came back.
if with "$new_pin" run -d --no-deps --name "$trial" -e MAILSTEAD_SERVER_SERVICES=mx,submission,imap,pop3,sieve,web \
    mailstead >/dev/null 2>>update.log &&
    is_well $(($(date +%s) + limit)); then
    docker stop -t 60 "$trial" >/dev/null
    docker rm "$trial" >/dev/null
    rm -f .update-failed
    switch
    exit 0
fi

say "$new is not well; everything goes back to $old"
not_well
docker logs --tail 40 "$trial" >>update.log 2>&1 || true
docker rm -f "$trial" >/dev/null 2>&1 || true
go_back
fail "$new was not well (see update.log); $old runs again, with all mail"
