#!/bin/sh
# The main job, end to end, on this machine: a real PostgreSQL, a real Kafka, a real subscriber, and the proof.
# All arguments go to `bus demo`; try --help.
set -eu
cd "$(dirname "$0")/.."
. deploy/environment.sh
prepare demo
exec .venv/bin/bus demo "$@"
