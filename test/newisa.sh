#!/bin/bash
# A new instruction set is a folder and a line: proven in a scratch copy with a demo folder, after which the tests run its
# rows, the bench lists them and explain names them, and nothing else has changed.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp -p --parents -t "$dir"
[ ! -d build ] || cp -a build "$dir/build"              # objects of unchanged files need not be made again
cd "$dir"

mkdir kernels/demo
sed 's/_ref\b/_demo/g; s/, ref,/, demo,/g' kernels/ref/gemm_f32f32.c > kernels/demo/gemm_f32f32.c
cp kernels/ref/*.h kernels/demo/
sed -i 's/_ref\b/_demo/g; s/\bref\b/demo/g' kernels/demo/*.h
grep '^PI_ROW_GEMM(gemm_f32f32' kernels/ref/kernels.def | sed 's/, ref,/, demo,/' > kernels/demo/kernels.def
sed 's/_ref\b/_demo/' kernels/ref/table.c > kernels/demo/table.c
echo 'FLAGS_demo :=' > kernels/demo/isa.mk
sed -i 's/^PI_ISA(ref, 0, "")/&\nPI_ISA(demo, 0, "")/' kernels/isa.def

make -j2 all build/bench-kern build/run-tests T=kern_gemm > "$dir/log" 2>&1 || { tail -20 "$dir/log"; exit 1; }
rows=$(grep -c . kernels/demo/kernels.def)
PI_ROWS=demo CK_VERBOSITY=verbose build/run-tests > "$dir/tests.out" 2>&1 || { tail -20 "$dir/tests.out"; exit 1; }
grep -q 'gemm_f32f32_4x16_demo' "$dir/tests.out" || { echo "newisa: the tests do not name the demo rows"; exit 1; }
build/bench-kern --list > "$dir/rows.out"
[ "$(grep -c '_demo$' "$dir/rows.out")" -ge "$rows" ] || { echo "newisa: the bench does not list the demo rows"; cat "$dir/rows.out"; exit 1; }
build/precinfer explain examples/digits/digits.onnx --cpu-mask demo > "$dir/explain.out"
grep -q 'gemm_f32f32_4x16_demo' "$dir/explain.out" || { echo "newisa: explain does not name the demo rows"; exit 1; }
echo "newisa: a folder of $(ls kernels/demo | wc -l) files and one line: $rows rows tested, benched and explained"
