#!/bin/busybox sh
# The guest's init, its whole user space. Words on the kernel's command line tell it what to do:
#
#   name=NAME           its host name
#   address=ADDR/BITS   an IPv4 or IPv6 address for its network card (as often as wanted)
#   ping=ADDR           ping this address five times after start, and print how it went (as often
#                       as wanted)
#   then=shell          then a shell on the serial console (the default), or
#   then=agent          read commands there, one a line (see `serve` below), or
#   then=poweroff       end
#
# Every line meant for a program begins with "@ ".

say() { echo "@ $*"; }

main() {
  /bin/busybox --install -s /bin
  mount -t proc proc /proc
  mount -t sysfs sys /sys
  mount -t devtmpfs dev /dev
  # Its own output is all that belongs on this line.
  stty -echo
  for module in /modules/*.ko; do
    insmod "$module" || say "failed insmod $module"
  done
  words=$(cat /proc/cmdline)
  ip link set lo up
  ip link set eth0 up
  for word in $words; do
    case $word in
      name=*) hostname "${word#*=}" ;;
      address=*) ip address add "${word#*=}" dev eth0 ;;
    esac
  done
  wait_for_addresses
  say "ready $(hostname) $(cat /proc/uptime)"
  then=shell
  for word in $words; do
    case $word in
      ping=*) answer_ping "${word#*=}" 5 ;;
      then=*) then=${word#*=} ;;
    esac
  done
  case $then in
    agent) serve ;;
    shell) stty echo && setsid cttyhack sh ;;
  esac
  poweroff -f
}

# An IPv6 address may not be used before the kernel has asked whether somebody has it already.
wait_for_addresses() {
  for _ in $(seq 50); do
    ip -6 address show dev eth0 | grep -q tentative || break
    usleep 100000
  done
  ip -6 address show dev eth0 | grep -q dadfailed && say "failed an address is in use already"
}

# One command a line, one answer a line, which repeats the command's first word.
serve() {
  # A listener's standard input must not end, or it tells its peer that it wants nothing more.
  mkfifo /tmp/silence
  while read -r command a b c; do
    case $command in
      ping) answer_ping "$a" "$b" ;;
      send) answer_send "$a" "$b" ;;
      receive) answer_receive "$a" ;;
      pour) answer_pour "$a" "$b" "$c" ;;
      drain) answer_drain "$a" ;;
      poweroff) break ;;
      *) say "failed unknown command: $command" ;;
    esac
  done
}

# ping ADDR COUNT
answer_ping() {
  result=$(ping -c "$2" -A -W 5 -q "$1" 2>&1)
  sent=$(echo "$result" | sed -n 's/^\([0-9]*\) packets transmitted.*/\1/p')
  received=$(echo "$result" | sed -n 's/.* \([0-9]*\) packets received.*/\1/p')
  say "ping $1 sent=${sent:-0} received=${received:-0}"
}

# send ADDR PORT: the file /numbers over TCP.
answer_send() {
  nc -w 10 "$1" "$2" </numbers >/dev/null
  say "send $1 status=$?"
}

# receive PORT: takes one TCP connection, and says whether it brought the file /numbers.
answer_receive() {
  say "listening $1"
  nc -l -p "$1" <>/tmp/silence >/tmp/received
  bytes=$(wc -c </tmp/received)
  cmp -s /numbers /tmp/received && whole=yes || whole=no
  rm -f /tmp/received
  say "receive $1 bytes=$bytes whole=$whole"
}

# pour ADDR PORT MIB: so many MiB of zeros over TCP.
answer_pour() {
  dd if=/dev/zero bs=64k count=$(($3 * 16)) 2>/dev/null | nc -w 10 "$1" "$2" >/dev/null
  say "pour $1 status=$?"
}

# drain PORT: takes one TCP connection, and says how many blocks of 64 KiB it brought, whole and cut.
answer_drain() {
  say "draining $1"
  told=$(nc -l -p "$1" <>/tmp/silence | dd of=/dev/null bs=64k iflag=fullblock 2>&1)
  say "drain $1 blocks=$(echo "$told" | sed -n 's/ records in$//p')"
}

main
