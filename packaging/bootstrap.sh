#!/bin/sh
# Sets up what is missing, and only that: npm dependencies, the compiled programs, RabbitMQ.
# With --tests also nginx, Apache, ProFTPD, sshd, rsync, curl, strace and systemd-notify. Says what it does, and nothing when there is
# nothing to do.
set -eu
cd "$(dirname "$0")/.."

case "${1-}" in
'' | --tests) tests=${1-} ;;
*)
  echo "usage: $0 [--tests]" >&2
  exit 2
  ;;
esac

say() { echo "bootstrap: $*" >&2; }

# Several clones may be set up at once, and one clone twice. The kernel drops a lock with its holder, so none can be
# left behind. Where there is no flock there is no apt-get either, and only the clone itself goes unprotected.
lock() { if command -v flock >/dev/null 2>&1; then flock "$1"; fi; }

node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || {
  say "Node.js 20.19 or later is needed, and this is $(node --version 2>&1)."
  exit 1
}

# --- npm dependencies and the compiled programs (a packed release brings them along: no lock file, no sources) ---

lacks_dependencies() {
  [ -f package-lock.json ] || return 1
  # Linked to a directory that somebody else looks after: npm would empty that one.
  [ ! -L node_modules ] || return 1
  [ -f node_modules/.package-lock.json ] || return 0
  [ -n "$(find package-lock.json -newer node_modules/.package-lock.json)" ]
}

lacks_build() {
  [ -d src ] || return 1
  [ -f dist/.built ] || return 0
  [ -n "$(find src tsconfig.json package-lock.json -newer dist/.built | head -n 1)" ]
}

if lacks_dependencies || lacks_build; then
  exec 9<.
  lock 9
  # Whoever held the lock may have done it for us.
  if lacks_dependencies; then
    say "installing npm dependencies (npm ci)"
    npm ci --include=dev --no-audit --no-fund --loglevel=error >&2
    # npm keeps times of its own choice; ours is compared with that of package-lock.json.
    touch node_modules/.package-lock.json
  fi
  if lacks_build; then
    say "compiling (tsc)"
    mkdir -p dist
    # The time before compiling counts: a source saved meanwhile is compiled again next time.
    touch dist/.building
    node node_modules/typescript/bin/tsc -p tsconfig.json >&2
    mv dist/.building dist/.built
  fi
  exec 9<&-
fi

# --- programs of the system ---

has_program() {
  for directory in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
    if [ -x "$directory/$1" ]; then return 0; fi
  done
  command -v "$1" >/dev/null 2>&1
}

# The private broker runs from the library directory, which ordinary users may read, not from the wrapper in PATH.
has_broker() {
  for program in /usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server /usr/local/lib/rabbitmq/lib/*/sbin/rabbitmq-server \
    /opt/rabbitmq/sbin/rabbitmq-server /opt/rabbitmq/*/sbin/rabbitmq-server; do
    if [ -f "$program" ]; then return 0; fi
  done
  return 1
}

missing_packages() {
  has_broker || printf ' rabbitmq-server'
  if [ -n "$tests" ]; then
    for program in nginx rsync curl strace; do has_program "$program" || printf ' %s' "$program"; done
    # The program alone: the package of this name would bring a service along.
    has_program apache2 || printf ' apache2-bin'
    has_program proftpd || printf ' proftpd-core proftpd-mod-crypto'
    has_program systemd-notify || printf ' systemd'
    has_program sshd || printf ' openssh-server'
  fi
}

packages=$(missing_packages)
[ -n "$packages" ] || exit 0

give_up() {
  say "$*"
  say "Install the packages$packages with the package manager of this system, then run the same command again."
  if command -v apt-get >/dev/null 2>&1; then say "Here that is, as root: apt-get update && apt-get install$packages"; fi
  say "The system's own services need not run: private ones are started on free ports."
  exit 1
}

command -v apt-get >/dev/null 2>&1 || give_up "Missing:$packages. There is no apt-get here."
if [ "$(id -u)" = 0 ]; then
  as_root=env
elif command -v sudo >/dev/null 2>&1; then
  as_root='sudo env'
  # Without a terminal nobody can type a password.
  [ -t 0 ] || as_root='sudo -n env'
else
  give_up "Missing:$packages. Installing them needs root, and there is no sudo."
fi

exec 9</var/lib/dpkg
lock 9
packages=$(missing_packages)
[ -n "$packages" ] || exit 0
say "installing$packages (${as_root%env}apt-get install)"
$as_root true || give_up "Missing:$packages. Installing them needs root, and sudo refused."

# Packages start their services when they are installed, unless this file says no. An administrator's own stays as it
# is; one of ours that a killed run left behind is taken over.
policy=/usr/sbin/policy-rc.d
mark='written by packaging/bootstrap.sh of sarracenia while packages are installed; safe to remove'
log=$(mktemp)
policy_is_ours=
clean_up() {
  rm -f "$log"
  if [ -n "$policy_is_ours" ]; then $as_root rm -f "$policy"; fi
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$policy" ] || grep -q "$mark" "$policy"; then
  policy_is_ours=yes
  printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" | $as_root tee "$policy" >/dev/null
  $as_root chmod 755 "$policy"
fi

# Services that come with the packages; the port mapper comes with RabbitMQ when nothing else has brought it.
services=
for package in $packages; do
  case $package in
  apache2-bin | curl | proftpd-mod-crypto | strace | systemd) ;;
  openssh-server) services="$services ssh" ;;
  proftpd-core) services="$services proftpd" ;;
  *) services="$services $package" ;;
  esac
  if [ "$package" = rabbitmq-server ] && ! has_program epmd; then services="$services epmd.socket epmd.service"; fi
done

apt() { $as_root DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1 </dev/null; }
# shellcheck disable=SC2086 # a list of names
install_packages() { apt install --no-install-recommends $packages; }

install_packages || {
  say "refreshing the package lists (apt-get update)"
  if ! apt update || ! install_packages; then
    tail -n 25 "$log" >&2
    give_up "apt-get could not install$packages; its last words stand above."
  fi
}

# What we installed for private use shall not start with the system either.
for service in $services; do
  if command -v update-rc.d >/dev/null 2>&1; then $as_root update-rc.d "$service" disable >/dev/null 2>&1 || :; fi
  if command -v systemctl >/dev/null 2>&1; then $as_root systemctl disable --quiet "$service" >/dev/null 2>&1 || :; fi
done

packages=$(missing_packages)
[ -z "$packages" ] || give_up "apt-get was content, yet these are still missing:$packages."
