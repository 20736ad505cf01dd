#!/bin/sh
# Sign an image in its registry, without a key of ours (cosign, keyless). Called by .github/workflows/release.yml.
#
#   TAGS=REGISTRY/OWNER/NAME:1.2.0 DIGEST=sha256:... sh tools/sign_image.sh
#
# A tag can be moved, so what is signed is the digest: of the list of platforms and, by --recursive, of each image in it.
set -eu
: "${TAGS:?the names of the image, one a line}" "${DIGEST:?its digest, sha256:...}"
first=$(printf '%s\n' "$TAGS" | head -n 1)
exec cosign sign --yes --recursive "${first%:*}@$DIGEST"
