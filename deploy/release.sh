#!/bin/sh
# Build a release from the commit that is checked out: deploy/release.sh [--no-images | --no-trainer] [--push REGISTRY]
#
# var/release/VERSION then has the sdists and wheels of the site and of the command line, the source archive that
# install.sh is unpacked from, the images of site and trainer as OCI archives, the SBOM (CycloneDX), base-images.txt,
# provenance.json (SLSA) and SHA256SUMS. All of these are the same whenever they are built on the same base images:
# timestamps are the commit's, base images are taken by digest, builders are those of uv.lock. Sdists and wheels are
# built twice and compared. Only signatures differ, and what docker attaches to a pushed image, which has the time in it.
#
#   --push REGISTRY    push the images too, as REGISTRY/polyscribe:VERSION and REGISTRY/polyscribe-training:VERSION
#   COSIGN_KEY=KEY     sign SHA256SUMS, and the images that are pushed, with cosign
#   BASE_IMAGES=FILE   the base-images.txt of an earlier build, to build on the same base images
#   BUILDER=podman     with PODMAN_BUILD_OPTIONS; the default is docker with buildx where it runs, else podman, which
#                      attaches neither SBOM nor provenance to a pushed image
set -eu
cd "$(dirname "$0")/.."

fail() {
    printf '✗ %s\n' "$*" >&2
    exit 1
}
say() { printf '  ✓ %s\n' "$*"; }

images=1
trainer=1
registry=''
while [ $# -gt 0 ]; do
    case $1 in
    --no-images) images='' ;;
    --no-trainer) trainer='' ;;
    --push)
        [ $# -ge 2 ] || fail "--push needs a registry."
        registry=${2%/}
        shift
        ;;
    *) fail "$1 is not known. The head of $0 lists the options." ;;
    esac
    shift
done

[ -z "$(git status --porcelain)" ] || fail "The working tree differs from its commit. Commit or stash first."
[ -z "${COSIGN_KEY:-}" ] || command -v cosign >/dev/null || fail "COSIGN_KEY is set, and cosign is not installed."
version=$(sed -n 's/^VERSION = "\(.*\)"/\1/p' core/version.py)
commit=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH
out=$PWD/var/release/$version
rm -rf "$out"
mkdir -p "$out"
python3 -I dev/stack/bootstrap.py
python=$PWD/.venv/bin/python

# The source, as install.sh is unpacked from it. What follows is built from this archive, not from the checkout.
source=polyscribe-$version-source
git archive --format=tar --prefix="$source/" "$commit" | gzip -9n >"$out/$source.tar.gz"
work=$(mktemp -d "$PWD/var/tmp.release.XXXXXX")
trap 'rm -rf "$work"' EXIT
for turn in first second; do
    mkdir "$work/$turn"
    tar -xzf "$out/$source.tar.gz" -C "$work/$turn"
    for project in . cli; do
        "$python" -m build --no-isolation --outdir "$work/$turn/dist" "$work/$turn/$source/$project" >"$work/build.log" 2>&1 ||
            fail "The distributions were not built: $(tail -n 5 "$work/build.log")"
    done
done
for file in "$work"/first/dist/*; do
    cmp "$file" "$work/second/dist/$(basename "$file")" || fail "$(basename "$file") differs between two builds."
done
"$python" -m twine check --strict "$work"/first/dist/*
cp "$work"/first/dist/* "$out"
say "sdists and wheels, twice the same"

"$python" -m stack sbom
cp var/sbom/site.cdx.json "$out"
git diff --quiet -- docs/licences.md || fail "docs/licences.md was not up to date. Commit it, and run this again."
say "SBOM"

builder=${BUILDER:-}
if [ -z "$builder" ]; then
    builder=podman
    docker buildx version >/dev/null 2>&1 && builder=docker
fi

# The digest that a registry has for an image now; with podman, that of the image that lies here.
digest_of() {
    if [ "$builder" = docker ]; then
        docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1"
    else
        podman image exists "$1" || podman pull --quiet "$1" >&2
        podman image inspect --format '{{.Digest}}' "$1"
    fi
}

base_image() {
    image=$(sed -n "s/^ARG $1=//p" "$2")
    if [ -n "${BASE_IMAGES:-}" ]; then
        sed -n "s|^\($image@.*\)|\1|p" "$BASE_IMAGES"
    else
        digest=$(digest_of "$image") || return 1
        printf '%s@%s\n' "$image" "$digest"
    fi
}

# build_image NAME DOCKERFILE BASE-ARGUMENT
build_image() {
    base=$(base_image "$3" "$2") || base=''
    [ -n "$base" ] || fail "No digest is known for the base image of $2."
    printf '%s\n' "$base" >>"$out/base-images.txt"
    archive=$out/$1-$version.oci.tar
    tag=${registry:+$registry/}$1:$version
    context=$work/first/$source
    if [ "$builder" = docker ]; then
        # one build for the archive, another from its cache for the registry; only there with attestations, which have
        # the time in them
        attestations='--provenance=false --sbom=false'
        for output in "type=oci,dest=$archive,rewrite-timestamp=true" ${registry:+"type=registry,rewrite-timestamp=true"}; do
            # shellcheck disable=SC2086 # two options
            docker buildx build --file "$context/$2" --tag "$tag" --build-arg "$3=$base" \
                --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" $attestations \
                --metadata-file "$work/$1.json" --output "$output" "$context"
            attestations='--provenance=mode=max --sbom=true'
        done
        pushed=$(sed -n 's/.*"containerimage.digest": "\(sha256:[0-9a-f]*\)".*/\1/p' "$work/$1.json" | head -n 1)
    else
        # shellcheck disable=SC2086 # several options
        podman build --file "$context/$2" --tag "$tag" --build-arg "$3=$base" --timestamp "$SOURCE_DATE_EPOCH" \
            --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" ${PODMAN_BUILD_OPTIONS:-} "$context"
        podman save --quiet --format oci-dir --output "$work/$1" "$tag"
        tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
            -cf "$archive" -C "$work/$1" .
        [ -z "$registry" ] || podman push --digestfile "$work/$1.digest" "$tag"
        pushed=$(cat "$work/$1.digest" 2>/dev/null || true)
    fi
    say "$tag"
    if [ -n "$registry" ] && [ -n "${COSIGN_KEY:-}" ]; then
        cosign sign --yes --key "$COSIGN_KEY" "$registry/$1@$pushed"
    fi
}

if [ -n "$images" ]; then
    build_image polyscribe Dockerfile PYTHON_IMAGE
    [ -z "$trainer" ] || build_image polyscribe-training deploy/training.Dockerfile VLLM_IMAGE
fi

"$python" -m stack.release_provenance "$out" --version "$version" --commit "$commit"
(cd "$out" && sha256sum -- * >SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS)
if [ -n "${COSIGN_KEY:-}" ]; then
    cosign sign-blob --yes --key "$COSIGN_KEY" --output-signature "$out/SHA256SUMS.sig" "$out/SHA256SUMS"
    say "signed: cosign verify-blob --key PUBLIC --signature SHA256SUMS.sig SHA256SUMS"
fi
say "$out"
