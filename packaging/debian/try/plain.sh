#!/bin/sh
# The package where no systemd runs. What the unit would start is started as the unit has it.
set -eu
. /srv/try/words.sh

holds "it is installed" dpkg --install /srv/try/vswitch.deb
is_silent "nothing is left to be done" dpkg --audit
is_silent "each file is what it was" dpkg --verify vswitch
holds "the configuration has no mistake" vswitch config check "$configuration"
is_silent "systemd-analyze finds nothing in the unit" systemd-analyze verify "$unit"
for file in man/man1/vswitch-run.1.gz bash-completion/completions/vswitch \
  zsh/vendor-completions/_vswitch fish/vendor_completions.d/vswitch.fish; do
  [ -s "/usr/share/$file" ] || failed "/usr/share/$file is missing"
done
held "manual pages and completions are there"

start=$(sed -n 's/^ExecStart=//p' "$unit")
bound=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" |
  tr '[:upper:]' '[:lower:]' | sed 's/cap_/+/g; s/ /,/g')
mkdir /run/vswitch
# shellcheck disable=SC2086
setpriv --no-new-privs --inh-caps=-all --bounding-set="-all,$bound" \
  $start >/tmp/out 2>/tmp/log &
switch=$!
has_line /tmp/out '"event":"ready"'
held "it runs: $start"
cp "$configuration" /tmp/before
configure_bridge
kill -HUP "$switch"
has_line /tmp/out '"event":"reloaded".*"failed":\[\]'
is_on_bridge
held "SIGHUP: on a bridge, with a TAP, by these capabilities alone: $bound"
guests_reach_each_other "a user's guest is reached, by these capabilities"

cp "$configuration" /tmp/edited
holds "it is upgraded while it runs" dpkg --install /srv/try/vswitch.deb
cmp -s "$configuration" /tmp/edited || failed "the configuration is not as it was"
held "the changed configuration is kept"
kill -TERM "$switch"
wait "$switch" || failed "the switch's end: $(cat /tmp/log)"
has_line /tmp/out '"event":"stopped"'
held "SIGTERM: it ends well"
[ -z "$(ls -A /run/vswitch)" ] || failed "left: $(ls -A /run/vswitch)"
holds "it is removed" dpkg --remove vswitch
[ ! -e /usr/bin/vswitch ] || failed "the program is still there"
cmp -s "$configuration" /tmp/edited || failed "the configuration went"
holds "it is purged" dpkg --purge vswitch
