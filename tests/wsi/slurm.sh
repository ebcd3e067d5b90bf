#!/usr/bin/env bash
# Start a SLURM of one node in a folder: slurm.sh FOLDER. As root, with Debian's packages slurm-wlm and munge.
# Stop it: kill $(cat FOLDER/run/*.pid)
set -eu
folder=$(realpath -m "$1")
host=$(hostname -s)
mkdir -p "$folder"/{run,state,spool}
cat > "$folder/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmctldPort=16817
SlurmdPort=16818
SlurmctldPidFile=$folder/run/ctld.pid
SlurmdPidFile=$folder/run/d.pid
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldLogFile=$folder/ctld.log
SlurmdLogFile=$folder/d.log
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
mkdir -m 755 "$folder/munge"
dd if=/dev/urandom of="$folder/munge/key" bs=1 count=1024 2> /dev/null
chmod 400 "$folder/munge/key"
munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/run/munged.pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
export SLURM_CONF="$folder/slurm.conf"
slurmctld
slurmd
for _ in $(seq 60); do
    sinfo --noheader --format=%T 2> /dev/null | grep -q idle && exit 0
    sleep 1
done
exit 1
