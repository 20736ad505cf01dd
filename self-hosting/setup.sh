#!/bin/sh
# Set Mailstead up on this machine with Docker. It brings Docker, the files and the image, and hands over to the guide,
# `mailstead setup`, which asks and explains; then it does what no container may: firewall, start, timers.
#
#   self-hosting/setup.sh                                    asks for everything
#   self-hosting/setup.sh --yes --domain example.org         asks nothing
#   curl -fsSL ADDRESS-OF-THIS-FILE | sh -s -- --from ADDRESS-OF-THE-ARCHIVE
#   self-hosting/setup.sh --action ACTION                    initial-setup, backups, auto-update, renew, restore, uninstall
#
# Again does no harm: settings, keys and data that are there stay as they are.
set -eu
umask 077

usage() {
    if [ -f "$0" ]; then sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; fi
    cat <<'END'
Options of its own:
  --action ACTION    what to do; without it a terminal shows a menu
  -y, --yes          confirm everything; what is not said takes its default
  --folder DIR       where the files go (/opt/mailstead)
  --from ARCHIVE     the files, as a .tar.gz (address or path); without it those beside this script
  --image NAME       the image, if not the one in .env; without one it is built from the files
  --version VERSION  its version; without one the newest
  --bucket BUCKET    where backups go: a bucket's name or s3://name/prefix; its keys are taken from the environment
                     (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL) or asked
  --snapshot NAME    restore: which backup; without it the newest. The key is asked, or read from standard input
  --off              auto-update: no more
  --purge            uninstall: all mail, keys and settings of this machine as well; backups elsewhere stay
Options for the guide, as it has them:
  -d, --domain D  --hostname H  --email E  --kind mail|chatmail  --cert-method M  --cloudflare-ini FILE  --wait-dns
  and all others of `mailstead setup --help`
END
}

folder=/opt/mailstead action='' yes='' from='' image='' version='' bucket='' snapshot='' off='' purge='' ini='' ssh=''
left=$#
needs() { [ "$1" -gt 1 ] || { echo "setup: $2 needs a value; see --help" >&2; exit 2; }; }
while [ "$left" -gt 0 ]; do
    word=$1 used=1
    case $word in
        -h | --help) usage; exit 0 ;;
        -y | --yes) yes=yes ;;
        --off) off=yes ;;
        --purge) purge=yes ;;
        --action | --folder | --from | --image | --version | --bucket | --snapshot | --cloudflare-ini | --ssh-port)
            needs "$left" "$word"
            used=2
            case $word in
                --action) action=$2 ;;
                --folder) folder=$2 ;;
                --from) from=$2 ;;
                --image) image=$2 ;;
                --version) version=$2 ;;
                --bucket) bucket=$2 ;;
                --snapshot) snapshot=$2 ;;
                --cloudflare-ini) ini=$2 ;;
                --ssh-port) ssh=$2 ;;
            esac
            ;;
        -d)
            needs "$left" -d
            used=2
            set -- "$@" --domain "$2"
            ;;
        *) set -- "$@" "$word" ;; # the guide's
    esac
    shift "$used"
    left=$((left - used))
done
# What is left in "$@" is the guide's.
[ "$(id -u)" = 0 ] || { echo 'setup: run it as root: sudo sh self-hosting/setup.sh' >&2; exit 2; }
case $action in
    '' | initial-setup | backups | auto-update | renew | restore | uninstall) ;;
    *) echo "setup: --action $action is none of initial-setup, backups, auto-update, renew, restore, uninstall" >&2; exit 2 ;;
esac

# --- Words, questions, steps

log=${MAILSTEAD_SETUP_LOG:-/var/log/mailstead-setup-$(date -u +%Y%m%dT%H%M%SZ).log}
say() {
    printf '%s\n' "$*"
    printf '%s %s\n' "$(date -u +%H:%M:%S)" "$*" >>"$log"
}
fail() {
    say "FAILED: $*" >&2
    printf -- '--- %s ends with\n' "$log" >&2
    tail -n 20 "$log" >&2
    exit 1
}
# A step's own words go to the log. Nothing that is secret is said in a step: that goes to the terminal alone.
step() {
    text=$1
    shift
    say "$text"
    "$@" >>"$log" 2>&1 </dev/null || fail "$text: see above"
}

