# shellcheck shell=bash
# Real registries on loopback, for scripts: Debian's docker-registry, each on a port that it picks itself.
#   start_registry DIR      starts one that keeps everything in DIR; its address is then in DIR/address
#   stop_registry DIR       ends it; what it keeps stays
#   push_blob HOST/REPO FILE TYPE                 prints the descriptor
#   push_manifest HOST/REPO REFERENCE FILE TYPE   prints the descriptor
# They are pushed to by curl, so that no tool has a chance to change a byte.

start_registry() {
    local directory=$1 address=''
    mkdir -p "$directory"
    cat > "$directory/config.yml" << YAML
version: 0.1
log: {level: info, formatter: json, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $directory/storage}, delete: {enabled: true}}
http: {addr: '127.0.0.1:0', secret: of-a-demo}
YAML
    : > "$directory/log"
    docker-registry serve "$directory/config.yml" >> "$directory/log" 2>&1 &
    echo $! > "$directory/pid"
    for _ in $(seq 300); do
        address=$(sed -n 's/.*listening on \(127\.0\.0\.1:[0-9]*\).*/\1/p' "$directory/log")
        [ -z "$address" ] || break
        sleep 0.1
    done
    if [ -z "$address" ]; then
        echo "docker-registry did not come up:" >&2
        cat "$directory/log" >&2
        return 1
    fi
    echo "$address" > "$directory/address"
}

stop_registry() {
    local pid
    pid=$(cat "$1/pid" 2> /dev/null) || return 0
    rm -f "$1/pid"
    kill "$pid" 2> /dev/null || return 0
    wait "$pid" 2> /dev/null || true
}

digest_of() {
    echo "sha256:$(sha256sum < "$1" | cut -d' ' -f1)"
}

# descriptor FILE TYPE [MORE]: MORE is further JSON that begins with a comma.
descriptor() {
    printf '{"mediaType":"%s","digest":"%s","size":%d%s}' "$2" "$(digest_of "$1")" "$(stat -c %s "$1")" "${3:-}"
}

push_blob() {
    local host=${1%%/*} repository=${1#*/} file=$2 type=$3 place
    place=$(curl -fsS -X POST -o /dev/null -D - "http://$host/v2/$repository/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -fsS -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$file" "$place&digest=$(digest_of "$file")"
    descriptor "$file" "$type"
}

push_manifest() {
    local host=${1%%/*} repository=${1#*/} reference=$2 file=$3 type=$4
    curl -fsS -o /dev/null -X PUT -H "Content-Type: $type" --data-binary "@$file" "http://$host/v2/$repository/manifests/$reference"
    descriptor "$file" "$type"
}
