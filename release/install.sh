#!/bin/sh
# Installs this release of Storewarden from the folder it stands in, without a network.
set -eu
export LC_ALL=C

usage() {
	cat <<-'TEXT'
	usage: install.sh [--root DIR] [--python PYTHON] release|system|all
	  release   make /opt/storewarden/releases/VERSION; `current` is set where there is none
	  system    put units, users, temporary files, device names and journal limits in place
	  all       both
	  --root DIR        install below DIR instead of /
	  --python PYTHON   the Python to make it with (python3)
	example: sudo ./install.sh all
	TEXT
}

say() { echo "install.sh: $*" >&2; }

refuse() {
	say "$*"
	exit 1
}

# whole: every file is listed in SHA256SUMS, is as listed, and the list is signed where that is asked.
whole() {
	[ -f SHA256SUMS ] || refuse 'this is not a bundle: SHA256SUMS is missing'
	signers=$root/etc/storewarden/release-signers
	if [ -e "$signers" ]; then
		[ -f SHA256SUMS.sig ] || refuse "this bundle is not signed, and $signers asks for it"
		command -v ssh-keygen >/dev/null 2>&1 ||
			refuse 'the signature cannot be checked without ssh-keygen (package openssh-client)'
		ssh-keygen -Y verify -f "$signers" -I release -n storewarden-release \
			-s SHA256SUMS.sig <SHA256SUMS >/dev/null 2>&1 ||
			refuse "the signature is not one of those that $signers allows"
	fi
	sha256sum --check --strict --quiet SHA256SUMS >&2 ||
		refuse 'the bundle is damaged or was changed; copy it again'
	listed=$(sed 's/^[0-9a-f]*  //' SHA256SUMS | sort)
	found=$(find . ! -type d ! -path './SHA256SUMS' ! -path './SHA256SUMS.sig' \
		! -path './ansible/*/__pycache__/*' | sed 's|^\./||' | sort)
	[ "$listed" = "$found" ] || refuse 'the bundle holds a file that SHA256SUMS does not list'
}

# fits: is there a Python, new enough, of a kind that this bundle has wheels for?
fits() {
	command -v "$python" >/dev/null 2>&1 ||
		refuse "there is no $python here; Debian has it as package python3"
	here=$("$python" -I -c 'import struct, sys, os
print("%d.%d" % sys.version_info[:2], os.uname().machine, struct.calcsize("P") * 8,
      (os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else "") or "-")') ||
		refuse "$python does not run"
	# shellcheck disable=SC2086  # a list of words
	set -- $here
	case $1 in
	3.[0-9] | 3.10 | 2.*) refuse "Python $1 is too old; 3.11 or newer is needed (Debian 12 has it)" ;;
	esac
	[ "$3" = 64 ] || refuse "this is a $3-bit system; a 64-bit one is needed"
	[ "$4" = glibc ] || refuse 'this system has no glibc; Debian 12 or 13 is needed'
	case $5 in
	2.[0-9] | 2.[012]? | 2.3[0-5]) refuse "glibc $5 is too old; 2.36 or newer is needed (Debian 12)" ;;
	esac
	grep -qx "$2-$1" TARGETS ||
		refuse "this machine is $2 with Python $1; the bundle is for $(paste -s -d ' ' TARGETS)"
}

# release: a virtual environment of its own, counted only once all of it is on the disk.
release() {
	fits
	releases=$root/opt/storewarden/releases
	target=$releases/$version
	if ! { mkdir -p "$releases" && touch "$root/opt/storewarden/.lock"; } 2>/dev/null; then
		refuse "$root/opt/storewarden can't be written: are you root, and is the disk writable?"
	fi
	exec 9>"$root/opt/storewarden/.lock"
	flock 9
	same=$(sha256sum <requirements.txt | cut -d ' ' -f 1)
	# without its Python it is dead: Debian was upgraded, and the other one is to be used
	[ -x "$target/bin/python" ] || rm -f "$target/.complete"
	if [ -f "$target/.complete" ]; then
		[ "$(cat "$target/.complete")" = "$same" ] ||
			refuse "another build of $version is installed; a release is never changed, give this one a version of its own"
		say "release $version is installed"
	else
		say "making $target"
		rm -rf "$target"
		trap 'rm -rf "$target"' EXIT # a full disk gets its room back
		"$(readlink -f "$(command -v "$python")")" -m venv --without-pip "$target"
		pip=$(echo wheels/pip-*.whl)
		"$target/bin/python" -I "$pip/pip" install --quiet --disable-pip-version-check \
			--no-cache-dir --no-index --find-links wheels --only-binary :all: \
			--require-hashes -r requirements.txt >&2 || refuse 'pip could not install the wheels'
		said=$("$target/bin/storewarden" --version) || refuse 'the new release does not start'
		[ "$said" = "storewarden $version" ] || refuse "the new release says that it is $said"
		sync -f "$target"
		echo "$same" >"$target/.complete.new"
		sync "$target/.complete.new"
		mv "$target/.complete.new" "$target/.complete"
		sync "$target"
		trap - EXIT
	fi
	current=$root/opt/storewarden/current
	if [ ! -L "$current" ]; then
		ln -sfn "releases/$version" "$current.new"
		mv -T "$current.new" "$current"
		sync "$root/opt/storewarden"
		say "current is $version"
	fi
	flock -u 9
}

