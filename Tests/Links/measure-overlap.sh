#!/usr/bin/env bash
# Measures how much of an exchange of gradients a backward pass hides, between hosts that are network namespaces of this
# machine with slow links between them: `bash Tests/Links/measure-overlap.sh`.
#
# Each host has a network, a name and a rank of its own, and a link to one switch. A link lets through so many bits a second
# (tbf) and adds no delay of its own: what ranks measure as latency is that of TCP and of the processors that they share.
# Needs Linux, iproute2, Open MPI, and leave to make namespaces; where something is missing, it says what, and ends well.
#
# Environment: RANKS="2 4", RATES="unlimited 10gbit 1gbit 100mbit", STEPS=5 choose what is measured, and
# BUCKET=1048576 the length of buckets, which ranks choose by what they measure unless it is given.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

scratch=${DESCENT_SCRATCH:-$PWD/Plugins/DescentMPI/.build}

skip() {
    echo "Not measured: $1."
    exit 0
}

if [ "${1:-}" != inside ]; then
    for tool in ip tc nsenter unshare mpirun; do
        command -v "$tool" >/dev/null || skip "there is no $tool"
    done
    unshare --user --map-root-user --net --uts --mount true 2>/dev/null || skip "namespaces are not permitted here"
    swift build -c release --package-path Plugins/DescentMPI --scratch-path "$scratch" --product overlap-mpi >&2
    exec unshare --user --map-root-user --net --uts --mount --pid --fork --mount-proc bash "$0" inside
fi

ranks=${RANKS:-2 4}
rates=${RATES:-unlimited 10gbit 1gbit 100mbit}
steps=${STEPS:-5}
hosts=$(echo "$ranks" | tr ' ' '\n' | sort -n | tail -1)
program=$scratch/release/overlap-mpi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pids=()

ip link set lo up
ip link add name switch type bridge 2>"$folder/error" || skip "there is no bridge: $(cat "$folder/error")"
ip addr add 10.77.0.254/24 dev switch
ip link set switch up
for host in $(seq "$hosts"); do
    # Its processes are in namespaces of their own, which last as long as one of them; all end with this script.
    unshare --net --uts bash -c "hostname descent$host; exec sleep infinity" &
    pids[host]=$!
    while [ "$(readlink "/proc/${pids[host]}/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
    ip link add name "to$host" type veth peer name "from$host"
    ip link set "to$host" master switch up
    ip link set "from$host" netns "${pids[host]}"
    nsenter --target "${pids[host]}" --net -- bash -ec "
        ip link set lo up
        ip link set from$host name link0 up
        ip addr add 10.77.0.$host/24 dev link0"
    echo "10.77.0.$host ${pids[host]}" >>"$folder/hosts"
done

# What mpirun starts its part on another host with, in place of ssh: HOST COMMAND...
cat >"$folder/agent" <<AGENT
#!/usr/bin/env bash
pid=\$(awk -v host="\$1" '\$1 == host { print \$2 }' "$folder/hosts")
shift
exec nsenter --target "\$pid" --net --uts -- sh -c "\$*"
AGENT
chmod +x "$folder/agent"

# Lets so much through each host's end of its link, at which everything that the host sends arrives.
limit() {
    local command="tc qdisc del dev link0 root 2>/dev/null || true"
    case $1 in
        unlimited) ;;
        # As much as may pass at once: little, so that the rate holds for short messages as well.
        *gbit) command+="; tc qdisc add dev link0 root tbf rate $1 burst 128kb latency 100ms" ;;
        *) command+="; tc qdisc add dev link0 root tbf rate $1 burst 16kb latency 100ms" ;;
    esac
    for host in $(seq "$hosts"); do nsenter --target "${pids[host]}" --net -- bash -c "$command"; done
}

limit "${rates##* }" 2>"$folder/error" || skip "links cannot be slowed: $(cat "$folder/error")"
echo "| ranks | link | measured | sent by each | backward pass | gradients at once | one by one | hidden |"
echo "| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |"
for rate in $rates; do
    limit "$rate"
    for count in $ranks; do
        # Ranks yield their processor as they wait, since there may be more of them than processors.
        OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -n "$count" \
            --host "$(seq -f '10.77.0.%g' -s , "$count")" --map-by node --oversubscribe \
            --mca plm_rsh_agent "$folder/agent" --mca plm_rsh_no_tree_spawn 1 \
            --mca btl tcp,self --mca pml ob1 --mca btl_tcp_if_include 10.77.0.0/24 \
            --mca oob_tcp_if_include 10.77.0.0/24 \
            --mca mpi_yield_when_idle 1 --mca btl_base_warn_component_unused 0 \
            "$program" "$rate" "$steps" ${BUCKET:+"$BUCKET"}
    done
done
