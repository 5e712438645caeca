#!/bin/bash
# The rules of the house, checked by grep and nm.   test/lint.sh [ROOT [BUILD]]   (after `make`)
# test/lint.sh --self-test plants one violation of each rule in a scratch copy and demands that it is found.
set -u
root=${1:-.} build=${2:-build}
fail=0
bad() { printf 'lint: %s: %s\n' "$1" "$2" >&2; fail=1; }

rooms=(base graph quant kern op plan calib verify search format)

# A file includes its own room and rooms to its left; kern, op and base/tensor.h alone see the kernels.
layering() {
    local i file inc room left
    for i in "${!rooms[@]}"; do
        room=${rooms[$i]} left=" ${rooms[*]:0:$i} $room "
        for file in "$root"/lib/"$room"/*.[ch]; do
            [ -e "$file" ] || continue
            while read -r inc; do
                case $inc in
                ../../kernels/*) case $room/${file##*/} in kern/* | op/* | base/tensor.h | base/dtype.c) ;; *) bad layering "$file includes $inc" ;; esac ;;
                ../*/*) local to=${inc#../}; to=${to%%/*}; case $left in *" $to "*) ;; *) bad layering "$file includes $inc" ;; esac ;;
                esac
            done < <(sed -n 's/^#include "\(.*\)".*/\1/p' "$file")
        done
    done
}

# A kernel includes kernel.h, rows.h (its own declaration), headers of its own folder and of vector/, the text that the
# folders share; the wider AVX-512 folders see avx512's.
kernels() {
    local file inc dir
    for file in "$root"/kernels/*/*.[ch]; do
        dir=$(basename "$(dirname "$file")")
        while read -r inc; do
            case $inc in
            ../kernel.h | ../rows.h | kernels.def | ../vector/*) ;;
            ../avx512/*) case $dir in avx512*) ;; *) bad kernels "$file includes $inc" ;; esac ;;
            ../*) bad kernels "$file includes $inc" ;;
            esac
        done < <(sed -n 's/^#include "\(.*\)".*/\1/p' "$file")
    done
}

# Portable code has no intrinsics and no ISA #ifdef.
portable() {
    local file
    for file in $(grep -lE 'immintrin\.h|arm_neon\.h|arm_sve\.h|__AVX|__ARM_FEATURE|_mm(256|512)?_' -r "$root/lib" 2> /dev/null); do
        case ${file#"$root"/} in lib/base/cpu_x86.c | lib/base/cpu_arm.c | lib/base/thread.c) ;; *) bad portable "$file uses an instruction set" ;; esac
    done
}

# Tools and examples are users: the public header is all that they see.
users() {
    local file inc
    for file in "$root"/tools/*.[ch] "$root"/examples/*.c; do
        [ -e "$file" ] || continue
        while read -r inc; do
            case $inc in precinfer.h) ;; *[./]*/*) bad users "$file includes $inc" ;; esac
        done < <(sed -n 's/^#include "\(.*\)".*/\1/p' "$file")
    done
}

text() {
    local hits
    hits=$(grep -rnIE $'\t|\r|[ \t]+$' "$root"/lib "$root"/kernels "$root"/include "$root"/tools "$root"/test "$root"/bench "$root"/examples \
           --include='*.[ch]' --include='*.def' 2> /dev/null | head -5)
    [ -z "$hits" ] || bad text "tabs, carriage returns or trailing blanks: $hits"
    hits=$(find "$root"/lib "$root"/kernels "$root"/tools -name '*.[ch]' -exec awk 'END { if (NR > 800) print FILENAME ": " NR " lines" }' {} \;)
    [ -z "$hits" ] || bad text "too long to read: $hits"
}

