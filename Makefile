# make | check | bench | install | lint | asan | ubsan | tsan | fuzz | mutate | status ; see CONTRIBUTING.md
# WITH_ONNX=0: a core that loads plans only and needs libc and libm alone.
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
WITH_ONNX ?= 1
PREFIX ?= /usr/local
VARIANT ?=
# V=1 shows the commands
Q := $(if $(V),,@)
B := build$(if $(VARIANT),-$(VARIANT))$(if $(filter 0,$(WITH_ONNX)),-core)
VERSION := $(shell sed -n 's/^\#define PRECINFER_VERSION_\(MAJOR\|MINOR\|PATCH\) //p' include/precinfer.h | paste -sd.)
SONAME := libprecinfer.so.$(word 1,$(subst ., ,$(VERSION)))

OPT ?= -O2
WARN := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wshadow -Wpointer-arith -Wno-missing-field-initializers \
        -Wno-psabi $(if $(findstring clang,$(CC)),,-Werror=maybe-uninitialized) -Werror=implicit-function-declaration -Werror=incompatible-pointer-types
CFLAGS ?= -g
# The law: no contraction. Stores through other types are everywhere in tensor code: no strict aliasing.
override CFLAGS += $(OPT) -std=c11 -D_GNU_SOURCE $(WARN) -fPIC -fvisibility=hidden -ffp-contract=off -fno-strict-aliasing -fno-math-errno \
        -DPRECINFER_BUILD -DPI_WITH_ONNX=$(WITH_ONNX) -Iinclude $(EXTRA)

