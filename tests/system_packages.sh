#!/usr/bin/env bash
# The tests need PostgreSQL, Redis, Chromium and Node. What is missing is installed where we may, else named.
# A service that is missing is a failure: a suite that skips it would call itself green for nothing.
set -euo pipefail

missing=()
command -v initdb > /dev/null || compgen -G "/usr/lib/postgresql/*/bin/initdb" > /dev/null || missing+=(postgresql)
command -v redis-server > /dev/null || missing+=(redis-server)
command -v chromium > /dev/null || command -v google-chrome > /dev/null || missing+=(chromium)
command -v node > /dev/null || missing+=(nodejs)

if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
  echo "The tests need: ${missing[*]}. Install them, for instance: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "Installing ${missing[*]} for the tests ..."
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# The packages would start servers of their own, which the tests have no use for: theirs are private.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
