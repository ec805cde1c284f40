#!/bin/sh
# The package under systemd, with all that the unit says in force.
set -eu
. /srv/try/words.sh
show() { systemctl show --value --property="$1" vswitch.service; }
link=/etc/systemd/system/multi-user.target.wants/vswitch.service

holds "it is installed" dpkg --install /srv/try/vswitch.deb
comes_to_be disabled systemctl is-enabled vswitch
comes_to_be inactive systemctl is-active vswitch
held "it is neither enabled nor started"
holds "it is enabled and started" systemctl enable --now vswitch
comes_to_be active show ActiveState
comes_to_be "up with 1 network, 2 ports" show StatusText
held "it is ready: $(show StatusText)"
for is in NoNewPrivileges=yes ProtectSystem=strict DevicePolicy=closed; do
  comes_to_be "${is#*=}" show "${is%%=*}"
done
grep -q '^Seccomp:.2' "/proc/$(show MainPID)/status" || failed "no filter of system calls"
held "the unit's settings are in force"

holds "its control socket answers" vswitch ports --control /run/vswitch/control.sock
configure_bridge
holds "it is reloaded" systemctl reload vswitch
comes_to_be "reloaded: 1 network, 3 ports" show StatusText
comes_to_be active show ActiveState
is_on_bridge
held "it is on a bridge, with a TAP: $(show StatusText)"
guests_reach_each_other "a user's guest is reached"
sed -i 's/^name = "lan"/nam = "lan"/' "$configuration"
systemctl reload vswitch
for _ in $(seq 200); do
  case $(show StatusText) in *"nothing was reloaded"*) break ;; esac
  sleep 0.05
done
case $(show StatusText) in
  *"nothing was reloaded"*) ;;
  *) failed "a mistake is not told: $(show StatusText)" ;;
esac
comes_to_be active show ActiveState
held "a mistake: $(show StatusText)"
sed -i 's/^nam = "lan"/name = "lan"/' "$configuration"
cp "$configuration" /tmp/edited

killed=$(show MainPID)
kill -KILL "$killed"
comes_to_be 1 show NRestarts
comes_to_be active show ActiveState
comes_to_be "up with 1 network, 3 ports" show StatusText
is_on_bridge
guests_reach_each_other "it is killed, started again, and reached"

before=$(show MainPID)
holds "it is upgraded while it runs" dpkg --install /srv/try/vswitch.deb
comes_to_be active show ActiveState
[ "$(show MainPID)" != "$before" ] || failed "the old program still runs"
cmp -s "$configuration" /tmp/edited || failed "the configuration is not as it was"
guests_reach_each_other "the new one runs, with the changed configuration"

journalctl --unit=vswitch --output=cat >/tmp/journal
[ -s /tmp/journal ] || failed "its journal is empty"
! grep -E 'WARN|ERROR' /tmp/journal | grep -v 'nothing was reloaded' ||
  failed "its journal has a complaint"
held "its journal has no other complaint than that mistake"

holds "it is removed" dpkg --remove vswitch
comes_to_be inactive systemctl is-active vswitch
[ ! -e /run/vswitch ] || failed "its sockets are still there"
[ -L "$link" ] || failed "it is not enabled any more"
holds "it is purged" dpkg --purge vswitch
[ ! -L "$link" ] || failed "it is still enabled"
[ ! -e /etc/vswitch ] || failed "its configuration is still there"
held "it is gone, with what systemctl enable made"
