#!/usr/bin/env bash
# The servers of the rivals, for as long as they are needed, on 127.0.0.1 only.
#
#   eval "$(bench/rivals/up.sh up DIR)"    starts them; prints addresses and pids, as exports
#   bench/rivals/up.sh down DIR            stops them and removes what they wrote
#
# DIR should be on the disk that Switchboard is measured on. Without it, a folder named
# rivals-data is made here. Ports are free ones, unless REDIS_ALWAYS_PORT, REDIS_EVERYSEC_PORT and
# POSTGRES_PORT name them. A server that is not installed is said to be absent, on stderr; the
# others start. Nobody is asked for a password: these are scratch servers.
set -euo pipefail

startWithin=60 # seconds for a server to answer, or to stop
firstPort=17000

say() { echo "up.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

# port WANTED: it, or one that nobody listens on.
nextPort=$firstPort
port() {
	if [ -n "$1" ]; then port=$1; return; fi
	while (: <"/dev/tcp/127.0.0.1/$nextPort") 2>/dev/null; do nextPort=$((nextPort + 1)); done
	port=$nextPort
	nextPort=$((nextPort + 1))
}

# within COMMAND…: tries it until it succeeds.
within() {
	local end=$((SECONDS + startWithin))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# redis POLICY WANTED_PORT NAME: all writes go to the append-only file, and what is answered is
# synced as the policy says. No snapshots beside it, which would cost the load a fork.
redis() {
	local home=$dir/redis-$1
	port "$2"
	mkdir "$home"
	redis-server --bind 127.0.0.1 --port "$port" --dir "$home" --logfile "$home/log" \
		--pidfile "$home/pid" --daemonize yes \
		--appendonly yes --appendfsync "$1" --no-appendfsync-on-rewrite no --save '' >/dev/null
	within redis-cli -p "$port" ping || fail "redis-server ($1) does not answer on port $port: see $home/log"
	echo "export RIVAL_REDIS_$3='127.0.0.1:$port' RIVAL_REDIS_$3_PID=$(cat "$home/pid")"
}

# asPostgres COMMAND…: PostgreSQL refuses to run as root.
asPostgres() {
	if [ "$(id -u)" = 0 ]; then su postgres -s /bin/sh -c 'cd / && exec "$@"' -- sh "$@"; else "$@"; fi
}

# postgresBin: the folder of the newest installation, also where it is not in PATH (Debian).
postgresBin() {
	if command -v initdb >/dev/null; then dirname "$(command -v initdb)"; return; fi
	ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true
}

# Memory as PostgreSQL's documentation says, a quarter of the machine's for shared_buffers, and
# checkpoints that a load of minutes does not force. What makes commits durable stays as it is by
# default, and is named so that it can be seen.
postgres() {
	local home=$dir/postgres bin=$1 quarter
	port "$2"
	mkdir "$home"
	[ "$(id -u)" != 0 ] || chown postgres "$home"
	asPostgres test -x "$home" || fail "user postgres cannot enter $home: give another folder"
	quarter=$(($(awk '/^MemTotal/ {print $2}' /proc/meminfo) / 4))
	asPostgres "$bin/initdb" -D "$home/data" -U postgres --auth=trust -E UTF8 --locale=C >"$home.log" 2>&1 ||
		fail "initdb: see $home.log"
	asPostgres tee -a "$home/data/postgresql.conf" >/dev/null <<-END
		listen_addresses = '127.0.0.1'
		unix_socket_directories = ''
		port = $port
		max_connections = 1000
		fsync = on
		full_page_writes = on
		synchronous_commit = on
		shared_buffers = ${quarter}kB
		max_wal_size = 8GB
		checkpoint_timeout = 15min
		default_toast_compression = lz4
	END
	asPostgres "$bin/pg_ctl" -D "$home/data" -l "$home/log" -t $startWithin -w start >/dev/null ||
		fail "PostgreSQL does not start on port $port: see $home/log"
	asPostgres head -n 1 "$home/data/postmaster.pid" >"$home/pid"
	echo "export RIVAL_POSTGRES='postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable' RIVAL_POSTGRES_PID=$(cat "$home/pid")"
}

up() {
	local bin
	if [ -e "$dir" ] && [ -n "$(ls -A "$dir")" ]; then fail "$dir is not empty: $0 down $dir"; fi
	mkdir -p "$dir"
	case $(stat -f -c %T "$dir") in
	tmpfs | ramfs) say "$dir is in memory, where syncing costs nothing: figures from it say nothing" ;;
	esac
	if command -v redis-server >/dev/null; then
		redis always "${REDIS_ALWAYS_PORT:-}" ALWAYS
		redis everysec "${REDIS_EVERYSEC_PORT:-}" EVERYSEC
	else
		say "redis-server is not installed: apt-get install redis-server"
	fi
	bin=$(postgresBin)
	if [ -n "$bin" ]; then
		postgres "$bin" "${POSTGRES_PORT:-}"
	else
		say "PostgreSQL is not installed: apt-get install postgresql"
	fi
}

# gone PID: also when nobody has asked yet how it ended.
gone() { [[ $(ps -o stat= -p "$1") != [!Z]* ]]; }

# stop NAME PROGRAM SIGNAL: by its pid, if that is still the program it was.
stop() {
	local home=$dir/$1 pid
	[ -d "$home" ] || return 0
	pid=$(cat "$home/pid" 2>/dev/null || true)
	if [ -n "$pid" ] && [[ $(ps -o comm= -p "$pid" || true) == "$2"* ]]; then
		kill "-$3" "$pid"
		within gone "$pid" || fail "$1 ($pid) does not end"
	fi
	rm -rf "$home" "$home.log"
}

down() {
	stop redis-always redis-server TERM
	stop redis-everysec redis-server TERM
	stop postgres postgres INT # ends connections, where TERM waits for them
	rmdir "$dir" 2>/dev/null || true
}

case ${1:-} in
up | down) ;;
*) fail "usage: $0 up|down [DIR]" ;;
esac
dir=$(mkdir -p "$(dirname "${2:-rivals-data}")" && cd "$(dirname "${2:-rivals-data}")" && pwd)/$(basename "${2:-rivals-data}")
"$1"
