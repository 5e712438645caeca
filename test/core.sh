#!/bin/bash
# test/core.sh CORE FULL: what WITH_ONNX=0 promises, tried on the two builds. Library and tool need libc and libm alone; plans
# of the full build run and give the same bits; what is left out is exit 2 and says so; --json is written.
set -u
core=$1 full=$2 failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "core: $*" >&2; failed=1; }

for file in "$core/libprecinfer.so" "$core/precinfer"; do
    needs=$(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libm)\.so\.6$|^ld-linux')
    [ -z "$needs" ] || fail "$file needs $needs"
    calls=$(nm -D --undefined-only "$file" | grep -oE ' (pthread_|protobuf_c_|json_|unz|zip|inflate|deflate)[A-Za-z_0-9]*')
    [ -z "$calls" ] || fail "$file calls$calls"
done

digits=examples/digits
"$full/precinfer" convert $digits/digits.onnx -o "$dir/f32.precinfer" --precision f32 --quiet > "$dir/out" &&
    "$full/precinfer" convert $digits/digits.onnx -o "$dir/int8.precinfer" --precision int8 --calibrate $digits/calibration.npy --divide 16 \
        --recipe-out "$dir/recipe.json" --quiet > "$dir/out" || { fail "the full tool cannot convert"; exit 1; }
mkdir "$dir/parts"
cp $digits/evaluation.npy "$dir/parts/0.npy"
for p in f32 int8; do
    for build in "$full" "$core"; do
        "$build/precinfer" run "$dir/$p.precinfer" --input $digits/evaluation.npy --output "$dir/$p-$(basename "$build").npy" --batch 32 \
            > "$dir/out" 2>&1 || fail "$build cannot run the $p plan: $(cat "$dir/out")"
    done
    cmp "$dir/$p-$(basename "$full").npy" "$dir/$p-$(basename "$core").npy" || fail "$p: the core's outputs are other bits"
done

runs() { "$core/precinfer" "$@" > "$dir/out" 2>&1 || fail "precinfer $*: exit $?: $(cat "$dir/out")"; }
runs inspect "$dir/int8.precinfer" --json "$dir/inspect.json"
runs inspect $digits/evaluation.npy
runs explain "$dir/int8.precinfer"
runs bench "$dir/int8.precinfer" "$dir/f32.precinfer" --runs 3 --json "$dir/bench.json"
for json in inspect bench; do
    "$full/precinfer" --version > /dev/null && grep -q "\"command\": \"$json\"" "$dir/$json.json" || fail "$json wrote no JSON"
done

# exit 2, one line, and the word of what is missing
refuses() {
    local word=$1 code
    shift
    "$core/precinfer" "$@" > "$dir/out" 2> "$dir/err"
    code=$?
    [ $code = 2 ] || fail "precinfer $*: exit $code, not 2: $(cat "$dir/err")"
    [ "$(wc -l < "$dir/err")" = 1 ] && grep -q '^precinfer: ' "$dir/err" || fail "precinfer $*: not one line: $(cat "$dir/err")"
    grep -q 'WITH_ONNX=0' "$dir/err" && grep -q "$word" "$dir/err" || fail "precinfer $*: no '$word' and WITH_ONNX=0 in: $(cat "$dir/err")"
}
onnx=$digits/digits.onnx plan=$dir/int8.precinfer data=$digits/calibration.npy
refuses ONNX run $onnx --input $data --output "$dir/y.npy"
refuses ONNX convert $onnx -o "$dir/y.precinfer" --precision f32
refuses ONNX convert $onnx -o "$dir/y.precinfer" --recipe "$dir/recipe.json"
refuses ONNX calibrate $onnx --data $data -o "$dir/y.stats"
refuses ONNX verify "$plan" --reference $onnx --data $data
refuses ONNX explain $onnx
refuses ONNX inspect $onnx
refuses ONNX bench $onnx
refuses JSON inspect "$dir/recipe.json"
refuses thread run "$plan" --input $data --output "$dir/y.npy" --threads 2
refuses thread bench "$plan" --threads 2
[ ! -e "$dir/y.npy" ] && [ ! -e "$dir/y.precinfer" ] && [ ! -e "$dir/y.stats" ] || fail "a refused command wrote its file"
[ $failed = 0 ] && echo "core: libc and libm alone, the same bits, refusals with their reason"
exit $failed