# Somebody to ask may be there although standard input is a pipe (curl ... | sh).
terminal=''
if [ -z "$yes" ] && { true </dev/tty; } 2>/dev/null; then terminal=yes; fi
confirmed() {
    [ -z "$yes" ] || return 0
    [ -n "$terminal" ] || return 1
    printf '%s [y/N] ' "$1" >/dev/tty
    read -r answer </dev/tty
    case $answer in [yY]*) return 0 ;; *) return 1 ;; esac
}
# asked QUESTION PROPOSAL: gives the answer, or the proposal where nobody answers.
asked() {
    answer=''
    if [ -n "$terminal" ]; then
        printf '%s%s: ' "$1" "${2:+ [$2]}" >/dev/tty
        read -r answer </dev/tty
    fi
    printf '%s' "${answer:-$2}"
}
# The same for what must not be seen.
asked_secretly() {
    answer=''
    if [ -n "$terminal" ]; then
        printf '%s: ' "$1" >/dev/tty
        stty -echo </dev/tty
        read -r answer </dev/tty || true
        stty echo </dev/tty
        echo >/dev/tty
    fi
    printf '%s' "$answer"
}

setting() { sed -n "s/^$1=//p" "$folder/.env" | tail -n 1 | tr -d "'\""; }
# set_line NAME VALUE: sets it in .env, whole or not at all. printf is the shell's own, so no other process sees the value.
set_line() {
    case $2 in
        *"'"* | *'
'*) fail "$1 cannot be written to .env: it has a single quote or a line end in it" ;;
        *[!A-Za-z0-9_.,:/@%+=*-]*) line="$1='$2'" ;;
        *) line="$1=$2" ;;
    esac
    cp -p "$folder/.env" "$folder/.env.new"
    { grep -v "^$1=" "$folder/.env" || true; printf '%s\n' "$line"; } >"$folder/.env.new"
    sync "$folder/.env.new"
    mv "$folder/.env.new" "$folder/.env"
}
compose() { (cd "$folder" && docker compose "$@"); }
needs_installed() {
    [ -f "$folder/compose.yaml" ] && [ -f "$folder/.env" ] || fail "nothing is set up in $folder; name its folder with --folder"
}

# --- The machine

check_system() {
    id=unknown VERSION_ID=''
    if [ -r /etc/os-release ]; then
        # shellcheck disable=SC1091
        . /etc/os-release
        id=${ID:-unknown}
    fi
    case $id:$VERSION_ID in
        debian:12 | debian:13 | ubuntu:22.04 | ubuntu:24.04) say "System: $id $VERSION_ID" ;;
        *)
            say "System: $id $VERSION_ID. Tried are Debian 12 and 13, Ubuntu 22.04 and 24.04; others may do."
            confirmed 'Go on?' || fail 'not confirmed; with --yes nobody is asked'
            ;;
    esac
}

at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }
candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([0-9].*\)/\1/p'; }
by_hand='Install Docker Engine 25 or newer with its Compose plugin 2.24 or newer as its makers tell (docs.docker.com/engine/install), then run this again.'