# Objects: nothing that ends or changes the host's process, one door to malloc, no state.
objects() {
    local o u name
    for o in $(find "$root/$build/lib" "$root/$build/kernels" -name '*.o' 2> /dev/null); do
        name=${o#"$root/$build/"}
        while read -r u; do
            case $u in
            abort | exit | _exit | printf | puts | putchar | fprintf | vprintf | getenv | secure_getenv | setlocale | pthread_create | signal | sigaction | __assert_fail | system)
                bad objects "$name calls $u" ;;
            malloc | calloc | realloc | free | posix_memalign | aligned_alloc)
                [ "$name" = lib/base/alloc.o ] || bad objects "$name calls $u" ;;
            sin | cos | tan | exp | expf | log | logf | log2 | pow | powf | tanh | tanhf | erf | erff | rint | rintf | lrint | lrintf | round | floor | floorf | ceil | ceilf | nearbyint | nearbyintf | fmodf | fmod | trunc | truncf)
                bad objects "$name calls $u of libm" ;;
            esac
        done < <(nm -u "$o" | awk '{ print $2 }')
        while read -r u; do bad objects "$name keeps state: $u"; done < <(objdump -t "$o" | grep -E ' (\.data|\.bss|\*COM\*)[[:space:]]' | awk '$NF !~ /^\./ { print $NF }')
        ! objdump -h "$o" | grep -q init_array || bad objects "$name has a constructor"
    done
}

# What the library exports is what the list says.
symbols() {
    local so=$root/$build/libprecinfer.so
    [ -e "$so" ] || { bad symbols "$so is missing: run make first"; return; }
    local diff
    diff=$(diff <(nm -D --defined-only "$so" | awk '$2 != "A" { print $3 }' | sed 's/@.*//' | sort) "$root/test/abi.txt") || bad symbols "exports differ from test/abi.txt: $diff"
    nm "$root/$build/libprecinfer.a" | awk '$2 ~ /^[TDRBW]$/ { print $3 }' | grep -vq '^precinfer_' && bad symbols "the archive shows names that are not precinfer_"
}

check() { layering; kernels; portable; users; text; objects; symbols; }

# rule|file, relative to the root|line to append (for objects and symbols the library is rebuilt)
planted() {
    cat << 'END'
layering|lib/base/error.c|#include "../plan/plan.h"
layering|lib/plan/fuse.c|#include "../../kernels/kernel.h"
kernels|kernels/avx2/pool.c|#include "../ref/epilogue.h"
portable|lib/op/conv.c|#include <immintrin.h>
users|tools/precinfer.c|#include "../lib/base/error.h"
text|lib/base/hash.c|int pi_tab;	
objects|lib/base/hash.c|int pi_state_(void); int pi_state_(void) { static int n; return n++; }
objects|lib/base/hash.c|void exit(int); void pi_exit_(void); void pi_exit_(void) { exit(1); }
objects|lib/base/hash.c|double pow(double, double); double pi_pow_(double); double pi_pow_(double x) { return pow(x, x); }
objects|lib/quant/qparams.c|#include <stdlib.h>%void *pi_mem_(void); void *pi_mem_(void) { return malloc(3); }
symbols|lib/api_context.c|__attribute__((visibility("default"))) int precinfer_extra_(void); int precinfer_extra_(void) { return 1; }
END
}
self_test() {
    local rule file line out n=0
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    mkdir "$dir/tree"
    git ls-files -z --cached --others --exclude-standard | xargs -0 cp -a --parents -t "$dir/tree"
    cp -a build "$dir/tree/build"
    while IFS='|' read -r rule file line; do
        cp "$file" "$dir/saved"
        printf '%s\n' "$line" | tr '%' '\n' >> "$dir/tree/$file"
        case $rule in objects | symbols) make -C "$dir/tree" "build/${file%.c}.o" build/libprecinfer.so build/libprecinfer.a > "$dir/log" 2>&1 || { cat "$dir/log"; exit 1; } ;; esac
        out=$(bash "$dir/tree/test/lint.sh" "$dir/tree" 2>&1) && { echo "lint: the planted violation of $rule in $file was not found" >&2; exit 1; }
        grep -q "^lint: $rule:" <<< "$out" || { echo "lint: $file: expected $rule, got: $out" >&2; exit 1; }
        cp "$dir/saved" "$dir/tree/$file"
        n=$((n + 1))
    done < <(planted)
    echo "lint: all $n planted violations were found"
}

if [ "${1-}" = --self-test ]; then self_test; exit; fi
check
[ $fail = 0 ] && echo "lint: clean"
exit $fail
