# A hub, and two machines behind routers that translate, in network namespaces with the kernel's WireGuard. Prints how
# traffic goes in each situation, and how many pings were lost where none may be. For LinkTests.
set -e
patience=240
base=/run/linkpaths
rm -rf $base && mkdir -p $base

end() {
    for pid in $(cat $base/*.pid 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
    for name in pub hub a b ra rb; do ip netns delete l$name 2>/dev/null || true; done
}
trap end EXIT

for name in pub hub a b ra rb; do
    ip netns add l$name
    ip -n l$name link set lo up
    ip netns exec l$name sysctl -qw net.ipv6.conf.default.accept_dad=0
done
ip -n lpub link add br0 type bridge
ip -n lpub link set br0 up

plug() {
    ip link add "p$1" netns lpub type veth peer name eth0 netns "l$1"
    ip -n lpub link set "p$1" master br0 up
    ip -n "l$1" address add "$2/24" dev eth0
    ip -n "l$1" link set eth0 up
}
plug hub 198.51.100.1
plug ra 198.51.100.2
plug rb 198.51.100.3
ip netns exec lhub sysctl -qw net.ipv4.ip_forward=1

number=1
for host in a b; do
    ip link add lan netns lr$host type veth peer name eth0 netns l$host
    ip -n lr$host address add 10.$number.0.1/24 dev lan
    ip -n lr$host link set lan up
    ip -n l$host address add 10.$number.0.2/24 dev eth0
    ip -n l$host link set eth0 up
    ip -n l$host route add default via 10.$number.0.1
    ip netns exec lr$host sysctl -qw net.ipv4.ip_forward=1
    ip netns exec lr$host nft -f - <<RULES
table ip nat {
    chain input { type filter hook input priority 0; policy drop; ct state established accept; }
    chain cut { type filter hook forward priority 0; }
    chain out { type nat hook postrouting priority 100; oifname "eth0" masquerade; }
}
RULES
    number=$((number + 1))
done

number=1
for host in hub a b; do
    ip -n l$host link add wg0 type wireguard
    (umask 077 && wg genkey >$base/$host.key)
    wg pubkey <$base/$host.key >$base/$host.pub
    ip netns exec l$host wg set wg0 private-key $base/$host.key listen-port 51820
    ip -n l$host address add 10.99.0.$number/24 dev wg0
    ip -n l$host link set wg0 up
    number=$((number + 1))
done
for host in a b; do
    ip netns exec lhub wg set wg0 peer "$(cat $base/$host.pub)" \
        allowed-ips "10.99.0.$([ $host = a ] && echo 2 || echo 3)/32"
    ip netns exec l$host wg set wg0 peer "$(cat $base/hub.pub)" allowed-ips 10.99.0.0/24 \
        endpoint 198.51.100.1:51820 persistent-keepalive 25
done

run() { ip netns exec "l$1" kex-link run wg0 --debug --runtime-directory $base/$1 --gateway-config /none >>$base/$1.log 2>&1 & echo $! >$base/$1.pid; }
way() {
    ip netns exec "l$1" kex-link status wg0 --json --runtime-directory $base/$1 2>/dev/null |
        tr '{' '\n' | grep -F "$(cat $base/$2.pub)" | grep -o '"way":"[a-z-]*"' | cut -d'"' -f4
}
both() {
    for _ in $(seq $patience); do
        if [ "$(way a b)" = "$1" ] && [ "$(way b a)" = "$1" ]; then
            echo "$2: $1"
            return
        fi
        sleep 1
    done
    echo "$2: a $(way a b), b $(way b a) and not $1"
    tail -n 5 $base/*.log
    exit 1
}
pings() { ip netns exec la ping -n -i 0.1 -c "$1" 10.99.0.3 | grep -o '[0-9]* received'; }

# What is on its way while traffic moves from the hub's tunnel to the pair, with 50 ms from each machine to the hub: 4
# pings would be lost.
for host in a b; do
    ip netns exec lr$host tc qdisc add dev eth0 root netem delay 50ms
    ip netns exec lpub tc qdisc add dev pr$host root netem delay 50ms
done
run hub
ip netns exec la ping -n -i 0.05 10.99.0.3 >$base/move & mover=$!
until grep -q 'seq=20 ' $base/move; do sleep 1; done
for host in a b; do run $host; done
both direct 'behind NATs'
sleep 5
kill -INT $mover
wait $mover || true
grep -o 'seq=[0-9]* ttl' $base/move | tr -dc '0-9\n' >$base/numbers
# An answer may still have been on its way in the end.
last=$(tail -n 1 $base/numbers)
echo "moved: $((last - $(sort -un $base/numbers | wc -l))) lost, $(sort -nc $base/numbers 2>/dev/null && echo in order || echo out of order)"
for host in a b; do grep -qE 'held [0-9]+ packets' $base/$host.log && echo "$host held packets"; done
for host in a b; do
    ip netns exec lr$host tc qdisc del dev eth0 root
    ip netns exec lpub tc qdisc del dev pr$host root
done
echo "pings: $(pings 50)"
for pair in 'a 198.51.100.3' 'b 198.51.100.2'; do
    ip netns exec lr${pair% *} nft add rule ip nat cut ip daddr ${pair#* } drop
done
ip netns exec la ping -n -i 0.1 10.99.0.3 >/dev/null & echo $! >$base/ping.pid
both relayed 'cut'
kill "$(cat $base/ping.pid)"
echo "pings: $(pings 50)"
(pings 400 >$base/pings) & counter=$!
for host in a b; do ip netns exec lr$host nft flush chain ip nat cut; done
both direct 'repaired'
wait $counter
echo "pings: $(cat $base/pings)"
