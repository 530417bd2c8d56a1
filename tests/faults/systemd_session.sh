#!/usr/bin/env bash
# A systemd user instance of its own for one test: in namespaces, for a user without rights, in a cgroup made for it.
#
#   unshare --mount --pid --fork --kill-child --mount-proc bash systemd_session.sh CGROUP FOLDER PYTHON_PREFIX BASE_PREFIX CHECKOUT DRIVER [ARGUMENT …]
#
# Nothing of it outlives the namespaces but the cgroup, which the test removes. The instance never gets rights: it could not touch the
# processes of others if it wanted to.
set -euo pipefail
group=$1 keep=$2 prefix=$3 base=$4 checkout=$5 driver=$6
shift 6
user=65534  # nobody; dbus-daemon wants a user that has a name

if [ -z "${INNER:-}" ]; then
  mount --make-rprivate /
  for tree in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -e "$tree/cgroup.procs" ] || continue
    mkdir "$tree/$group"
    chown -R $user "$tree/$group"
    echo $$ >"$tree/$group/cgroup.procs"
  done
  INNER=1 exec unshare --cgroup bash "$0" "$group" "$keep" "$prefix" "$base" "$checkout" "$driver" "$@"
fi

if grep -qE '^(0:|[0-9]+:name=systemd):' /proc/self/cgroup && grep -E '^(0:|[0-9]+:name=systemd):' /proc/self/cgroup | grep -qv ':/$'; then
  echo "not in a cgroup namespace of its own" >&2
  exit 77
fi
hybrid=no
[ -e /sys/fs/cgroup/systemd/cgroup.procs ] && hybrid=yes

# what the user may see of the interpreter and the checkout, wherever they are: a home of 0700 is in the way
mount -t tmpfs -o mode=755 tmpfs "$keep"
mkdir "$keep/base" "$keep/prefix" "$keep/checkout"
mount --bind "$base" "$keep/base"
mount --bind "$prefix" "$keep/prefix"
mount --bind "$checkout" "$keep/checkout"
for place in "$base" "$checkout"; do
  way=
  for part in $(tr / ' ' <<<"$(dirname "$place")"); do
    way="$way/$part"
    if [ $((0$(stat -c %a "$way") & 1)) = 0 ]; then
      mount -t tmpfs -o mode=755 tmpfs "$way"
      break
    fi
  done
  [ "$place" = "$base" ] && from="$keep/base" || from="$keep/checkout"
  [ -e "$place" ] || { mkdir -p "$place"; mount --bind "$from" "$place"; }
done
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/python
mount --bind "$keep/prefix" /mnt/python  # not below /tmp, where PrivateTmp= would hide it
mount -t tmpfs -o mode=755 tmpfs /home
mkdir /home/user
chown $user:$user /home/user

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system /run/systemd/unit-root /run/credentials /run/user/$user
chown $user:$user /run/user/$user
chmod 700 /run/user/$user
umount -l /sys/fs/cgroup
if [ $hybrid = yes ]; then
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
  mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
else
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
cd /home/user
exec setpriv --reuid $user --regid $user --clear-groups --inh-caps=-all --bounding-set=-all \
  env -i PATH=/usr/bin:/bin HOME=/home/user USER=nobody LANG=C.UTF-8 XDG_RUNTIME_DIR=/run/user/$user PYTHONDONTWRITEBYTECODE=1 \
  /mnt/python/bin/python "$driver" "$@"
