#!/usr/bin/env bash
# Makes the release of the commit that is checked out: static binaries in archives, with completions, the man page and the
# systemd unit, and their checksums. Two runs on the same commit and Go version give the same bytes, wherever they are made.
# Needs a git clone, and GNU tar.
#
#	usage: scripts/release.sh OUT [os/arch ...]
set -euo pipefail
export LC_ALL=C TZ=UTC

[ $# -ge 1 ] || { echo "usage: scripts/release.sh OUT [os/arch ...]" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
[ -z "$(ls -A "$out")" ] || { echo "release: $out is not empty; empty it, or name another folder" >&2; exit 1; }
cd "$(dirname "$0")/.."
GO=${GO:-go}
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

# Nothing of the machine goes into a binary: no path, no C library, no ID of the linker. Its version is that of the commit.
build() { CGO_ENABLED=0 "$GO" build -trimpath -buildvcs=true -ldflags='-s -w -buildid=' -o "$1" ./cmd/spate; }

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
build "$stage/host"
version=$("$stage/host" version | cut -d' ' -f2)
case $version in devel*) echo "release: no version can be told here; run it in a git clone (not in a worktree), with git" >&2; exit 1 ;; esac

# Made beside the clone: files in it that git does not know would make a build one of a changed tree.
made=$stage/made
mkdir "$stage/common" "$made"
cp LICENSE README.md CHANGELOG.md "$stage/common"
"$stage/host" man >"$stage/common/spate.1"
"$stage/host" completion bash >"$stage/common/spate.bash"
"$stage/host" completion zsh >"$stage/common/_spate"
"$stage/host" completion fish >"$stage/common/spate.fish"

for target; do
	export GOOS=${target%/*} GOARCH=${target#*/}
	name=spate_${version}_${GOOS}_$GOARCH
	exe=
	[ "$GOOS" != windows ] || exe=.exe
	echo "release: $name"
	cp -r "$stage/common" "$stage/$name"
	build "$stage/$name/spate$exe"
	[ "$GOOS" != linux ] || cp packaging/spate.service "$stage/$name"
	chmod -R u=rwX,go=rX "$stage/$name"
	tar --create --directory "$stage" --format=ustar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner "$name" |
		gzip -n9 >"$made/$name.tar.gz"
	# For an image; see packaging/Dockerfile.
	if [ "$GOOS" = linux ]; then
		mkdir -p "$made/image/data"
		cp "$stage/$name/spate" "$made/image/spate-$GOARCH"
	fi
done
(cd "$made" && sha256sum -- *.tar.gz >SHA256SUMS)
cp -r "$made/." "$out"
