#!/bin/busybox sh
# The guest's first program: kernel modules, the host's files under a writable layer, the network; then our own program.
set -e
alias bb=/bin/busybox
bb mount -t proc proc /proc
bb mount -t sysfs sysfs /sys
bb mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do bb insmod "$module"; done

bb mount -t tmpfs layer /layer
bb mkdir /layer/upper /layer/work
bb mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 host /host
bb mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /root
for folder in proc sys dev; do
  bb mkdir -p "/root/$folder"
  bb mount --move "/$folder" "/root/$folder"
done
bb mount -t tmpfs run /root/run
bb mkdir -p /root/dev/pts /root/dev/shm
bb mount -t devpts devpts /root/dev/pts
bb mount -t tmpfs shm /root/dev/shm

bb ip link set lo up
bb ip address add 10.0.2.15/24 dev eth0 # the host is 10.0.2.2; there is no route to anywhere else
bb ip link set eth0 up

directory=$(bb cat /directory)
python=$(bb cat /python)
# The shell stays the first process: it takes care of orphans, and the guest ends with our program.
exec /bin/busybox switch_root -c /dev/console /root /bin/sh -c \
  'export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root; cd "$1" && "$2" -m tests.kernel.guest; echo "ended: $?"' \
  sh "$directory" "$python"
