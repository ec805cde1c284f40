# What the other scripts say, and how they wait; to be sourced.
# shellcheck shell=sh

held() { echo "package: ok  $*"; }
failed() {
  echo "package: FAILED  $*" >&2
  exit 1
}
# The words after the first are a command that is to succeed.
holds() {
  what=$1
  shift
  said=$("$@" 2>&1) || failed "$what: $said"
  held "$what"
}
# As holds; and it is to print nothing.
is_silent() {
  what=$1
  shift
  said=$("$@" 2>&1) || failed "$what: $said"
  [ -z "$said" ] || failed "$what: $said"
  held "$what"
}
# The words are a command that is to print the first word, within ten seconds.
comes_to_be() {
  expected=$1
  shift
  for _ in $(seq 200); do
    said=$("$@" 2>&1) || true
    [ "$said" != "$expected" ] || return 0
    sleep 0.05
  done
  failed "$* is not '$expected' but '$said'"
}
# A file has a line that matches, within ten seconds.
has_line() {
  for _ in $(seq 200); do
    ! grep -q -- "$2" "$1" || return 0
    sleep 0.05
  done
  failed "no line like $2 in $1: $(cat "$1")"
}
# One guest pings another through the switch; that one is a user's, as a virtual machine should be.
guests_reach_each_other() {
  setpriv --reuid=65534 --regid=65534 --clear-groups \
    vswitch probe --connect unixgram:/run/vswitch/vm1.sock --ip 192.0.2.1/24 listen \
    >/tmp/guest 2>&1 &
  guest=$!
  holds "$1" vswitch probe --connect stream:/run/vswitch/vm2.sock --ip 192.0.2.2/24 ping 192.0.2.1
  kill "$guest"
}
# The configuration puts the network on a bridge, gives the sockets to a user and has a TAP.
configure_bridge() {
  ip link add br0 type bridge
  ip link set br0 up
  sed -i 's/^# \(uplink = "bridge:br0"\)/\1/; 0,/^# group = .*/s//owner = "nobody"/' "$configuration"
  printf '\n[[network.port]]\nname = "tap"\nattach = "tap:vm3"\n' >>"$configuration"
}
is_on_bridge() {
  [ "$(stat -c %U /run/vswitch/vm1.sock)" = nobody ] || failed "the sockets' owner"
  ip -o link show master br0 | grep -q vsw || failed "no interface of the switch on br0"
  ip -o link show vm3 >/dev/null || failed "no TAP"
}

unit=/usr/lib/systemd/system/vswitch.service
configuration=/etc/vswitch/vswitch.toml
