#!/bin/bash
# test/cli.sh TOOL: the command line as a script's author reads it in the manual. Exit codes, the one line on stderr, what is
# written and what is not, on the digits example and arrays made here. Says what differs, exits 1 if anything does.
set -u
tool=$(realpath "$1") digits=$(realpath examples/digits) failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
model=$digits/digits.onnx
bad() { echo "cli: $*" >&2; failed=1; }

# t CODE PATTERN ARGUMENTS: the exit code, PATTERN in what is said, and for any code but 0 "precinfer: what, where, why" alone
t() {
    local code=$1 pattern=$2 got
    shift 2
    "$tool" "$@" > out 2> err
    got=$?
    [ $got = "$code" ] || bad "$*: exit $got, not $code: $(tail -n 1 err)"
    [ -z "$pattern" ] || cat out err | grep -q -e "$pattern" || bad "$*: nothing says '$pattern': $(tail -n 1 err)"
    [ "$got" = 0 ] || { [ "$(wc -l < err)" = 1 ] && grep -qE '^precinfer: [^,]+, .+, .+' err; } || bad "$*: stderr: $(cat err)"
}
# The same of a shell line, in which T is the tool.
T() { "$tool" "$@"; }
line() {
    local code=$1 pattern=$2 got
    ( eval "$3" ) > out 2> err
    got=$?
    [ $got = "$code" ] || bad "$3: exit $got, not $code: $(tail -n 1 err)"
    [ -z "$pattern" ] || cat out err | grep -q -e "$pattern" || bad "$3: nothing says '$pattern': $(tail -n 1 err)"
}
has() { grep -q -e "$2" "$1" || bad "$1 lacks '$2'"; }
hasnt() { ! grep -q -e "$2" "$1" || bad "$1 has '$2'"; }
json() { ! command -v python3 > /dev/null || python3 -m json.tool "$1" > /dev/null || bad "$1 is no JSON"; }
# npy DTYPE SHAPE: an array of what comes on stdin
npy() { printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"; cat; }
images() { tail -c +129 "$digits/evaluation.npy" | tail -c +$(($1 * 64 + 1)) | head -c $(($2 * 64)) ; }
labels() { tail -c +129 "$digits/evaluation_labels.npy" | tail -c +$(($1 + 1)) | head -c "$2"; }
calibration() { tail -c +129 "$digits/calibration.npy" | head -c $(($1 * 64)); }

images 0 200 | npy '|u1' '200, 8, 8' > x.npy
labels 0 200 | npy '|u1' '200,' > y.npy
labels 0 199 | npy '|u1' '199,' > short.npy
head -c 800 /dev/zero | npy '<f4' '200,' > float.npy
{ calibration 2; images 0 198; } | npy '|u1' '200, 8, 8' > few.npy
{ calibration 3; images 0 197; } | npy '|u1' '200, 8, 8' > many.npy
head -c 2048 /dev/zero | npy '<f4' '8, 1, 8, 8' > own.npy
head -c 2048 /dev/zero | npy '<f4' '8, 8, 8' > own3.npy
{ head -c 2044 /dev/zero; printf '\x00\x00\xc0\x7f'; } | npy '<f4' '8, 1, 8, 8' > nan.npy
npy '<f4' '0, 1, 8, 8' < /dev/null > empty.npy
mkdir parts nothing
images 0 120 | npy '|u1' '120, 8, 8' > parts/a.npy
images 120 80 | npy '|u1' '80, 8, 8' > parts/b.npy
cal="--data $digits/calibration.npy"

# ---------------------------------------------------------------- usage
t 0 '^precinfer [0-9]' --version
t 0 calibrate --help
t 2 command
t 2 nope nope
for c in calibrate convert verify run explain inspect bench promote; do
    t 0 "usage: precinfer $c" $c --help
    t 0 '^precinfer [0-9]' $c --version
    t 2 wants $c
    t 2 nope $c --nope
    t 2 --threads $c --threads 0
    t 2 --json $c --json
done
t 2 statistics convert $model -o p --precision int8
t 2 conflicting convert $model -o p --precision int8 --recipe r
t 2 several convert $model -o p --precision f32,int8
t 2 twice convert $model -o p --precision f32 --precision f32
t 2 unknown convert $model -o p --precision f32 --nope
t 2 another convert $model -o p --precision f32 --data x.npy
t 2 missing convert $model -o p --precision
t 2 1024 convert $model -o p --precision f32 --threads 4000000000
t 2 whole convert $model -o p --precision f32 --batch -1
t 2 least convert $model -o p --precision f32 --batch 0
t 2 'ref' convert $model -o p --precision f32 --cpu-mask nope
t 2 0.5pt convert $model -o p --precision f32 --verify x.npy --divide 16 --labels y.npy --max-drop 0.5%
t 2 labels convert $model -o p --precision f32 --verify x.npy --divide 16 --max-drop 0.5pt
t 2 within convert $model -o p --precision f32 --verify x.npy --divide 16 --min-agreement 1.5
t 2 zen4 explain $model --cpu nope
t 2 'avx512' explain $model --cpu zen4 --cpu-mask nope
t 0 zen4 explain --cpu help
t 0 avx2 explain $model --cpu zen4 --cpu-mask avx2 --precision int8
hasnt out '\* .*avx512'
[ ! -e p ] || bad "a refused convert wrote"

# ---------------------------------------------------------------- the job
t 2 least calibrate $model $cal --divide 16 --samples 0 -o s
t 2 128 calibrate $model $cal --divide 16 --samples 129 -o s
t 0 '128 samples' calibrate $model $cal --divide 16 -o s --json j
json j; has j '"samples": 128'
t 0 warning calibrate $model --data nan.npy -o nan.stats
t 2 finite convert $model -o p --precision int8 --stats nan.stats
t 0 'no limit given' convert $model -o p --precision int8 --stats s --recipe-out r.json --verify x.npy --labels y.npy --runs 2 --json j
json j
for key in precinfer command model model_hash recipe_hash plan_hash data_hash samples overlap_samples accuracy reference candidate \
           lost gained agreement share lower upper method drop points lower_points upper_points latency precision threads batch \
           median_ns p10_ns p90_ns runs memory weights_bytes workspace_bytes workspace_bound_bytes layers name op kernel sqnr_db \
           verdict; do has j "\"$key\": "; done
hasnt j '"needed_samples"\|"p99_ns"\|"limit'
t 0 'verdict: pass' verify p --reference $model --data x.npy --labels y.npy --runs 1000 --min-agreement 0.9 --max-drop 5%rel --json j
json j; has j '"p99_ns"'; has j '"limit": 0.9'; has j '"limit_points": '; has j '"command": "verify"'
t 0 '' calibrate $model $cal --divide 16 -o s2 --batch 7 --threads 2 --cpu-mask ref
cmp -s s s2 || bad "statistics are other bits with --batch, --threads and --cpu-mask"
hash=$(grep -o '"data_hash": "[^"]*"' j)
t 0 'verdict' verify p --reference $model --data parts --labels y.npy --runs 2 --json j
has j "$hash"
t 3 'not enough' convert $model -o u --precision int8 --stats s --verify x.npy --runs 2 --min-agreement 0.9999 --json j
json j; has j '"verdict": "not enough samples"'; has j '"needed_samples": [0-9]'
t 3 'no number' convert $model -o u --precision int8 --stats s --verify x.npy --runs 2 --min-agreement 1 --json j --keep-rejected
has j '"needed_samples": null'
[ ! -e u ] && [ -e u.rejected ] || bad "undecided: u or no u.rejected"

# ---------------------------------------------------------------- a recipe is edited
t 2 values.image.scale convert $model -o q --recipe <(sed 's/"scale": [0-9.e-]*/"scale": 0/' r.json)
t 2 foo convert $model -o q --recipe <(sed '0,/{/s//{"foo": 1,/' r.json)
t 2 weight_scales convert $model -o q --recipe <(sed '0,/"weight_scales": \[[^]]*\]/s//"weight_scales": [1]/' r.json)
awk '/"values"/ { on = 1 } on && match($0, /"scale": [0-9.e-]+/) { x = substr($0, RSTART + 9, RLENGTH - 9) * 300;
     $0 = substr($0, 1, RSTART - 1) "\"scale\": " x substr($0, RSTART + RLENGTH) } { print }' r.json > e.json
