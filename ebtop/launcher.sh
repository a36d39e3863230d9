#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Installed as `ebtop`. Starts Python with -I, so that neither the current directory nor the
# environment can put code into root's process. It calls nothing by a name that PATH could lead astray.

self=$(/usr/bin/readlink -f -- "$0")
bin=${self%/*}

# a virtual environment, pipx: Python is beside this script
if [ -e "$bin/../pyvenv.cfg" ]; then
	exec "$bin/python3" -I -m ebtop "$@"
fi
for python in "$bin/python3" /usr/bin/python3 /usr/local/bin/python3 "$bin"/python3.[0-9]*; do
	if [ -x "$python" ] && "$python" -I -c 'import ebtop' 2>/dev/null; then
		exec "$python" -I -m ebtop "$@"
	fi
done
echo "ebtop: no Python beside $bin or in /usr/bin has the package ebtop" >&2
exit 1