ROOMS := base graph quant kern op plan calib verify search format
ISAS := $(notdir $(patsubst %/,%,$(dir $(wildcard kernels/*/isa.mk))))
include $(ISAS:%=kernels/%/isa.mk)
ALL_LIB := $(wildcard lib/*.c) $(foreach r,$(ROOMS),$(wildcard lib/$(r)/*.c))
ifeq ($(WITH_ONNX),0)
LIB_SRC := $(filter-out lib/format/onnx% lib/format/json% lib/format/npz% lib/format/recipe_json%,$(ALL_LIB))
LIBS := -lm
else
LIB_SRC := $(ALL_LIB)
PKGS := libprotobuf-c jansson minizip
override CFLAGS += -I$(B)
LIBS := $(shell pkg-config --libs $(PKGS)) -lz -lm
ONNX_PROTO ?= $(firstword $(wildcard /usr/include/onnx/onnx.proto /usr/include/onnx/onnx-ml.proto) \
        $(shell python3 -c 'import onnx,os;print(os.path.join(os.path.dirname(onnx.__file__),"onnx.proto"))' 2>/dev/null))
PROTO_OBJ := $(B)/onnx.pb-c.o
endif
KERNEL_SRC := $(wildcard kernels/*.c) $(foreach i,$(ISAS),$(wildcard kernels/$(i)/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o) $(KERNEL_SRC:%.c=$(B)/%.o) $(PROTO_OBJ)

all: $(B)/libprecinfer.a $(B)/libprecinfer.so $(B)/precinfer

# ---------------------------------------------------------------- objects
isa_of = $(patsubst kernels/%/,%,$(dir $(1)))
$(B)/kernels/%.o: kernels/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(if $(filter table,$(basename $(notdir $<))),,$(FLAGS_$(call isa_of,$<))) -MMD -MP -c $< -o $@
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(FLAGS_$(basename $(notdir $<))) -MMD -MP -c $< -o $@
# The schema comes from the distribution's onnx package and is never copied into the tree.
$(B)/onnx.pb-c.c $(B)/onnx.pb-c.h &: $(ONNX_PROTO)
	@mkdir -p $(B)
	@test -n "$(ONNX_PROTO)" || { echo "onnx.proto not found: install libonnx-dev, or WITH_ONNX=0" >&2; exit 1; }
	cp $< $(B)/onnx.proto && protoc-c --proto_path=$(B) --c_out=$(B) $(B)/onnx.proto
$(B)/onnx.pb-c.o: $(B)/onnx.pb-c.c
	$(Q)$(CC) $(CFLAGS) -w -c $< -o $@
ifneq ($(WITH_ONNX),0)
$(filter $(B)/lib/%,$(LIB_OBJ)): | $(B)/onnx.pb-c.h
endif

# ---------------------------------------------------------------- libraries
# One relocatable object with hidden symbols made local: pi_ names never clash with a host's.
$(B)/libprecinfer.a: $(LIB_OBJ)
	@$(LD) -r -o $(B)/precinfer.o $^ && objcopy --localize-hidden $(B)/precinfer.o && rm -f $@ && $(AR) rcs $@ $(B)/precinfer.o
$(B)/libprecinfer.so: $(LIB_OBJ) test/abi.map
	@$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=test/abi.map -Wl,-z,defs -o $@ $(LIB_OBJ) $(LDFLAGS) $(LIBS)
# Tests and benches see the internals.
$(B)/internal.a: $(LIB_OBJ)
	@rm -f $@ && $(AR) rcsT $@ $^

# ---------------------------------------------------------------- command line
TOOL_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tools/*.c))
TOOL_LIBS := $(if $(filter 0,$(WITH_ONNX)),,-lpthreadpool -lpthread)
$(B)/precinfer: $(TOOL_OBJ) $(B)/libprecinfer.a
	@$(CC) $(CFLAGS) $^ -o $@ $(LDFLAGS) $(LIBS) $(TOOL_LIBS)

# ---------------------------------------------------------------- tests
# A file test/<room>_<topic>.c is a suite: it defines Suite *pi_suite(void), renamed per file. `make check T=kern_gemm`
# builds and runs that file alone.
TEST_SRC := $(filter-out test/main.c test/exhaustive.c test/simulate.c test/faults.c test/minimal_sets.c,$(wildcard test/*.c))
T ?= $(basename $(notdir $(TEST_SRC)))
CHECK_LIBS := $(shell pkg-config --libs check 2>/dev/null) -lpthread
$(B)/test/%.o: test/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -Dpi_suite=pi_suite_$* -MMD -MP -c $< -o $@
$(B)/test/main.o: test/main.c FORCE
	@mkdir -p $(@D)
	@for t in $(T); do echo "PI_SUITE($$t)"; done > $(B)/test/suites.h.new
	@cmp -s $(B)/test/suites.h.new $(B)/test/suites.h || mv $(B)/test/suites.h.new $(B)/test/suites.h
	$(Q)$(CC) $(CFLAGS) -I$(B)/test -MMD -MP -c $< -o $@
ifneq ($(WITH_ONNX),0)
$(TEST_SRC:%.c=$(B)/%.o): | $(B)/onnx.pb-c.h
endif
# Tests of the command line run the binary that was built.
$(B)/test/tool_%.o: override CFLAGS += -DPI_TOOL='"$(B)/precinfer"'
$(B)/run-tests: | $(if $(filter tool_%,$(T)),$(B)/precinfer)
$(B)/run-tests: $(B)/test/main.o $(T:%=$(B)/test/%.o) $(B)/internal.a
	@$(CC) $(CFLAGS) $^ -o $@ $(LDFLAGS) $(LIBS) $(CHECK_LIBS)
# With T: those suites alone.
check: $(B)/run-tests $(if $(filter file,$(origin T)),check-examples)
	$(B)/run-tests
# All 2^32 floats through conversions, unary functions and quantization; hours. ROWS='exp_*' takes those alone.
ROWS ?= *
exhaustive: $(B)/exhaustive
	$(B)/exhaustive '$(ROWS)'
$(B)/exhaustive: $(B)/test/exhaustive.o $(B)/internal.a
	$(CC) $(CFLAGS) $^ -o $@ $(LDFLAGS) $(LIBS) $(CHECK_LIBS)
.PHONY: exhaustive
# False passes, coverage and power of every bound of the gate by simulation; minutes. GATES=300: a smoke of seconds.
SEED ?= 1
GATES ?= 10000
simulate: $(B)/simulate
	$(B)/simulate --seed $(SEED) --gates $(GATES) $(SIMULATE)
$(B)/simulate: $(B)/test/simulate.o $(B)/internal.a
	$(CC) $(CFLAGS) $^ -o $@ $(LDFLAGS) $(LIBS)
.PHONY: simulate

# What the diff is worth, tried: faults planted in every layer of the test models, and minimal sets beside brute force.
# make faults SEED=1 [FAULTS_QUICK=1], make minimal-sets SEED=1
$(B)/faults $(B)/minimal_sets: $(B)/%: $(B)/test/%.o $(B)/internal.a
	@$(CC) $(CFLAGS) $^ -o $@ $(LDFLAGS) $(LIBS) $(CHECK_LIBS)
faults: $(B)/faults
	$(B)/faults $(SEED)
minimal-sets: $(B)/minimal_sets
	$(B)/minimal_sets $(SEED)
.PHONY: faults minimal-sets

# ---------------------------------------------------------------- examples
# Plain C99 against the public header and the static library alone. Each has to return 0.
EXAMPLES := $(patsubst %.c,$(B)/%,$(filter-out $(if $(filter 0,$(WITH_ONNX)),%_convert.c %_verify.c %_threads.c %_run.c %_diff.c),$(wildcard examples/[0-9]*.c)))
EXAMPLE_FLAGS := -std=c99 -pedantic -Wall -Wextra -Wshadow -Wstrict-prototypes -g $(OPT) -Iinclude $(EXTRA)
$(B)/examples/%: examples/%.c include/precinfer.h $(B)/libprecinfer.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(EXAMPLE_FLAGS) $< $(B)/libprecinfer.a -o $@ $(LDFLAGS) $(LIBS) -lpthread
examples: $(EXAMPLES)
check-examples: $(EXAMPLES)
	@for e in $^; do $$e > $$e.out 2>&1 && echo "$$e: ok" || { echo "$$e: failed"; cat $$e.out; exit 1; }; done

# ---------------------------------------------------------------- bench
# bench: GOP/s of every kernel row that this CPU can run. bench-tsv: rewrites its rows in bench/silicon. status: lists the
# rows whose object code is not the one that was timed there.
$(B)/bench-kern: $(B)/bench/kern.o $(B)/internal.a
	@$(CC) $(CFLAGS) $^ -o $@ $(LDFLAGS) $(LIBS) -lpthread -ldl
bench: $(B)/bench-kern
	$(B)/bench-kern $(BENCH)
# Whole models at several precisions, interleaved: make bench-model, then build/bench-model MODEL.onnx [--layers]
$(B)/bench-model: $(B)/bench/model.o $(B)/tools/pool.o $(B)/libprecinfer.a
	@$(CC) $(CFLAGS) $^ -o $@ $(LDFLAGS) $(LIBS) $(TOOL_LIBS)
bench-model: $(B)/bench-model
bench-tsv: $(B)/bench-kern
	@mkdir -p bench/silicon
	$(B)/bench-kern --objects $(B)/kernels --commit $(shell git rev-parse --short HEAD 2>/dev/null || echo -) --tsv bench/silicon $(BENCH)
status: $(B)/bench-kern
	@$(B)/bench-kern --objects $(B)/kernels --status bench/silicon
.PHONY: bench bench-model bench-tsv status

# ---------------------------------------------------------------- kernels for CPUs that this machine is not
# A row that this CPU cannot run has its tests under test/emulate-x86, statically linked; a row that ran neither way fails by
# name. The same boots compare pi_cpu_detect with what the emulated CPU has.
KERN_TESTS := $(filter kern_gemm kern_dwconv kern_wino kern_eltwise kern_pool kern_reduce,$(basename $(notdir $(TEST_SRC))))
$(B)/emulated/suites.h: FORCE
	@mkdir -p $(@D)
	@for t in $(KERN_TESTS); do echo "PI_SUITE($$t)"; done > $@.new
	@cmp -s $@.new $@ || mv $@.new $@
$(B)/emulated/main.o: test/main.c $(B)/emulated/suites.h
	$(CC) $(CFLAGS) -I$(B)/emulated -c $< -o $@
$(B)/emulated/run-kern: $(B)/emulated/main.o $(KERN_TESTS:%=$(B)/test/%.o) $(B)/internal.a
	$(CC) $(CFLAGS) -static $^ -o $@ $(LDFLAGS) $(shell pkg-config --static --libs check 2>/dev/null) -lpthread -lm
$(B)/emulated/rows: test/emulated/rows.c $(B)/internal.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -static $^ -o $@ $(LDFLAGS) -lm
# The committed hashes of whole networks, on the emulated CPU too.
$(B)/emulated/laws-main.o: test/main.c
	@mkdir -p $(B)/emulated/laws && echo 'PI_SUITE(laws)' > $(B)/emulated/laws/suites.h
	$(CC) $(CFLAGS) -I$(B)/emulated/laws -c $< -o $@
$(B)/emulated/run-laws: $(B)/emulated/laws-main.o $(B)/test/laws.o $(B)/internal.a
	$(CC) $(CFLAGS) -static $^ -o $@ $(LDFLAGS) $(shell pkg-config --static --libs $(PKGS) check 2>/dev/null) -lz -lpthread -lm
$(B)/emulated/head: test/emulated/head.c $(B)/internal.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $^ -o $@ $(LDFLAGS) $(LIBS)
check-emulated: $(B)/emulated/rows $(B)/emulated/run-kern $(B)/emulated/run-laws $(B)/emulated/head
	test/witness $(B)/emulated/rows $(B)/emulated/run-kern
	test/emulated/laws.sh $(B)/emulated/run-laws $(B)/emulated/head
# Slow: the real models of PI_DATA as well.
check-emulated-models: $(B)/emulated/run-laws $(B)/emulated/head
	test/emulated/laws.sh $^ models

# Machine code of every kernel: no vector spilled in a loop over k, as many multiplies as the tile has, and the cycles that
# llvm-mca gives a tile step against the committed figures (make lint-asm MCA=--update rewrites them).
KERNEL_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out kernels/%/table.c,$(wildcard kernels/*/*.c)))
lint-asm: $(KERNEL_OBJ)
	test/lint-asm $(MCA) $^

# ---------------------------------------------------------------- fuzz
# test/fuzz/NAME.c is a libFuzzer target, its seeds lie in test/fuzz/seeds/NAME. `make fuzz FUZZ=onnx FUZZ_SECONDS=60` runs
# it with the address and undefined-behaviour sanitizers; what it learns stays in build-fuzz/corpus, a crash in build-fuzz.
FUZZ ?= $(basename $(notdir $(wildcard test/fuzz/*.c)))
FUZZ_SECONDS ?= 60
# One seed: a run in CI repeats a run here. FUZZ_SEED=0 draws another.
FUZZ_SEED ?= 7
FUZZ_CC ?= $(firstword $(foreach c,clang clang-14,$(shell command -v $(c))))
SANITIZE_FUZZ := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# Targets run on the ref kernels: vector code is only linked, and clang would take minutes for some of it.
ifeq ($(VARIANT),fuzz)
$(foreach i,$(filter-out ref,$(ISAS)),$(B)/kernels/$(i)/%.o): override CC := gcc
$(B)/lib/%.o $(B)/kernels/ref/%.o $(B)/fuzz-%: private override CFLAGS += $(SANITIZE_FUZZ) -fsanitize=fuzzer-no-link
endif
fuzz:
	$(Q)$(MAKE) --no-print-directory VARIANT=fuzz CC=$(FUZZ_CC) OPT=-O1 $(FUZZ:%=fuzz-%)
$(B)/fuzz-%: test/fuzz/%.c $(B)/internal.a
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer $^ -o $@ $(LDFLAGS) $(LIBS) -lpthread
$(FUZZ:%=fuzz-%): fuzz-%: $(B)/fuzz-%
	@mkdir -p $(B)/corpus/$*
	$(B)/fuzz-$* -max_total_time=$(FUZZ_SECONDS) -seed=$(FUZZ_SEED) -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1 \
	    -artifact_prefix=$(B)/$*- $(B)/corpus/$* $(wildcard test/fuzz/seeds/$*)
.PHONY: fuzz $(FUZZ:%=fuzz-%)

# ---------------------------------------------------------------- the main job
# On what is in the repository: FP32 model in, verified INT8 plan out.
demo: $(B)/precinfer
	$(B)/precinfer convert examples/digits/digits.onnx -o $(B)/digits.precinfer --precision int8 \
	    --calibrate examples/digits/calibration.npy --divide 16 \
	    --verify examples/digits/evaluation.npy --labels examples/digits/evaluation_labels.npy --min-agreement 0.98 --max-drop 1.5pt

# A regression model as arrival-time services run it, on 50,000 trips drawn anew: ETA_SEED=2 draws others of the same city.
ETA_SEED ?= 1
eta-data: $(B)/eta/trips
	$(B)/eta/trips $(B)/eta $(ETA_SEED)
$(B)/eta/trips: examples/eta/trips.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -Iinclude,$(EXAMPLE_FLAGS)) $< -o $@ $(LDFLAGS) -lm
eta: $(B)/precinfer eta-data
	$(B)/precinfer convert examples/eta/eta.onnx -o $(B)/eta/eta.precinfer --precision int8 --strict \
	    --calibrate $(B)/eta/calibration.npz --quiet
	$(B)/precinfer verify $(B)/eta/eta.precinfer --reference examples/eta/eta.onnx --batch 100 --quiet \
	    --data $(B)/eta/verification.npz --labels $(B)/eta/verification.csv --policy examples/eta/policy.json \
	    --html $(B)/eta/report.html --json $(B)/eta/report.json
	$(B)/precinfer verify $(B)/eta/eta.precinfer --reference examples/eta/eta.onnx --batch 100 --quiet \
	    --data $(B)/eta/verification.npz --labels $(B)/eta/verification.csv --policy examples/policies/mae.json
# The gate's four answers on the digits, each with its exit code, then the arrival times.
check-gate: $(B)/precinfer
	@examples/gate.sh $(B)/precinfer $(B)/gate > $(B)/gate.out 2>&1 && echo "examples/gate.sh: ok" || { cat $(B)/gate.out; exit 1; }
	@$(MAKE) --no-print-directory eta > $(B)/eta.out 2>&1 && echo "make eta: ok" || { cat $(B)/eta.out; exit 1; }
.PHONY: demo eta eta-data check-gate

# ---------------------------------------------------------------- install
SUBST = sed -e 's|@PREFIX@|$(PREFIX)|g; s|@VERSION@|$(VERSION)|g; s|@SONAME@|$(SONAME)|g; s|@LIBS_PRIVATE@|$(strip $(LIBS))|g'
D = $(DESTDIR)$(PREFIX)
install: all
	install -d $(D)/include $(D)/lib/pkgconfig $(D)/lib/cmake/precinfer $(D)/bin
	install -m 644 include/precinfer.h $(D)/include/
	install -m 644 $(B)/libprecinfer.a $(D)/lib/
	install -m 755 $(B)/libprecinfer.so $(D)/lib/libprecinfer.so.$(VERSION)
	ln -sf libprecinfer.so.$(VERSION) $(D)/lib/$(SONAME)
	ln -sf $(SONAME) $(D)/lib/libprecinfer.so
	install -m 755 $(B)/precinfer $(D)/bin/
	$(SUBST) pkgconfig/precinfer.pc.in > $(D)/lib/pkgconfig/precinfer.pc
	$(SUBST) pkgconfig/precinfer-config.cmake.in > $(D)/lib/cmake/precinfer/precinfer-config.cmake
# Programs outside of the tree, linked through pkg-config and CMake against an installed copy.
check-install: all
	test/install.sh

# The build that needs libc and libm alone, beside the whole one.
check-core: all
	$(Q)$(MAKE) --no-print-directory WITH_ONNX=0
	test/core.sh $(B)-core $(B)

# ---------------------------------------------------------------- house rules
lint: all
	test/lint.sh . $(B)
lint-planted: all
	test/lint.sh --self-test

# Mutants that the suites must kill (test/mutants.txt); slow. MUTANTS='*tap*' takes those alone.
MUTANTS ?= *
mutate: all
	test/mutate.sh '$(MUTANTS)'
.PHONY: mutate

# ---------------------------------------------------------------- sanitizers
SANITIZE := -fno-omit-frame-pointer -fno-sanitize-recover=undefined
# PI_SANITIZED shortens what would take an hour there: real models run 8 samples (laws), their accuracy is left out, the
# command line evaluates less. Three minutes of one core after the build.
asan:
	PI_SANITIZED=1 CK_TIMEOUT_MULTIPLIER=5 $(MAKE) --no-print-directory VARIANT=asan OPT=-O1 EXTRA="-fsanitize=address,undefined $(SANITIZE)" \
	    LDFLAGS="-fsanitize=address,undefined" T="$(T)" check $(if $(filter file,$(origin T)),check-examples)
tsan:
	PI_SANITIZED=1 CK_TIMEOUT_MULTIPLIER=5 $(MAKE) --no-print-directory VARIANT=tsan OPT=-O1 EXTRA="-fsanitize=thread $(SANITIZE)" \
	    LDFLAGS="-fsanitize=thread" T="api_concurrent base_context op_driver laws" check

clean:
	rm -rf build build-*
FORCE:
.PHONY: all check examples check-examples check-emulated check-emulated-models check-core install check-install lint lint-planted asan tsan lint-asm clean FORCE
-include $(LIB_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(TEST_SRC:%.c=$(B)/%.d) $(B)/bench/kern.d $(B)/bench/model.d