t 1 agreement convert $model -o q --recipe e.json --verify x.npy --labels y.npy --runs 2 --min-agreement 0.9 --json j --recipe-out e2.json
json j; has j '"verdict": "fail"'
[ ! -e q ] && [ -e e2.json ] || bad "failed: q, or no recipe"
t 1 agreement convert $model -o q --recipe e.json --verify x.npy --runs 2 --min-agreement 0.9 --keep-rejected
t 2 rejected run q.rejected --input x.npy --output o.npy
t 2 rejected bench q.rejected
t 0 '' run q.rejected --input x.npy --output o.npy --force
t 0 REJECTED inspect q.rejected
t 1 agreement verify q.rejected --reference $model --data x.npy --runs 2 --min-agreement 0.9
t 0 'Clopper' verify q.rejected --reference $model --data x.npy --runs 2
[ "$("$tool" inspect r.json | head -n 1)" != "$("$tool" inspect e.json | head -n 1)" ] || bad "an edit keeps the hash"

# ---------------------------------------------------------------- data
v="verify p --reference $model --runs 2 --data"
t 0 '2 of 200 samples were used for calibration' $v few.npy --json j
has j '"samples": 198'; has j '"overlap_samples": 2'
t 2 '3 of 200 samples were used for calibration' $v many.npy
t 0 'verdict: .*3 of 200' $v many.npy --allow-overlap
t 0 '^197 samples' $v many.npy --skip 3
t 2 199 $v x.npy --labels short.npy
t 2 float32 $v x.npy --labels float.npy
t 2 200 $v x.npy --skip 201
t 2 'as it is' $v own.npy --divide 16
t 2 conflicting $v x.npy --divide 255
t 0 '' $v x.npy --divide 16
t 2 'no .npy' $v nothing
t 2 nope $v x.npy --judge nope
t 2 'npy' $v s
t 2 reference verify p --data x.npy
t 0 'divide 1' calibrate $model $cal -o raw.stats
t 2 conflicting convert $model -o q --precision int8 --stats raw.stats --divide 255
for f in $model p s r.json x.npy; do
    head -c 300 "$f" > cut
    t 2 'cut' inspect cut
    t 0 "$f" inspect "$f" --json j
    json j
