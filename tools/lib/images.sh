# shellcheck shell=bash
# Real images, made on the spot from Debian packages, pushed to a registry; needs `registry.sh`.
#   make_images HOST DIR    pushes them all; DIR takes the pieces. Afterwards
#     DIR/tags     one `REPOSITORY TAG` a line: what a person would name
#     DIR/digests  one `REPOSITORY DIGEST` a line: the manifests without a tag, inside an index or attached

OCI_MANIFEST=application/vnd.oci.image.manifest.v1+json
OCI_INDEX=application/vnd.oci.image.index.v1+json
OCI_CONFIG=application/vnd.oci.image.config.v1+json
OCI_TAR=application/vnd.oci.image.layer.v1.tar
DOCKER_MANIFEST=application/vnd.docker.distribution.manifest.v2+json
DOCKER_CONFIG=application/vnd.docker.container.image.v1+json
DOCKER_LAYER=application/vnd.docker.image.rootfs.diff.tar.gzip
TIME=1700000000

# unpack DIR ARCH PACKAGE…: the files of these packages in DIR. For another architecture than this machine's, apt keeps
# its lists apart, so that nothing of the system changes.
unpack() {
    local directory=$1 arch=$2 options=(-qq -o APT::Sandbox::User=root) apart package
    shift 2
    mkdir -p "$directory/debs" "$directory/root"
    if [ "$arch" != "$(dpkg --print-architecture)" ]; then
        apart=$PWD/$directory/apt
        mkdir -p "$apart/lists/partial" "$apart/cache/archives/partial"
        options+=(-o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State::Lists=$apart/lists"
            -o "Dir::Cache=$apart/cache" -o Dir::State::status=/dev/null -o Acquire::Languages=none)
        apt-get "${options[@]}" update
    fi
    (cd "$directory/debs" && apt-get "${options[@]}" download "$@")
    for package in "$directory"/debs/*.deb; do
        dpkg-deb -x "$package" "$directory/root"
    done
}

# layer NAME DIR: NAME.tar and NAME.tar.gz of the files in DIR, the same every time.
layer() {
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$TIME" --format=posix \
        --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' -C "$2" -cf "$1.tar" .
    gzip -n -6 -k -f "$1.tar"
}

# config NAME ARCH LAYER…: the configuration of an image of these layers.
config() {
    local name=$1 arch=$2 ids='' one
    shift 2
    for one in "$@"; do
        ids+="${ids:+,}\"$(digest_of "$one.tar")\""
    done
    printf '{"created":"2023-11-14T22:13:20Z","os":"linux","architecture":"%s","config":{"Cmd":["/bin/busybox","sh"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' \
        "$arch" "$ids" > "$name.config"
}

# manifest NAME TYPE CONFIG LAYERS [MORE]: NAME.json, of descriptors; MORE is further JSON that begins with a comma.
manifest() {
    printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]%s}' "$2" "$3" "$4" "${5:-}" > "$1.json"
}

# publish HOST REPOSITORY NAME TYPE [TAG]: pushes NAME.json under the tag, or by digest alone, and lists it.
publish() {
    local digest
    digest=$(digest_of "$3.json")
    push_manifest "$1/$2" "${5:-$digest}" "$3.json" "$4" > /dev/null
    if [ -n "${5:-}" ]; then
        echo "$2 $5" >> tags
    else
        echo "$2 $digest" >> digests
    fi
}

# attach HOST REPOSITORY SUBJECT NAME TYPE: lists NAME.json as a referrer of SUBJECT.json under the fallback tag, which stands
# for the referrers API where a registry has none (OCI distribution-spec).
attach() {
    local subject
    subject=$(digest_of "$3.json")
    printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' "$OCI_INDEX" \
        "$(descriptor "$4.json" "$OCI_MANIFEST" ",\"artifactType\":\"$5\"")" > "$4.referrers.json"
    push_manifest "$1/$2" "${subject/:/-}" "$4.referrers.json" "$OCI_INDEX" > /dev/null
}

# artifact HOST REPOSITORY NAME TYPE FILE FILETYPE [SUBJECT [LAYERMORE]]: NAME.json with one blob.
artifact() {
    local empty blob more=",\"artifactType\":\"$4\""
    printf '{}' > empty
    empty=$(push_blob "$1/$2" empty application/vnd.oci.empty.v1+json)
    push_blob "$1/$2" "$5" "$6" > /dev/null
    blob=$(descriptor "$5" "$6" "${8:-}")
    [ -z "${7:-}" ] || more+=",\"subject\":$(descriptor "$7.json" "$OCI_MANIFEST")"
    manifest "$3" "$OCI_MANIFEST" "$empty" "$blob" "$more"
}

# A multi-arch image: one index over two small images of static binaries.
make_busybox() {
    local host=$1 arch native other listed=''
    native=$(dpkg --print-architecture)
    other=arm64
    [ "$native" != arm64 ] || other=amd64
    for arch in "$native" "$other"; do
        unpack "busybox-$arch" "$arch" busybox-static
        layer "busybox-$arch" "busybox-$arch/root"
        config "busybox-$arch" "$arch" "busybox-$arch"
        manifest "busybox-$arch" "$OCI_MANIFEST" "$(push_blob "$host/apps/busybox" "busybox-$arch.config" "$OCI_CONFIG")" \
            "$(push_blob "$host/apps/busybox" "busybox-$arch.tar.gz" "$OCI_TAR+gzip")"
        publish "$host" apps/busybox "busybox-$arch" "$OCI_MANIFEST"
        listed+="${listed:+,}$(descriptor "busybox-$arch.json" "$OCI_MANIFEST" ",\"platform\":{\"os\":\"linux\",\"architecture\":\"$arch\"}")"
    done
    printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' "$OCI_INDEX" "$listed" > busybox.json
    publish "$host" apps/busybox busybox "$OCI_INDEX" 1.35
}

# A large image for one platform, whose lowest layer is that of busybox, and which is signed.
make_tools() {
    local host=$1 native base=() layers
    native=$(dpkg --print-architecture)
    unpack tools "$native" git cmake gdb
    layer tools tools/root
    base=("busybox-$native" tools)
    config tools "$native" "${base[@]}"
    layers=$(push_blob "$host/apps/tools" "busybox-$native.tar.gz" "$OCI_TAR+gzip")
    layers+=",$(push_blob "$host/apps/tools" tools.tar.gz "$OCI_TAR+gzip")"
    manifest tools "$OCI_MANIFEST" "$(push_blob "$host/apps/tools" tools.config "$OCI_CONFIG")" "$layers"
    publish "$host" apps/tools tools "$OCI_MANIFEST" 2.39
    sign "$host" apps/tools tools
}

# sign HOST REPOSITORY NAME: an ECDSA signature over the image's digest, attached as cosign attaches its own.
sign() {
    local type=application/vnd.dev.cosign.artifact.sig.v1+json signature
    openssl ecparam -name prime256v1 -genkey -noout -out sign.key 2> /dev/null
    openssl ec -in sign.key -pubout -out sign.pub 2> /dev/null
    printf '{"critical":{"identity":{"docker-reference":"%s"},"image":{"docker-manifest-digest":"%s"},"type":"cosign container image signature"},"optional":null}' \
        "$1/$2" "$(digest_of "$3.json")" > payload
    signature=$(openssl dgst -sha256 -sign sign.key payload | base64 -w0)
    artifact "$1" "$2" signature "$type" payload application/vnd.dev.cosign.simplesigning.v1+json "$3" \
        ",\"annotations\":{\"dev.cosignproject.cosign/signature\":\"$signature\"}"
    publish "$1" "$2" signature "$OCI_MANIFEST"
    attach "$1" "$2" "$3" signature "$type"
}

# A Docker image (v2s2) of the same base.
make_docker() {
    local host=$1 native
    native=$(dpkg --print-architecture)
    config docker "$native" "busybox-$native"
    manifest docker "$DOCKER_MANIFEST" "$(push_blob "$host/apps/classic" docker.config "$DOCKER_CONFIG")" \
        "$(push_blob "$host/apps/classic" "busybox-$native.tar.gz" "$DOCKER_LAYER")"
    publish "$host" apps/classic docker "$DOCKER_MANIFEST" 1
}

# An artifact that is no image, with a bill of materials that refers to it.
make_artifact() {
    local host=$1
    printf 'apiVersion: v2\nname: hello\nversion: 0.1.0\n' > chart
    artifact "$host" charts/hello chart application/vnd.example.chart.v1 chart application/yaml
    publish "$host" charts/hello chart "$OCI_MANIFEST" 0.1.0
    printf '{"bomFormat":"CycloneDX","specVersion":"1.5","components":[]}' > sbom
    artifact "$host" charts/hello sbom application/vnd.cyclonedx+json sbom application/vnd.cyclonedx+json chart
    publish "$host" charts/hello sbom "$OCI_MANIFEST"
    attach "$host" charts/hello chart sbom application/vnd.cyclonedx+json
}

make_images() (
    set -euo pipefail
    mkdir -p "$2"
    cd "$2"
    : > tags
    : > digests
    make_busybox "$1"
    make_tools "$1"
    make_docker "$1"
    make_artifact "$1"
)