# put MODE FILE TARGET: by rename, and only where it is another.
put() {
	cmp -s "$2" "$root$3" && return
	mkdir -p "$(dirname "$root$3")"
	install -m "$1" "$2" "$root$3.new"
	mv "$root$3.new" "$root$3"
	say "put $3"
}

# notifies_reloads: whether systemd is 254 or newer; where it stands, by the name of its library.
notifies_reloads() {
	for library in "$root"/usr/lib/*/systemd/libsystemd-shared-*.so "$root"/usr/lib/systemd/libsystemd-shared-*.so; do
		[ -f "$library" ] || continue
		number=${library##*-shared-}
		number=${number%%[!0-9]*}
		[ "${number:-0}" -lt 254 ] || return 0
	done
	return 1
}

# system: what belongs to the machine and not to one release.
system() {
	for file in systemd/*.service systemd/*.timer systemd/*.path systemd/*.target; do
		[ ! -f "$file" ] || put 644 "$file" "/etc/systemd/system/${file##*/}"
	done
	for file in systemd/*.d/*.conf; do
		[ -f "$file" ] || continue
		case $file in
		systemd/sysusers.d/*) put 644 "$file" "/usr/lib/${file#systemd/}" ;;
		systemd/tmpfiles.d/*) put 644 "$file" "/usr/lib/${file#systemd/}" ;;
		systemd/journald.conf.d/* | systemd/system.conf.d/*) put 644 "$file" "/etc/${file}" ;;
		*/10-notify-reload.conf)
			if notifies_reloads; then
				put 644 "$file" "/etc/systemd/system/${file#systemd/}"
			else
				rm -f "$root/etc/systemd/system/${file#systemd/}"
			fi
			;;
		*) put 644 "$file" "/etc/systemd/system/${file#systemd/}" ;;
		esac
	done
	for file in systemd/udev/*.rules; do
		[ ! -f "$file" ] || put 644 "$file" "/etc/udev/rules.d/${file##*/}"
	done
	if [ ! -L "$root/usr/local/bin/storewarden" ]; then
		mkdir -p "$root/usr/local/bin"
		ln -s /opt/storewarden/current/bin/storewarden "$root/usr/local/bin/storewarden"
		say 'put /usr/local/bin/storewarden'
	fi
	[ -z "$root" ] || return 0
	sync
	systemd-sysusers 2>/dev/null || say 'systemd-sysusers could not make the user'
	systemd-tmpfiles --create 2>/dev/null || true
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
		udevadm control --reload 2>/dev/null || true
		udevadm trigger --subsystem-match=tty --subsystem-match=gpio 2>/dev/null || true
		# idle until an upgrade is cut off
		[ ! -f systemd/storewarden-upgrade-recover.service ] ||
			systemctl --quiet enable storewarden-upgrade-recover.service
	fi
}

root=
python=python3
what=
while [ $# -gt 0 ]; do
	case $1 in
	--root | --python)
		[ $# -gt 1 ] || {
			usage >&2
			exit 2
		}
		if [ "$1" = --root ]; then root=${2%/}; else python=$2; fi
		shift
		;;
	-h | --help)
		usage
		exit 0
		;;
	release | system | all)
		[ -z "$what" ] || {
			usage >&2
			exit 2
		}
		what=$1
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
	shift
done
[ -n "$what" ] || {
	usage >&2
	exit 2
}
case $root in
'' | /*) ;;
*) root=$(pwd)/$root ;;
esac
umask 022
cd "$(dirname "$0")"
[ -n "$root" ] || [ "$(id -u)" = 0 ] || refuse 'installing needs root: run it with sudo'
whole
version=$(cat VERSION)
case $what in
release) release ;;
system) system ;;
all)
	release
	system
	;;
esac