done
t 2 'irectory' inspect .
t 2 'No such' inspect nowhere

# ---------------------------------------------------------------- running
t 0 200x10 run $model --input image=x.npy --divide 16 --output logits=a.npy
t 0 '' run $model --input x.npy --divide 16 --output b.npy --batch 7 --threads 2 --json j
json j; cmp -s a.npy b.npy || bad "other bits with --batch and --threads"
t 0 8x10 run $model --input own3.npy --output b.npy
t 0 0x10 run $model --input empty.npy --output b.npy --batch 4
t 2 nope run $model --input nope=x.npy --divide 16 --output b.npy
t 2 many run $model --input own.npy --input own.npy --output b.npy
t 0 limiter bench $model --precision f32,int8 --runs 2 --json j
json j; for key in cpu results model precision threads batch median_ns layers kernel bound_ns limiter; do has j "\"$key\": "; done
t 0 refused explain p --json j
json j; for key in cpu nodes chosen candidates cost_ns refused; do has j "\"$key\": "; done

# ---------------------------------------------------------------- writing
c="convert $model --precision f32"
t 0 '' $c -o f
t 4 nodir $c -o nodir/f
t 4 nodir $c -o f --json nodir/j
t 4 directory $c -o .
t 4 space $c -o /dev/full
t 4 space $c -o f2 --json /dev/full
t 4 space $c -o f2 --recipe-out /dev/full
line 4 'standard output' 'T inspect x.npy > /dev/full'
line 4 closed 'set -o pipefail; T $c -o /dev/stdout | true'
line 4 'too large' 'ulimit -f 8; T $c -o big'
line 4 'too large' 'ulimit -f 1; T run $model --input x.npy --divide 16 --output big'
line 0 '' 'T $c -o /dev/stdout 2> text | cat > f3; cmp f f3; test -s text'
line 0 '' 'T $c -o f4 --json - 2> text > j; test -s text'
json j
[ ! -w /dev/shm ] || line 0 '' 's=/dev/shm/precinfer-cli-$$; trap "rm -f $s" EXIT; cp x.npy $s && T $c -o $s && cmp f $s'
[ -z "$(ls -A | grep tmp)" ] && [ ! -e big ] || bad "left behind: $(ls -A | grep 'tmp\|big')"

exit $failed
