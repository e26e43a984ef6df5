#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# packages.sh PACKAGE... - sees to it that Debian packages are there: installs what is
# missing as root on Debian, else says what is missing and how to get it.
set -eu

missing=
for p in "$@"; do
	if command -v dpkg-query >/dev/null 2>&1; then
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' ||
			missing="$missing $p"
	fi
done
if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "not Debian: packages are not checked; needed are (by their Debian names): $*"
	exit 0
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "missing packages:$missing" >&2
	echo "Try: sudo apt-get install$missing" >&2
	exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # a list of words
apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 || {
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