is_new_enough() { at_least "$(candidate docker.io)" 25 && at_least "$(candidate $plugin)" 2.24; }
# Debian 13's Docker asks of the system nothing that Debian 12 does not have. It comes from where the rest comes from, and
# apt takes these packages from there, and no others, now and with each upgrade.
look_at_debian_13() {
    for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
        [ -f "$file" ] || continue
        case $file in
            *.sources)
                found=$(sed '/^$/q' "$file" | sed 's/^Suites:.*/Suites: trixie/')
                to=/etc/apt/sources.list.d/mailstead-docker.sources
                ;;
            *)
                found=$(sed -n '/^deb .*bookworm main/{s/bookworm main/trixie main/p;q;}' "$file")
                to=/etc/apt/sources.list.d/mailstead-docker.list
                ;;
        esac
        [ -n "$found" ] || continue
        printf '%s\n' "$found" >"$to"
        printf 'Package: *\nPin: release n=trixie\nPin-Priority: 50\n\nPackage: %s\nPin: release n=trixie\nPin-Priority: 990\n' \
            'docker.io docker-cli docker-compose' >/etc/apt/preferences.d/mailstead-docker
        chmod 0644 "$to" /etc/apt/preferences.d/mailstead-docker
        step "Looking at Debian 13's packages" apt-get update -qq
        return
    done
    fail "apt's sources are not where Debian has them. $by_hand"
}

bring_docker() {
    if ! command -v docker >/dev/null; then
        command -v apt-get >/dev/null || fail "there is no Docker. $by_hand"
        step 'Reading the lists of packages' apt-get update -qq
        plugin=docker-compose-v2
        [ -n "$(candidate $plugin)" ] || plugin=docker-compose
        if ! is_new_enough && [ "$id:$VERSION_ID" = debian:12 ]; then
            confirmed "Debian 12's own Docker is too old. Take Docker, and nothing else, from Debian 13?" ||
                fail "not confirmed; with --yes nobody is asked. $by_hand"
            look_at_debian_13
        fi
        is_new_enough ||
            fail "this system's own Docker is too old ('$(candidate docker.io)', Compose '$(candidate $plugin)'). $by_hand"
        packages="docker.io $plugin"
        [ -z "$(candidate docker-cli)" ] || packages="$packages docker-cli"
        confirmed "Install $packages?" || fail 'not confirmed; with --yes nobody is asked'
        # shellcheck disable=SC2086
        step "Installing $packages" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            -o DPkg::Lock::Timeout=300 $packages
    fi
    docker info >/dev/null 2>&1 || step 'Starting Docker' systemctl enable --now docker
    engine=$(docker version -f '{{.Server.Version}}' 2>>"$log") || fail "Docker's engine does not answer: see systemctl status docker"
    plugin=$(docker compose version --short 2>>"$log") || fail "Docker has no Compose plugin. $by_hand"
    at_least "$engine" 25 || fail "Docker Engine $engine is too old. $by_hand"
    at_least "${plugin#v}" 2.24 || fail "Docker Compose $plugin is too old. $by_hand"
    say "Docker $engine, Compose $plugin"
}

source=''
clear_up() { [ -z "${unpacked:-}" ] || rm -rf "$unpacked"; }
trap clear_up EXIT
bring_files() {
    if [ -n "$from" ]; then
        unpacked=$(mktemp -d)
        case $from in
            http://* | https://*)
                if command -v curl >/dev/null; then
                    step "Fetching $from" curl -fsSL -o "$unpacked.tar.gz" "$from"
                elif command -v wget >/dev/null; then
                    step "Fetching $from" wget -q -O "$unpacked.tar.gz" "$from"
                else
                    fail 'neither curl nor wget is here: install one, or fetch the archive and name the file with --from'
                fi
                step 'Unpacking' tar -xzf "$unpacked.tar.gz" -C "$unpacked" --strip-components=1 --no-same-owner
                rm "$unpacked.tar.gz"
                ;;
            *) step "Unpacking $from" tar -xzf "$from" -C "$unpacked" --strip-components=1 --no-same-owner ;;
        esac
        source=$unpacked
    else
        case $0 in */setup.sh | setup.sh) source=$(cd "$(dirname "$0")/.." && pwd) ;; esac
    fi
    [ -f "$source/compose.yaml" ] && [ -f "$source/self-hosting/update.sh" ] ||
        fail 'the files are not beside this script: name an archive with --from'
    # Others may look at what is no secret; .env is for root alone.
    install -d -m 0755 "$folder" "$folder/self-hosting" "$folder/self-hosting/systemd" "$folder/custom"
    if [ "$source" != "$(cd "$folder" && pwd)" ]; then
        for file in "$source"/compose*.yaml "$source/.env.example" "$source"/self-hosting/*.sh "$source"/self-hosting/*.md \
            "$source"/self-hosting/systemd/*; do
            # What the operator has written stays theirs.
            case $file in */compose.override.yaml) continue ;; *.sh) mode=0755 ;; *) mode=0644 ;; esac
            [ ! -f "$file" ] || install -m "$mode" "$file" "$folder${file#"$source"}"
        done
    fi
    if [ ! -f "$folder/.env" ]; then
        cp "$folder/.env.example" "$folder/.env"
        chmod 0600 "$folder/.env"
    fi
    say "Files: $folder"
}

