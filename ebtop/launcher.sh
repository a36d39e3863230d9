#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Installed as `ebtop`. Starts Python with -I and with an environment of its own, so that neither
# the current directory nor a variable can put code into root's process: -I alone leaves some
# variables in force. It calls nothing by a name that PATH could lead astray. The environment that
# it was started with goes along as data; what becomes of it is ebtop/runtime/environment.py's.

# bash, as sh, takes functions from the environment, and these names for them
unset -f [ echo read 2>/dev/null
IFS=' 	
'
# of the C library, for what is called here
unset LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH GCONV_PATH LOCPATH NLSPATH

# The environment as it was, by the kernel's copy: a shell drops the names that it cannot use. The
# pid is that of this mount of /proc, whose pid namespace may be another. And the signals that are
# ignored: Python does what it likes with some, and does not tell what was.
given= ignored=
if [ -r /proc/self/status ]; then
	while read -r key value; do
		case $key in
		Pid:) given=/proc/$value/environ ;;
		SigIgn:) ignored=$value ;;
		esac
	done </proc/self/status
fi

self=$(/usr/bin/readlink -f -- "$0")
bin=${self%/*}
set -- -I -m ebtop "$@"

# a virtual environment, pipx: Python is beside this script
if [ -e "$bin/../pyvenv.cfg" ]; then
	python=$bin/python3
else
	python=
	for one in "$bin/python3" /usr/bin/python3 /usr/local/bin/python3 "$bin"/python3.[0-9]*; do
		if [ -x "$one" ] && /usr/bin/env -i /bin/sh -c 'exec "$0" -I -c "import ebtop"' "$one"
		2>/dev/null; then python=$one
			break
		fi
	done
	if [ -z "$python" ]; then
		echo "ebtop: no Python beside $bin or in /usr/bin has the package ebtop" >&2
		exit 1
	fi
fi
set -- "$python" "$@"
case $python in
*=*) set -- /bin/sh -c 'exec "$@"' sh "$@" ;; # env would take it for a variable
esac

path_of() { # of a program that every system has, though not in the same place
	for found in "/usr/bin/$1" "/bin/$1"; do
		[ -x "$found" ] && return
	done
	return 1
}
names_of() { # of NAME=VALUE, each with a NUL behind it
	"$tr" '\000' '\n' | LC_ALL=C "$sed" -n 's/^\([^=][^=]*\)=.*/\1/p'
}
pieces=
if path_of tr && tr=$found && path_of sed && sed=$found && path_of base64 && base64=$found; then
	# in pieces, for one variable is at most 128 KiB; after a word, for there may be none
	if [ -r "$given" ]; then
		pieces="known $("$base64" -w 65536 "$given")" && names=$(names_of <"$given") || pieces=
	else # no /proc: what the shell makes of it has to do
		pieces="known $(/usr/bin/env -0 | "$base64" -w 65536)" &&
			names=$(/usr/bin/env -0 | names_of) || pieces=
	fi
fi

# What ebtop itself looks at, and what a library does that has no say in what code runs. TERMINFO
# and HOME are not here: as root, a file of somebody else's would be read as a terminal's.
kept=" TERM COLORTERM NO_COLOR COLUMNS LINES TZ LANG \
LC_ALL LC_CTYPE LC_COLLATE LC_MESSAGES LC_MONETARY LC_NUMERIC LC_TIME \
XDG_CONFIG_HOME XDG_STATE_HOME XDG_DATA_HOME XDG_CACHE_HOME XDG_RUNTIME_DIR \
SUDO_UID SUDO_GID SUDO_USER SUDO_COMMAND PKEXEC_UID "

if [ -z "$pieces" ]; then
	# without the whole: what is kept is no secret, and may be among the words of a command
	set -- EBTOP_GIVEN= "EBTOP_GIVEN_IGNORED=$ignored" "$@"
	for name in $kept; do
		eval "value=\${$name-} known=\${$name+1}"
		if [ -n "$known" ]; then
			set -- "$name=$value" "$@"
		fi
	done
	exec /usr/bin/env -i "$@"
fi

# Words of a command are for all to read, so no value is among them: all other names are taken away.
count=-1
for piece in $pieces; do
	if [ $count -ge 0 ]; then
		export "EBTOP_GIVEN_$count=$piece"
	fi
	count=$((count + 1))
done
export "EBTOP_GIVEN=$count" "EBTOP_GIVEN_IGNORED=$ignored"
set -f
IFS='
'
# the first are what shells set; then what must not stay, should the list of names be cut short
for name in PWD OLDPWD SHLVL _ PYTHONEXECUTABLE PYTHONHOME PYTHONPATH __PYVENV_LAUNCHER__ $names; do
	case "$kept" in
	*" $name "*) ;;
	*)
		case $name in
		EBTOP_GIVEN | EBTOP_GIVEN_*) ;;
		*) set -- -u "$name" "$@" ;;
		esac
		;;
	esac
done
exec /usr/bin/env "$@"
