#!/bin/sh
# A trigger: on_file list.sh
# Adds the path of the file to a list. Whoever follows the list hears of every file, even after a pause.
set -eu
printf '%s\n' "$1" >>"$DATA/arrived.txt"