label() { docker image inspect -f '{{index .Config.Labels "org.opencontainers.image.version"}}' "$1"; }
bring_image() {
    tag=$(setting MAILSTEAD_TAG)
    if [ -n "$tag" ]; then
        [ -z "$version" ] || [ "$version" = "${tag%%@*}" ] ||
            fail "${tag%%@*} is set up here; another version is for self-hosting/update.sh $version, which has a way back"
        image=$(setting MAILSTEAD_IMAGE)
        image=${image:-mailstead}
    elif [ -n "$image" ]; then
        docker pull -q "$image:${version:-latest}" >>"$log" 2>&1 || docker image inspect "$image:${version:-latest}" >/dev/null 2>&1 ||
            fail "the image $image:${version:-latest} cannot be pulled, and is not here"
        # A version is pinned, as `latest` is another one tomorrow.
        tag=${version:-$(label "$image:latest")}
        tag=${tag:-latest}
    elif [ -f "$source/Dockerfile" ]; then
        tag=${version:-$(sed -n 's/^version = "\(.*\)"/\1/p' "$source/pyproject.toml")}
        image=mailstead
        docker image inspect "$image:$tag" >/dev/null 2>&1 ||
            step "Building the image $image:$tag (some minutes)" docker build --build-arg "VERSION=$tag" -t "$image:$tag" "$source"
    else
        fail 'name the image with --image (it is not in .env, and there is no Dockerfile to build it from)'
    fi
    docker image inspect "$image:$tag" >/dev/null 2>&1 || step "Pulling $image:$tag" docker pull -q "$image:$tag"
    [ "$(setting MAILSTEAD_IMAGE)" = "$image" ] || set_line MAILSTEAD_IMAGE "$image"
    [ "$(setting MAILSTEAD_TAG)" = "$tag" ] || set_line MAILSTEAD_TAG "$tag"
    say "Image: $image:$tag"
}

# The guide speaks to the terminal, and not to the log: keys and a log-in link are among what it says.
guide() {
    set -- --env-file /setup/.env "$@"
    [ -z "$yes" ] || set -- "$@" --yes
    [ -z "$bucket" ] || set -- "$@" --bucket "$bucket"
    set -- "$(setting MAILSTEAD_IMAGE):$(setting MAILSTEAD_TAG)" setup "$@"
    if [ -n "$ini" ]; then
        [ -f "$ini" ] || fail "there is no file $ini (--cloudflare-ini)"
        set -- -v "$(readlink -f "$ini"):/cloudflare.ini:ro" "$@" --cloudflare-ini /cloudflare.ini
    fi
    # Secrets by name only: Docker takes the values from our environment. The network is the machine's, so that ports and
    # addresses are seen as they are; root, as .env is root's, and with no rights else.
    for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_ENDPOINT_URL MAILSTEAD_DNS_PROVIDER_API_TOKEN \
        MAILSTEAD_DNS_PROVIDER_RFC2136_SERVER MAILSTEAD_DNS_PROVIDER_RFC2136_KEY_NAME MAILSTEAD_DNS_PROVIDER_RFC2136_KEY; do
        set -- -e "$name" "$@"
    done
    set -- --rm --network host --user 0:0 --cap-drop ALL --cap-add NET_BIND_SERVICE --security-opt no-new-privileges \
        -v "$folder:/setup" "$@"
    if [ -n "$terminal" ]; then docker run -it "$@" </dev/tty; else docker run "$@" </dev/null; fi ||
        fail 'the guide has ended; nothing else was changed'
}
finish() {
    set -- --stage finish "$@"
    [ -z "$yes" ] || set -- "$@" --yes
    if [ -n "$terminal" ]; then compose exec mailstead mailstead setup "$@" </dev/tty; else
        compose exec -T mailstead mailstead setup "$@" </dev/null
    fi || fail 'the guide has not come to its end; the services run. Mend what it says, and run this again'
}

