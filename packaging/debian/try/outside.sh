#!/bin/sh
# Tries a package as a user would, in copies of this machine's file system that are gone at the end:
# what is written goes to memory. First where no systemd runs, as in a container, then under a
# systemd of its own. `cargo xtask package --check` calls it as root, in mount, network and process
# namespaces of its own, with an empty directory and the package.
set -eu
scratch=$1
package=$2
here=$(dirname "$0")
PATH=$PATH:/usr/sbin:/sbin
export PATH
. "$here/words.sh"

# A copy of the machine's file system at $root, with the package in /srv.
copy_at() {
  root=$1/root
  mkdir -p "$1/changed" "$1/work" "$root"
  mount -t overlay none -o "lowerdir=/,upperdir=$1/changed,workdir=$1/work" "$root"
  mount -t tmpfs none "$root/run"
  mount -t tmpfs none "$root/tmp"
  mount -t tmpfs none "$root/dev"
  for device in null zero full random urandom tty net/tun; do
    mkdir -p "$(dirname "$root/dev/$device")"
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  mkdir -p "$root/srv/try"
  cp "$package" "$root/srv/try/vswitch.deb"
  cp "$here"/*.sh "$root/srv/try/"
  # A container's image may leave out manuals, and forbid services.
  rm -f "$root"/etc/dpkg/dpkg.cfg.d/* "$root/usr/sbin/policy-rc.d"
  ! chroot "$root" dpkg -s vswitch >/dev/null 2>&1 || chroot "$root" dpkg --purge vswitch
}
# All that is written there so far, but for what dpkg and other programs keep of every package.
changes() {
  (cd "$1/changed" && find . -not -type d) |
    grep -Ev '^\./(srv/try|var/(lib/dpkg|log|cache)|etc/ld\.so\.cache)' | sort
}

mount -t tmpfs none "$scratch"
ip link set lo up

echo "package: where no systemd runs"
copy_at "$scratch/plain"
mount -t proc none "$root/proc"
changes "$scratch/plain" >"$scratch/before"
chroot "$root" sh /srv/try/plain.sh || exit 1
changes "$scratch/plain" >"$scratch/after"
diff "$scratch/before" "$scratch/after" >&2 || failed "the package left something"
held "nothing of it is left"

echo "package: under systemd"
copy_at "$scratch/systemd"
cat >"$root/etc/systemd/system/try.service" <<'UNIT'
[Unit]
Requires=basic.target
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh /srv/try/under-systemd.sh
StandardOutput=append:/srv/try/said
StandardError=append:/srv/try/said
ExecStopPost=/bin/sh -c 'exec systemctl exit "$EXIT_STATUS"'
UNIT
# systemd wants a control group to divide, and takes that of its namespace for the root.
groups=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
[ -n "$groups" ] || failed "no control groups, version 2, are mounted here: systemd needs them"
group=$groups$(sed -n 's/^0:://p' /proc/self/cgroup)/vswitch-try.$$
mkdir "$group"
leave_group() {
  for _ in $(seq 100); do
    [ -d "$group" ] || return 0
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
  done
}
trap leave_group EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cat >"$scratch/boot.sh" <<'BOOT'
mount -t proc none "$root/proc"
mount -t sysfs none "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
exec env -i container=vswitch-try PATH="$PATH" \
  chroot "$root" /lib/systemd/systemd --unit=try.service --log-level=notice --log-target=console
BOOT
export root
result=0
sh -c 'echo $$ >"$1/cgroup.procs"
  exec timeout 300 unshare --cgroup --pid --uts --ipc --net --fork --kill-child sh "$2"' \
  sh "$group" "$scratch/boot.sh" >"$scratch/console" 2>&1 || result=$?
cat "$root/srv/try/said" || cat "$scratch/console"
leave_group
[ ! -d "$group" ] || failed "the control group $group is left"
[ "$result" = 0 ] || failed "systemd ended with $result: $(cat "$scratch/console")"
