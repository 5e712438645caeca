#!/bin/bash
# Mutants that the suite must kill: test/mutants.txt changes one line of one file each, in a scratch copy; the suite named
# there has to fail. A mutant that survives, does not compile, or whose line is no longer there, fails by name.
#   test/mutate.sh [PATTERN]      only mutants whose names match.  Needs a CPU with AVX2.
set -u
pattern=${1:-*} list=test/mutants.txt
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/clean"
git ls-files -z --cached --others --exclude-standard -- Makefile include kernels lib test tools examples/digits | xargs -0 cp -p --parents -t "$dir/clean"
mkdir "$dir/clean/build"
for part in lib kernels test tools; do [ ! -d build/$part ] || cp -a build/$part "$dir/clean/build/"; done
cp -a build/onnx* "$dir/clean/build/" 2> /dev/null

# TREE SUITE ROWS: exit 0 the suite passed, 1 it failed, 2 it was not built
try() (
    cd "$1" || exit 2
    make -j2 build/run-tests T="$2" > "$dir/log" 2>&1 || exit 2
    PI_ROWS=$3 CK_VERBOSITY=normal timeout 600 build/run-tests > "$dir/log" 2>&1 || exit 1
)

failed=0 killed=0
declare -A sane                             # suites that pass unchanged: else every mutant would seem dead
while IFS='|' read -r name file suite rows change; do
    [[ $name != '#'* && $name == $pattern ]] || continue
    if [ -z "${sane[$suite $rows]-}" ]; then
        try "$dir/clean" "$suite" "$rows" || { tail -20 "$dir/log"; echo "mutate: $suite fails without a mutant"; exit 1; }
        sane[$suite $rows]=1
    fi
    rm -rf "$dir/tree"
    cp -a "$dir/clean" "$dir/tree"
    sed -i "$change" "$dir/tree/$file"
    changed=$(diff "$dir/clean/$file" "$dir/tree/$file" | grep -c '^>\|^[0-9,]*d')
    if [ "$changed" != 1 ]; then echo "STALE     $name: changes $changed lines of $file"; failed=1; continue; fi
    case $file in *.mk) rm -f "$dir/tree/build/${file%/*}"/*.o ;; esac      # flags are no prerequisite of objects
    try "$dir/tree" "$suite" "$rows"
    case $? in
    0) echo "SURVIVED  $name ($file, $suite)"; failed=1 ;;
    1) echo "killed    $name ($file, $suite): $(grep -c ':[FE]:' "$dir/log") tests failed$(grep -om1 ":[FE]:.*" "$dir/log" | cut -c1-130 | sed "s|^|, the first |")"; killed=$((killed + 1)) ;;
    *) echo "BROKEN    $name: $(grep -m1 error "$dir/log")"; failed=1 ;;
    esac
done < "$list"
echo "mutate: $killed killed"
[ $killed -gt 0 ] && exit $failed
exit 1
