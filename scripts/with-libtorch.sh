#!/usr/bin/env bash
# with-libtorch.sh PROGRAM...: runs a program that is linked with libtorch. cargo calls it for tests and
# benchmarks. The library in the jar does not need it, because it finds libtorch in its own folder.
root="$(dirname "${BASH_SOURCE[0]}")/.."
libtorch="${LIBTORCH:-$root/build/libtorch}"
path="$libtorch/lib"
# The stubs would hide the real CUDA libraries from a libtorch that has them.
[ -e "$libtorch/lib/libtorch_cuda.so" ] || path+=":$root/build/stubs"
export LD_LIBRARY_PATH="$path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$@"
