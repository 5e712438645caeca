#!/bin/bash
# Installs under a temporary DESTDIR and builds a program outside of the tree against it: shared and static, C and C++, by
# pkg-config and by CMake where that is installed.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
make --no-print-directory install DESTDIR="$dir/root" PREFIX=/opt/precinfer > "$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
prefix=$dir/root/opt/precinfer
cat > "$dir/user.c" << 'END'
#include <precinfer.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
    float a[2] = { 1, 2 }, b[2] = { 3, 4 }, c = 0;
    struct precinfer_gemm g;
    struct precinfer_error err;
    precinfer_context *ctx = NULL;
    memset(&g, 0, sizeof g);
    g.size = sizeof g; g.m = 1; g.n = 1; g.k = 2;
    g.a_type = g.b_type = g.c_type = PRECINFER_F32;
    g.a = a; g.lda = 2; g.b = b; g.ldb = 1; g.c = &c; g.ldc = 1;
    if (precinfer_context_new(NULL, &ctx, &err) || precinfer_gemm(ctx, &g, &err)) { puts(err.text); return 1; }
    precinfer_context_free(ctx);
    printf("%s %g\n", precinfer_version(), (double)c);
    return c != 11;
}
END
cp "$dir/user.c" "$dir/user.cpp"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dir/root
shared=$(pkg-config --cflags --libs precinfer)
static=$(pkg-config --cflags --libs --static precinfer | sed "s|-lprecinfer|$prefix/lib/libprecinfer.a|")
# the sysroot is put before every path of the file, and the system's own libraries are not in it
static=${static//"-L$dir/root/usr"/-L/usr}
${CC:-gcc} -std=c99 -Wall -Wextra -pedantic "$dir/user.c" $shared -o "$dir/c-shared"
${CXX:-g++} -Wall -Wextra -pedantic "$dir/user.cpp" $shared -o "$dir/cpp-shared"
${CC:-gcc} "$dir/user.c" $static -o "$dir/c-static"
${CXX:-g++} "$dir/user.cpp" $static -o "$dir/cpp-static"
for program in c-shared cpp-shared c-static cpp-static; do
    printf '%s: ' "$program"
    LD_LIBRARY_PATH=$prefix/lib "$dir/$program"
done
! ldd "$dir/c-static" | grep -q precinfer
if command -v cmake > /dev/null; then
    printf 'cmake_minimum_required(VERSION 3.13)\nproject(user C)\nfind_package(precinfer REQUIRED)\nadd_executable(user user.c)\ntarget_link_libraries(user precinfer::precinfer)\nadd_executable(user_static user.c)\ntarget_link_libraries(user_static precinfer::static)\n' > "$dir/CMakeLists.txt"
    cmake -S "$dir" -B "$dir/cmake" -DCMAKE_PREFIX_PATH="$prefix" > "$dir/log" 2>&1 && cmake --build "$dir/cmake" >> "$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
    for program in user user_static; do printf 'cmake %s: ' $program; LD_LIBRARY_PATH=$prefix/lib "$dir/cmake/$program"; done
fi
echo "install: all programs linked and ran"
