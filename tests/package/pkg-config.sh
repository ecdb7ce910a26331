#!/bin/sh
# Compiles and runs a program with the flags that pkg-config gives: pkg-config.sh PKGCONFIG_DIR COMPILER SOURCE PROGRAM
set -eu
export PKG_CONFIG_PATH="$1"
# The flags are words for the compiler: they must be split.
# shellcheck disable=SC2046
"$2" -std=c++20 -O1 "$3" $(pkg-config --cflags --libs clearway-stat) -o "$4"
"$4"
pkg-config --exists clearway-io clearway-core
