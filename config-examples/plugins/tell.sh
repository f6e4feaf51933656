#!/bin/sh
# A trigger: on_file tell.sh
#
# Run for each file once it has its final name. $1 is its path. SR_SIZE, SR_REL_PATH, SR_BASE_URL, SR_SOURCE,
# SR_PUB_TIME and others say more, and standard input holds everything as one JSON object.
#
# Exit status 0: go on. 1 to 125: do not announce it further (the file stays). Anything else, a signal, or taking
# longer than the option timeout: a fault; the file is tried again later, and this script is run again.
# What is printed goes to the log.
set -eu

printf '%s %s bytes from %s\n' "$1" "$SR_SIZE" "$SR_BASE_URL"
