#!/bin/sh
# Made by `mailstead systemd install`: this machine's Mailstead, with its settings and as its user.
export MAILSTEAD_CONFIG="${MAILSTEAD_CONFIG:-@settings@}"
for word; do
    case $word in
        # These change the machine, so they stay with whoever calls, which should be root.
        setup | systemd | update | firewall) exec @program@ "$@" ;;
        -*) ;;
        *) break ;;
    esac
done
[ "$(id -u)" = 0 ] || exec @program@ "$@"
export HOME=/var/lib/mailstead
exec setpriv --reuid=mailstead --regid=mailstead --init-groups -- @program@ "$@"
