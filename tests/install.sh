# What the scripts of tests/ install when the machine lacks it: a JDK, Maven, Kafka's jars, Prometheus, curl, zstd.
# Sourced, not run; the current directory is the repository. Downloads go to $CACHE; no service is installed or started.

readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/kafkascope"
mkdir -p "$CACHE"

step() { printf '==> %s\n' "$*"; }
fail() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    fail "cannot run \"$*\": neither root nor sudo. Run it by hand and start $0 again."
  fi
}

# Packages are fetched quietly; what apt said is shown when it fails.
apt_quietly() {
  local said
  said=$("$@" 2>&1) || { printf '%s\n' "$said" >&2; return 1; }
}

apt_install() {
  command -v apt-get >/dev/null || fail "$* is missing, and there is no apt-get to install it with"
  step "installing $*"
  apt_quietly as_root apt-get update -q
  apt_quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# A directory appears in the cache whole or not at all: "made DIR COMMAND…" gives COMMAND a new directory as
# its last argument and moves it into place when that succeeds.
made() {
  local target=$1 fresh
  shift
  [ -d "$target" ] && return
  fresh=$(mktemp -d "$target.XXXXXX")
  if ! "$@" "$fresh"; then rm -rf "$fresh"; fail "could not make $target"; fi
  chmod 755 "$fresh"
  mv -T "$fresh" "$target" 2>/dev/null || rm -rf "$fresh"
}

install_java() {
  command -v javac >/dev/null || apt_install default-jdk-headless
  command -v mvn >/dev/null || apt_install maven
  command -v openssl >/dev/null || apt_install openssl
  command -v setpriv >/dev/null || apt_install util-linux
  local major
  major=$(javac -version 2>&1 | sed -E 's/^javac ([0-9]+).*/\1/')
  [ "$major" -ge 17 ] || fail "Kafka 4 needs Java 17 or newer; javac is $major"
}

fetch_kafka() {
  step "fetching Kafka $1 from Maven"
  mvn -q -B -Dstyle.color=never -f tests/driver/pom.xml -Dkafka.version="$1" dependency:copy-dependencies -DoutputDirectory="$2"
}

# Unpacked, not installed: Debian's package would start a service.
fetch_prometheus() {
  step "fetching Debian's prometheus package"
  command -v apt-get >/dev/null || fail "prometheus and promtool are missing: install them and start again"
  # shellcheck disable=SC2016
  local download='cd "$1" && apt-get download -q prometheus'
  apt_quietly sh -c "$download" sh "$1" || {
    apt_quietly as_root apt-get update -q
    apt_quietly sh -c "$download" sh "$1"
  }
  dpkg-deb -x "$1"/prometheus_*.deb "$1"
  rm "$1"/prometheus_*.deb
}

install_prometheus() {
  if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
    made "$CACHE/prometheus" fetch_prometheus
    PATH=$CACHE/prometheus/usr/bin:$PATH
  fi
}

# Programs that read compressed bodies.
install_readers() {
  local program
  for program in gzip curl zstd; do
    command -v "$program" >/dev/null || apt_install "$program"
  done
}
