# What the tests build in a machine. To be sourced.
#
#   router N   ──veth──┐
#   (namespace rN,     ├── bridge "field" 192.0.2.1/24 ── wgww01 ── vxww01   gateway, in the machine's own namespace
#    192.0.2.1N)       │   TCP 10012, UDP 10010
#   crowd      ──veth──┘
gateway=192.0.2.1
gateway_link=fe80::5757:bb:1

# An operator's interfaces, made at each boot before the network counts as up.
mesh_at_boot() {
    mkdir -p /etc/wireguard
    (umask 077 && wg genkey >/etc/wireguard/wgww01.key)
    install -m 755 /share/mesh /usr/local/sbin/mesh
    cat >/etc/systemd/system/mesh.service <<'UNIT'
[Unit]
Description=The interfaces of domain ffww01
# Who makes the network also asks for the target; with nobody asking there would be no order at all (systemd.special(7)).
Wants=network.target
Before=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/mesh up
ExecStop=/usr/local/sbin/mesh down
[Install]
WantedBy=multi-user.target
UNIT
    systemctl daemon-reload
    systemctl enable --now mesh.service
}

field() {
    ip link show dev field >/dev/null 2>&1 && return
    ip link add field type bridge
    ip address add $gateway/24 dev field
    ip link set field up
}

# namespace NAME NUMBER
namespace() {
    field
    ip netns list | grep -q "^$1\b" && return
    ip netns add "$1"
    ip link add "$1" type veth peer name eth0 netns "$1"
    ip link set "$1" master field up
    ip -n "$1" address add "192.0.2.1$2/24" dev eth0
    ip -n "$1" link set eth0 up
    ip -n "$1" link set lo up
}

gateway_key() { wg show wgww01 public-key; }

# The link-local address of a key, derived by somebody else's MD5.
address_of() {
    python3 - "$1" <<'PYTHON'
import hashlib, ipaddress, sys
digest = hashlib.md5(sys.argv[1].encode() + b"\n").digest()
print(ipaddress.IPv6Address(bytes.fromhex("fe80000000000000") + bytes([0x02 ^ 0x02]) + digest[:2] + b"\xff\xfe" + digest[2:5]))
PYTHON
}

# The two lines of the protocol, as firmware sends them; prints what comes back.
register_raw() {
    ip netns exec "$1" bash -c 'exec 3<>/dev/tcp/'$gateway'/10012; printf "%s\n%s\n" "$0" "$1" >&3; timeout 120 cat <&3' "$2" "$3"
}

crowd() { namespace crowd 9; ip netns exec crowd /share/kex-crowd "$@"; }

# shake SEED COUNT: the first COUNT routers of the crowd shake hands.
shake() {
    namespace crowd 9
    ip -n crowd link add wgcrowd type wireguard 2>/dev/null || true
    ip -n crowd link set wgcrowd up
    crowd shake wgcrowd "$(gateway_key)" $gateway:10010 "$1" "$2"
}

peers() { wg show wgww01 peers | sort; }

# Every key that was answered with success must be a peer, and have its unicast entry.
missing_of() {
    comm -23 <(awk '$2 == "success" { print $1 }' "$1" | sort) <(peers)
}

unicast_entries() { bridge fdb show dev vxww01 | grep -v '^00:00:00:00:00:00' | grep -c permanent || true; }
flood_entries() { bridge fdb show dev vxww01 | grep -c '^00:00:00:00:00:00' || true; }
