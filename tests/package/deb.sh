#!/bin/sh
# Builds the Debian packages and looks inside: deb.sh CPACK CPACK_CONFIG FOLDER VERSION
# CPack writes packages without any dependency when it finds none, and says nothing: that is what is checked here.
set -eu
rm -rf "$3"
"$1" --config "$2" -G DEB -B "$3"

fail() { echo "$*" >&2; exit 1; }
field() { dpkg-deb -f "$1" "$2"; }

arch=$(dpkg --print-architecture)
program=$3/clearway_$4_$arch.deb
headers=$3/libclearway-dev_$4_$arch.deb
for library in libfmt libc6; do
  field "$program" Depends | grep -q "$library" || fail "$program does not depend on $library"
done
for library in libfmt-dev libeigen3-dev nlohmann-json3-dev libcsv-dev; do
  field "$headers" Depends | grep -q "$library" || fail "$headers does not depend on $library"
done
dpkg-deb -c "$program" | grep -q 'bin/clearway$' || fail "$program holds no program"
dpkg-deb -c "$headers" | grep -q 'include/clearway/stat/fit.hpp$' || fail "$headers holds no header"
dpkg-deb -c "$headers" | grep -q 'clearwayConfig.cmake$' || fail "$headers holds no file for find_package"
