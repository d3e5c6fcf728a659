#!/usr/bin/env bash
# Checks ilr-native on a machine with a GPU: build, parity, losses, sampling, seam, a whole demo run and benches, in one call of
# at most ten minutes, into one JSON file. That machine needs PyTorch with CUDA (its folder is LibTorch), nvcc, cmake, ninja
# and g++; no Node, no npm and no network.
#
#   scripts/check-gpu.sh --pack [<folder>]     on a development machine, after `npm ci && npm run build`: what the other one
#                                              lacks, below 64 MiB (default: .gpu-pack, which git ignores)
#   scripts/check-gpu.sh [<folder>]            on the GPU machine, in the repository: writes check-gpu.json into $OUT, else
#                                              bench/results. Exit code 1 where a part failed.
#
# ILR_CHECK_DEVICE=cpu rehearses everything but CUDA itself; ILR_LIBTORCH names the torch folder where python3 has none;
# ILR_CHECK_SECONDS is the time for all of it (570).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

pack() {
  local folder=$1
  rm -rf "$folder"
  mkdir -p "$folder/tree"
  xz -T0 -6 -c "$(readlink -f "$(command -v node)")" >"$folder/node.xz"
  cp -r "$root/dist" "$folder/tree/dist"
  find "$folder/tree/dist" -name '*.map' -delete
  # Production packages; of the tokenizer's binaries the one for this platform.
  (cd "$root" && npm ls --omit=dev --all --parseable | tail -n +2 | sed "s|^$root/||" | sort -u) >"$folder/packages"
  while read -r package; do
    mkdir -p "$folder/tree/$(dirname "$package")"
    cp -r "$root/$package" "$folder/tree/$(dirname "$package")/"
  done <"$folder/packages"
  find "$folder/tree/node_modules" \( -name '*.map' -o -name '*.md' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete
  find "$folder/tree/node_modules/tokenizers" -name '*.node' ! -name '*linux-x64-gnu*' -delete
  [ -n "$(find "$folder/tree/node_modules/tokenizers" -name '*linux-x64-gnu*.node')" ] ||
    { echo "no linux-x64-gnu binary of tokenizers in $root/node_modules" >&2; exit 1; }
  if [ -d "$root/../shared/model-configs" ]; then
    mkdir -p "$folder/shared"
    cp -r "$root/../shared/model-configs" "$folder/shared/"
  fi
  tar -C "$folder" -cf - tree | xz -T0 -6 -c >"$folder/tree.tar.xz"
  rm -rf "$folder/tree" "$folder/packages"
  printf '%s%s\n' "$(git -C "$root" rev-parse HEAD)" \
    "$([ -z "$(git -C "$root" status --porcelain --untracked-files=no)" ] || echo ' with changes')" >"$folder/commit"
  local bytes
  bytes=$(du -sb "$folder" | cut -f1)
  echo "$folder: $((bytes / 1048576)) MiB"
  [ "$bytes" -lt $((64 << 20)) ] || { echo "that is more than the 64 MiB that may be carried" >&2; exit 1; }
}

# xz is not on every machine; Python's is.
unxz_to() { xz -dc "$1" >"$2" 2>/dev/null || python3 -c 'import lzma,shutil,sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' "$1" "$2"; }

check() {
  local folder=$1 work
  [ -f "$folder/node.xz" ] || { echo "no pack in $folder: run scripts/check-gpu.sh --pack on a development machine" >&2; exit 2; }
  work=$(mktemp -d "${TMPDIR:-/tmp}/ilr-check-XXXXXX")
  # An own copy of the tree, beside the shared files, so that nothing of the repository is written to.
  mkdir "$work/ilr-native"
  tar -C "$root" --exclude=./.git --exclude=./node_modules --exclude=./dist --exclude=./native/build --exclude=./bc \
    --exclude="./$(basename "$folder")" --exclude=./runs -cf - . | tar -C "$work/ilr-native" -xf -
  unxz_to "$folder/tree.tar.xz" "$work/tree.tar"
  tar -C "$work/ilr-native" --strip-components=1 -xf "$work/tree.tar"
  rm "$work/tree.tar"
  [ ! -d "$folder/shared" ] || cp -r "$folder/shared" "$work/shared"
  mkdir "$work/bin"
  unxz_to "$folder/node.xz" "$work/bin/node"
  chmod +x "$work/bin/node"
  local out=${OUT:-$root/bench/results}
  mkdir -p "$out"
  local code=0
  ILR_CHECK_COMMIT=$(cat "$folder/commit") ILR_CACHE=$work/cache PATH=$work/bin:$PATH \
    "$work/bin/node" "$work/ilr-native/scripts/check-gpu.mjs" "$out/check-gpu.json" || code=$?
  rm -rf "$work"
  return $code
}

if [ "${1:-}" = --pack ]; then
  pack "$(realpath -m "${2:-$root/.gpu-pack}")"
else
  check "$(realpath -m "${1:-$root/.gpu-pack}")"
fi