ssh_ports() {
    {
        [ -z "$ssh" ] || printf '%s\n' "$ssh"
        # The way on which whoever runs this has come, and those on which sshd listens.
        printf '%s\n' "${SSH_CONNECTION:-}" | awk 'NF == 4 {print $4}'
        sshd -T 2>/dev/null | sed -n 's/^port //p' || true
    } | awk '!seen[$0]++'
}
guard() {
    # shellcheck disable=SC2046
    set -- $(ssh_ports)
    first=${1:-22}
    if command -v ufw >/dev/null; then kind=ufw; elif command -v nft >/dev/null; then kind=nftables; else
        say 'Firewall: neither ufw nor nftables is installed, so none is set up. Docker opens the ports of Mailstead and no others.'
        return
    fi
    lines=$(compose run --rm --no-deps -T mailstead firewall --for $kind --ssh-port "$first" 2>>"$log" </dev/null) ||
        fail "the firewall's lines could not be had"
    say "Firewall ($kind), ssh on port $(echo "$@" | tr ' ' ','):"
    say "$lines"
    say 'Note: ports that Docker publishes are open whatever the firewall says; it guards everything else on this machine.'
    if ! confirmed 'Run these lines?'; then
        say 'The firewall stays as it is.'
        return
    fi
    [ $# -eq 0 ] || shift
    for port in "$@"; do # further ways in, opened before anything is closed
        if [ $kind = ufw ]; then step "Opening $port" ufw allow "$port/tcp" comment ssh; else
            fail "ssh listens on $port as well: name the port that is to stay open with --ssh-port"
        fi
    done
    printf 'set -e\n%s\n' "$lines" | sh >>"$log" 2>&1 || fail 'the firewall could not be set up'
}

install_units() {
    [ -d /run/systemd/system ] || return 0
    for unit in "$@"; do
        sed "s|/opt/mailstead|$folder|g" "$folder/self-hosting/systemd/$unit" >"/etc/systemd/system/$unit"
        chmod 0644 "/etc/systemd/system/$unit"
    done
    systemctl daemon-reload
}
# What a power cut has interrupted is finished at the next boot.
install_recovery() {
    install_units mailstead-recover.service
    [ ! -d /run/systemd/system ] || step 'Recovery after a power cut' systemctl enable -q mailstead-recover.service
}
start() { step 'Starting' compose up -d --wait --wait-timeout 180; }

# --- Actions

initial_setup() {
    check_system
    bring_docker
    bring_files
    bring_image
    guide --stage configure "$@"
    guard
    start
    install_recovery
    finish "$@"
    say "Done. Settings: $folder/.env; log: $log"
    [ -n "$(setting MAILSTEAD_BACKUP_TARGET)" ] || say 'Not yet: backups (--action backups). Without them there are no updates with a way back.'
}

backups() {
    needs_installed
    guide --action backups
    [ -n "$(setting MAILSTEAD_BACKUP_TARGET)" ] || fail 'no place for backups is set; nothing was backed up'
    start
    step 'Making the first backup' compose exec -T mailstead mailstead backup
    echo 'The backup key. Print it and put the paper away: with it and the bucket everything comes back, without it nothing.'
    compose exec -T mailstead mailstead backup key </dev/null || fail 'the key could not be read'
    say 'Done: a backup is made each night, and once a month one is restored aside to see that it can be.'
}

auto_update() {
    needs_installed
    [ -d /run/systemd/system ] || fail "there is no systemd: let cron run $folder/self-hosting/update.sh --newest --folder $folder"
    if [ -z "$off" ] && [ -n "$terminal" ] && systemctl -q is-enabled mailstead-update.timer 2>/dev/null &&
        confirmed 'Nightly updates are on. Switch them off?'; then
        off=yes
    fi
    if [ -n "$off" ]; then
        remove_timer
        say 'Done: nothing is updated by itself any more.'
        return
    fi
    [ -n "$(setting MAILSTEAD_BACKUP_TARGET)" ] || fail 'an update needs backups, for its way back: --action backups first'
    install_units mailstead-update.service mailstead-update.timer
    install_recovery
    step 'Switching nightly updates on' systemctl enable -q --now mailstead-update.timer
    systemctl list-timers --no-pager mailstead-update.timer
    say 'Done. To stay at a version: MAILSTEAD_UPDATE=off in .env. What was done: journalctl -u mailstead-update, update.log'
}
remove_timer() {
    systemctl disable -q --now mailstead-update.timer 2>/dev/null || true
    rm -f /etc/systemd/system/mailstead-update.service /etc/systemd/system/mailstead-update.timer
    systemctl daemon-reload 2>/dev/null || true
}

renew() {
    needs_installed
    compose exec -T mailstead mailstead certificate renew </dev/null || fail 'no certificate was ordered; the present one goes on'
    say 'Done: the new certificate is in use.'
}

has_data() {
    compose run --rm --no-deps -T --entrypoint sh mailstead -c 'ls -A /var/lib/mailstead | grep -qvx scratch' >>"$log" 2>&1 </dev/null
}
# Settings of the backup that this machine does not have: the restore leaves them, a line each, in the data.
bring_settings() {
    own=$(docker image inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$(setting MAILSTEAD_IMAGE):$(setting MAILSTEAD_TAG)")
    compose run --rm --no-deps -T --entrypoint sh mailstead -c \
        'cd /var/lib/mailstead && [ ! -f settings.env ] || { cat settings.env && rm settings.env; }' \
        </dev/null 2>>"$log" >"$folder/.env.restored"
    while IFS= read -r line; do
        name=${line%%=*}
        # What the image says by itself need not be said.
        printf '%s\n' "$own" | grep -qxF -- "$line" || grep -q "^$name=" "$folder/.env" || set_line "$name" "${line#*=}"
    done <"$folder/.env.restored"
    rm "$folder/.env.restored"
    say 'Settings: as the backup has them, where .env said nothing'
}
restore() {
    check_system
    bring_docker
    bring_files
    bring_image
    is_there=''
    if has_data; then
        is_there=yes
        confirmed 'There is data here. Back it up, and replace it by what comes from the backup?' ||
            fail 'there is data here, and nothing was changed; with --yes it is backed up and then replaced'
        [ -n "$(setting MAILSTEAD_BACKUP_TARGET)" ] ||
            fail 'there is data here and no backup of it: --action backups first, or uninstall --purge if it may go'
        # The newest of before, as the one that follows is of what is to be replaced.
        [ -n "$snapshot" ] || snapshot=$(compose run --rm --no-deps -T mailstead backup list 2>>"$log" </dev/null | tail -n 1)
        step 'Stopping' compose stop -t 60
        step 'Backing up what is here' compose run --rm --no-deps -T mailstead backup
    else
        # The settings come with the backup; asked is only where that is.
        guide --action backups
        [ -n "$(setting MAILSTEAD_BACKUP_TARGET)" ] || fail 'no place is named that backups are in: --bucket'
    fi
    if [ -n "$terminal" ]; then key=$(asked_secretly 'Backup key, as it was printed'); elif [ ! -t 0 ]; then read -r key || true; fi
    # What is quoted singly is for the container's shell.
    # shellcheck disable=SC2016
    if [ -n "$is_there" ]; then
        step 'Putting aside what is here' compose run --rm --no-deps -T --entrypoint sh mailstead -c '
            cd /var/lib/mailstead && mkdir -p scratch && mkdir scratch/replaced &&
            for each in * .[!.]*; do [ "$each" = scratch ] || [ ! -e "$each" ] || mv "$each" scratch/replaced/ || exit 1; done'
    fi
    set -- run --rm --no-deps -T mailstead restore
    [ -z "$snapshot" ] || set -- "$@" "$snapshot"
    [ -z "${key:-}" ] || set -- "$@" --key-stdin
    say 'Restoring'
    if ! printf '%s\n' "${key:-}" | compose "$@" >>"$log" 2>&1; then
        # shellcheck disable=SC2016
        if [ -n "$is_there" ]; then
            step 'Bringing back what was here' compose run --rm --no-deps -T --entrypoint sh mailstead -c '
                cd /var/lib/mailstead && for each in * .[!.]*; do
                    [ "$each" = scratch ] || [ ! -e "$each" ] || rm -r "$each" || exit 1; done &&
                cd scratch/replaced && for each in * .[!.]*; do [ ! -e "$each" ] || mv "$each" ../../ || exit 1; done &&
                rmdir ../replaced'
            start
            fail 'nothing could be restored; what was here runs again'
        fi
        fail 'nothing could be restored'
    fi
    [ -n "$is_there" ] || bring_settings
    start
    [ -z "$is_there" ] ||
        step 'Removing what was put aside' compose run --rm --no-deps -T --entrypoint rm mailstead -r /var/lib/mailstead/scratch/replaced
    install_recovery
    say "Done: everything is back, and runs. Mail that waited to go out then is held: mailstead queue list. If the address is another one, publish it: docker compose exec mailstead mailstead doctor"
}

uninstall() {
    needs_installed
    confirmed "Stop Mailstead and remove its containers and timers? Mail, keys and settings stay, unless with --purge." ||
        fail 'not confirmed; nothing was changed'
    if [ -n "$terminal" ] && [ -z "$purge" ] && confirmed 'Remove ALL MAIL, keys and settings of this machine as well?'; then
        purge=yes
    fi
    if [ -d /run/systemd/system ]; then
        remove_timer
        systemctl disable -q mailstead-recover.service 2>/dev/null || true
        rm -f /etc/systemd/system/mailstead-recover.service
        systemctl daemon-reload
    fi
    if [ -z "$purge" ]; then
        step 'Removing containers' compose down --remove-orphans -t 60
        say "Done. Mail and keys are in Docker's volumes, settings in $folder; setup.sh brings all back. To remove them: --purge"
    else
        step 'Removing containers, mail and keys' compose down --remove-orphans --volumes -t 60
        rm -rf "$folder"
        say 'Done: all is gone, backups elsewhere aside.'
    fi
    say 'The firewall stays as it is (ufw status), and so does Docker.'
}

if [ -z "$action" ] && [ -n "$terminal" ]; then
    cat >/dev/tty <<'END'
Mailstead
  1  set up, or look the set-up over (initial-setup)
  2  backups
  3  nightly updates (auto-update)
  4  renew the certificate
  5  restore from a backup
  6  uninstall
END
    case $(asked 'Which' 1) in
        1) action=initial-setup ;;
        2) action=backups ;;
        3) action=auto-update ;;
        4) action=renew ;;
        5) action=restore ;;
        6) action=uninstall ;;
        *) echo 'setup: nothing was done' >&2; exit 2 ;;
    esac
fi
: >>"$log" || { echo "setup: $log cannot be written" >&2; exit 1; }
case ${action:-initial-setup} in
    initial-setup) initial_setup "$@" ;;
    backups) backups ;;
    auto-update) auto_update ;;
    renew) renew ;;
    restore) restore "$@" ;;
    uninstall) uninstall ;;
esac
