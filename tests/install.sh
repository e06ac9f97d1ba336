# What the scripts of tests/ install when the machine lacks it: a JDK, Maven, Kafka's jars, Prometheus,
# Alertmanager, curl, zstd.
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

# Debian's package $1, unpacked into $2. Not installed: it would start a service.
fetch_debian() {
  step "fetching Debian's package $1"
  command -v apt-get >/dev/null || fail "the programs of Debian's package $1 are missing: install them and start again"
  # shellcheck disable=SC2016
  local download='cd "$2" && apt-get download -q "$1"'
  apt_quietly sh -c "$download" sh "$1" "$2" || {
    apt_quietly as_root apt-get update -q
    apt_quietly sh -c "$download" sh "$1" "$2"
  }
  dpkg-deb -x "$2/$1"_*.deb "$2"
  rm "$2/$1"_*.deb
}

# "have_debian PACKAGE PROGRAM…": the programs are in the path, from the package where the machine lacks one.
have_debian() {
  local package=$1 program
  shift
  for program in "$@"; do
    command -v "$program" >/dev/null && continue
    made "$CACHE/$package" fetch_debian "$package"
    PATH=$CACHE/$package/usr/bin:$PATH
    command -v "$program" >/dev/null || fail "Debian's package $package has no $program"
  done
}

install_prometheus() {
  have_debian prometheus prometheus promtool
}

# Outside of Debian the program is called alertmanager.
install_alertmanager() {
  if ! command -v alertmanager >/dev/null || ! command -v amtool >/dev/null; then
    have_debian prometheus-alertmanager prometheus-alertmanager amtool
  fi
}

# Programs that read compressed bodies.
install_readers() {
  local program
  for program in gzip curl zstd; do
    command -v "$program" >/dev/null || apt_install "$program"
  done
}

# The dashboards are made with the types of the first and checked against those of the others.
readonly GRAFANA_SDK=10.1.0 GRAFANA_OLDEST=10.1.0 GRAFANA_NEWEST=12.4.0 TYPESCRIPT=7.0.2

fetch_grafana_sdk() {
  step "fetching grafana-foundation-sdk for Grafana $GRAFANA_SDK from PyPI"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail 'grafana-foundation-sdk needs Python 3.11 or newer'
  python3 -m venv "$1" && "$1/bin/python" -m pip install -q "grafana-foundation-sdk==1769699998!$GRAFANA_SDK"
}

fetch_grafana_schema() {
  step "fetching @grafana/schema $1 from npm"
  npm install --silent --no-save --ignore-scripts --no-audit --no-fund --prefix "$2" "@grafana/schema@$1" "typescript@$TYPESCRIPT"
}

install_grafana_tools() {
  command -v npm >/dev/null || apt_install nodejs npm
  made "$CACHE/grafana-sdk-$GRAFANA_SDK" fetch_grafana_sdk
  made "$CACHE/grafana-schema-$GRAFANA_OLDEST" fetch_grafana_schema "$GRAFANA_OLDEST"
  made "$CACHE/grafana-schema-$GRAFANA_NEWEST" fetch_grafana_schema "$GRAFANA_NEWEST"
}
