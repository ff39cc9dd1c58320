# Makefile: builds, tests and installs Sonde. GNU make 4.3 or newer; `make help` tells the targets and options.
#
# Every configuration (compiler, BLAS, OpenMP, mode) has a folder of its own under lib/build, so configurations never
# mix; the one built last is linked into lib/. Objects depend on lib/build/<configuration>/flags, which changes only
# when the flags do, so a changed option rebuilds exactly what it must.
#
# SPDX-License-Identifier: MIT

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

# ---- Options ---------------------------------------------------------------------------------------------------------

ifeq ($(origin CC),default)
CC := gcc
endif
# libomp serves programs of gcc too. Where other programs want the processors as well, libgomp's waiting threads take
# them away from those that work: the tests take four times as long.
OPENMP  ?= libomp
BLAS    ?= openblas
MODE    ?= release
LAYOUT  ?= files
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=
FUZZ_SECONDS ?= 60
# For the tools, which need nothing but its standard library; tests and generators run in lib/venv, which tools/setup makes.
PYTHON  ?= $(or $(wildcard /usr/bin/python3),python3)
VENV    := lib/venv/bin/python

comma := ,
empty :=
space := $(empty) $(empty)
options = $(if $(filter $($(1)),$(2)),,$(error $(1)=$($(1)) is unknown; it can be: $(2)))
$(call options,OPENMP,libomp libgomp none)
$(call options,BLAS,openblas blis none)
$(call options,MODE,release debug asan ubsan tsan fuzz cover)
$(call options,LAYOUT,files amalgamation)

COMPILER := $(notdir $(lastword $(CC)))
CLANG    := $(findstring clang,$(COMPILER))
CXX      := $(if $(CLANG),$(subst clang,clang++,$(COMPILER)),$(subst gcc,g++,$(COMPILER)))
# Compilers for other machines come with binutils of the same prefix.
CROSS    := $(if $(filter %-gcc,$(COMPILER)),$(COMPILER:gcc=))
MACHINE  := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null || uname -m)))
CPUS     := $(shell nproc 2>/dev/null || echo 1)
VERSION  := $(subst $(space),.,$(shell awk '/define SONDE_VERSION_(MA|MI|PA)/ {print $$3}' include/sonde/base.h))
SONAME   := libsonde.so.$(firstword $(subst ., ,$(VERSION)))
AMALGAMATED := $(filter amalgamation,$(LAYOUT))
BUILD    := lib/build/$(if $(AMALGAMATED),amalgamation/)$(COMPILER)-$(BLAS)-$(OPENMP)-$(MODE)
# A second make, for goals that first install what is missing or that need another configuration; it takes every
# processor unless -j was given.
AGAIN     = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(CPUS))
Q        := $(if $(V),,@)

export CC CXX OPENMP BLAS MODE LAYOUT PYTHON

# ---- What BLAS and OpenMP mean on this machine -----------------------------------------------------------------------

missing = $(error $(1) was not found; `make setup` installs it on Debian, or build with $(2))
found = $(firstword $(wildcard $(addsuffix /$(1),$(2))))
LIBRARY_FOLDERS := /usr/lib/$(MACHINE)-linux-gnu /usr/local/lib /usr/lib64 /usr/lib

# The serial packages come first: they bring no threads that could multiply with ours. Names that are shared with a
# threaded variant need a run path.
OPENBLAS := $(call found,libopenblas.so,/usr/lib/$(MACHINE)-linux-gnu/openblas-serial $(LIBRARY_FOLDERS))
BLIS     := $(call found,libblis.so,/usr/lib/$(MACHINE)-linux-gnu/blis-serial $(LIBRARY_FOLDERS))
BLAS_FILE.openblas = $(or $(OPENBLAS),$(call missing,OpenBLAS,BLAS=none))
BLAS_FILE.blis     = $(or $(BLIS),$(call missing,BLIS,BLAS=none))
BLAS_FILE          = $(BLAS_FILE.$(BLAS))
BLAS_LIBS          = $(if $(BLAS_FILE),$(BLAS_FILE) -Wl$(comma)-rpath$(comma)$(patsubst %/,%,$(dir $(BLAS_FILE))))
BLAS_FLAGS.openblas := -DSONDE_BLAS -DSONDE_LAPACK
BLAS_FLAGS.blis     := -DSONDE_BLAS
BLAS_FLAGS := $(BLAS_FLAGS.$(BLAS)) -DSONDE_BLAS_NAME='"$(BLAS)"'

# gcc compiles for libgomp's interface, which libomp offers too; clang makes no code for libgomp.
LIBOMP := $(firstword $(call found,libomp.so.5,$(LIBRARY_FOLDERS)) $(call found,libomp.so,$(LIBRARY_FOLDERS)) \
            $(wildcard /usr/lib/llvm-*/lib/libomp.so))
OPENMP_LIBS.libomp  = $(or $(LIBOMP),$(call missing,libomp,OPENMP=libgomp or OPENMP=none))
OPENMP_LIBS.libgomp = $(if $(CLANG),$(error clang cannot use libgomp; take OPENMP=libomp or OPENMP=none),-lgomp)
OPENMP_LIBS  = $(OPENMP_LIBS.$(OPENMP))
OPENMP_FLAGS := $(if $(filter none,$(OPENMP)),,-fopenmp -DSONDE_OPENMP -DSONDE_OPENMP_NAME='"$(OPENMP)"')

# ---- Flags -----------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
CHECKED  := -O1 -DSONDE_DEBUG -fno-omit-frame-pointer
MODE_FLAGS.release := -O3
MODE_FLAGS.debug   := $(CHECKED)
MODE_FLAGS.asan    := $(CHECKED) -fsanitize=address
MODE_FLAGS.ubsan   := $(CHECKED) -fsanitize=undefined -fno-sanitize-recover=all
MODE_FLAGS.tsan    := $(CHECKED) -fsanitize=thread
MODE_FLAGS.fuzz    := $(CHECKED) -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
MODE_FLAGS.cover   := -O0 -DSONDE_DEBUG --coverage
MODE_FLAGS := $(MODE_FLAGS.$(MODE))
MODE_LINK  := $(subst fuzzer-no-link$(comma),,$(filter -fsanitize=% --coverage,$(MODE_FLAGS)))

COMPILE = $(CC) -std=c11 -g -fPIC -fvisibility=hidden $(WARNINGS) -fno-math-errno -fno-trapping-math \
          -Iinclude -Isrc $(MODE_FLAGS) $(OPENMP_FLAGS) $(BLAS_FLAGS) $(CPPFLAGS) $(CFLAGS)
LIBS    = $(BLAS_LIBS) $(OPENMP_LIBS) -lm -lpthread
LINK    = $(CC) -g $(MODE_LINK) $(LDFLAGS)

# Products and sums are fused only where the instruction set is certain, so generic code gives the same bits everywhere.
UNIT_FLAGS = -ffp-contract=off
AVX2_FLAGS   := -ffp-contract=fast -mavx2 -mfma -mf16c -mpopcnt -mbmi -mbmi2 -mlzcnt -msse4.2
AVX512_FLAGS := $(AVX2_FLAGS) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx512vbmi -mavx512bitalg \
                -mavx512vpopcntdq
$(BUILD)/src/kernels/avx2/%.o:   UNIT_FLAGS = $(AVX2_FLAGS)
$(BUILD)/src/kernels/avx512/%.o: UNIT_FLAGS = $(AVX512_FLAGS)
$(BUILD)/test/%.o:               UNIT_FLAGS = -ffp-contract=off -Itest $(if $(filter release,$(MODE)),-O2)
$(BUILD)/examples/%.o:           UNIT_FLAGS = -fvisibility=default

# ---- Sources ---------------------------------------------------------------------------------------------------------

ISA.x86_64  := avx2 avx512
ISA.aarch64 := neon
CLI_SOURCES     := $(wildcard src/cli/*.c)
LIBRARY_SOURCES := $(filter-out $(CLI_SOURCES),$(wildcard src/*.c src/*/*.c)) src/base/os/posix.c \
                   $(wildcard $(addsuffix /*.c,$(addprefix src/kernels/,generic $(ISA.$(MACHINE)))))
TEST_SOURCES    := $(wildcard test/unit/*.c test/methods/*.c test/fault/*.c)
FUZZ_SOURCES    := $(wildcard test/fuzz/fuzz_*.c)
SEED_SOURCES    := $(wildcard test/fuzz/seed_*.c)
EXAMPLE_SOURCES := $(wildcard examples/*.c)
BENCH_SOURCES   := $(wildcard test/bench/*.c)

LIBRARY_OBJECTS := $(if $(AMALGAMATED),$(BUILD)/amalgamation.o,$(LIBRARY_SOURCES:%.c=$(BUILD)/%.o))
CLI_OBJECTS     := $(CLI_SOURCES:%.c=$(BUILD)/%.o)
TESTS           := $(TEST_SOURCES:%.c=$(BUILD)/%)
FUZZERS         := $(FUZZ_SOURCES:%.c=$(BUILD)/%)
SEEDERS         := $(SEED_SOURCES:%.c=$(BUILD)/%)
EXAMPLES        := $(EXAMPLE_SOURCES:%.c=$(BUILD)/%)
BENCHES         := $(BENCH_SOURCES:%.c=$(BUILD)/%)
CLI             := $(if $(CLI_SOURCES),$(BUILD)/sonde)

# ---- The library and the program -------------------------------------------------------------------------------------

.PHONY: all static shared cli
all: static shared cli ## Both libraries and the program, in lib/ (the default)
static: $(BUILD)/libsonde.a ## lib/libsonde.a, which shows sonde_* names only
	@$(call publish,libsonde.a)
shared: $(BUILD)/libsonde.so.$(VERSION) ## lib/libsonde.so.VERSION and its two links
	@$(call publish,libsonde.so.$(VERSION))
	@ln -sf libsonde.so.$(VERSION) lib/$(SONAME)
	@ln -sf $(SONAME) lib/libsonde.so
cli: $(CLI) ## lib/sonde, the command line program
	@$(if $(CLI),$(call publish,sonde))

# Another configuration may have put its own there, so this runs always; a hard link costs nothing.
publish = ln -f $(BUILD)/$(1) lib/$(1)

# Writes $@ with the text $(1), only if that changes it.
keep = @mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(1))' >$@

$(BUILD)/flags: FORCE
	$(call keep,$(COMPILE) $(LINK) $(LIBS) $(AVX512_FLAGS))
$(BUILD)/sources: FORCE
	$(call keep,$(LIBRARY_SOURCES) $(CLI_SOURCES))

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC    $<")
	$(Q)$(COMPILE) $(UNIT_FLAGS) -MMD -MP -c $< -o $@

.PHONY: amalgamation
amalgamation: lib/amalgamation/sonde.c ## The whole library in two files: lib/amalgamation/sonde.c and sonde.h
lib/amalgamation/sonde.c: tools/amalgamate tools/ccode.py Makefile $(shell find src include -name '*.[ch]')
	@$(if $(V),,echo "  JOIN  $@")
	$(Q)tools/amalgamate $(@D)
	$(Q)cp cmake/CMakeLists.amalgamation.txt $(@D)/CMakeLists.txt
	$(Q)cp bindings/cpp/*.hpp $(@D)/
# Compiled as its users do: no folder of headers, no flags for visibility or fused products.
$(BUILD)/amalgamation.o: lib/amalgamation/sonde.c $(BUILD)/flags
	@$(if $(V),,echo "  CC    $<")
	$(Q)$(filter-out -I% -fvisibility=%,$(COMPILE)) -c $< -o $@

# Every internal name, for tests and for the steps below.
$(BUILD)/internal.a: $(LIBRARY_OBJECTS) $(BUILD)/sources
	$(Q)rm -f $@ && $(CROSS)ar rcs $@ $(LIBRARY_OBJECTS)

# One relocatable object with the hidden names made local: a program's own names can never clash with ours.
$(BUILD)/libsonde.a: $(LIBRARY_OBJECTS) $(BUILD)/sources
	@$(if $(V),,echo "  AR    $@")
	$(Q)$(CROSS)ld -r -o $(BUILD)/libsonde.o $(LIBRARY_OBJECTS)
	$(Q)$(CROSS)objcopy --localize-hidden $(BUILD)/libsonde.o
	$(Q)rm -f $@ && $(CROSS)ar rcs $@ $(BUILD)/libsonde.o && rm -f $(BUILD)/libsonde.o

# Sanitizers and coverage leave names open that only the program resolves.
$(BUILD)/libsonde.so.$(VERSION): $(LIBRARY_OBJECTS) src/sonde.map $(BUILD)/sources
	@$(if $(V),,echo "  LINK  $@")
	$(Q)$(LINK) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=src/sonde.map -Wl,--as-needed -Wl,-z,relro,-z,now \
	    $(if $(MODE_LINK),,-Wl$(comma)--no-undefined) -o $@ $(LIBRARY_OBJECTS) $(LIBS)
	@ln -sf $(@F) $(@D)/$(SONAME) && ln -sf $(SONAME) $(@D)/libsonde.so

$(BUILD)/sonde: $(CLI_OBJECTS) $(BUILD)/libsonde.a
	@$(if $(V),,echo "  LINK  $@")
	$(Q)$(LINK) -Wl,--as-needed -o $@ $^ $(LIBS)

# ---- Examples and the demo -------------------------------------------------------------------------------------------

.PHONY: examples demo
examples: $(EXAMPLES) ## The programs of examples/
$(EXAMPLES): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libsonde.a
	$(Q)$(LINK) -Wl,--as-needed -o $@ $^ $(LIBS)

demo: ## Installs what it needs, then finds answers in real data, in words
	@tools/setup build
	+@$(AGAIN) all
	@lib/sonde demo examples/data --output demo.html

# ---- Tests -----------------------------------------------------------------------------------------------------------

.PHONY: setup test tests test-here check-asan check-ubsan check-tsan check-valgrind check-fault check-abi \
        check-amalgamation check-arm
setup: ## Installs everything that building and testing need (Debian, as root or with sudo)
	@tools/setup build test
test: ## Installs what it needs, then runs every test, the C tests on the amalgamation too (ONLY="names" selects)
	@tools/setup build test
	$(if $(ONLY),,+@$(AGAIN) test-here LAYOUT=amalgamation BLAS=none OPENMP=none RUN="--kinds $(C_KINDS)")
	+@$(AGAIN) all test-here
test-here: tests
	@$(VENV) test/run --build $(BUILD) $(RUN) $(ONLY)
tests: $(BUILD)/libsonde.so.$(VERSION) $(CLI) $(TESTS) $(FUZZERS) $(EXAMPLES) ## Builds the tests without running them

# The flags that only one program needs stand near the top of its source: /* link: FLAGS */
link_line = $(shell sed -n '1,20s@.*/\* link: \(.*\) \*/.*@\1@p' $(1:$(BUILD)/%=%.c))
$(TESTS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/internal.a
	@$(if $(V),,echo "  LINK  $@")
	$(Q)$(LINK) -o $@ $^ $(call link_line,$@) $(LIBS) -lcmocka
# libFuzzer brings its own main; everywhere else replay.c runs the corpus.
$(FUZZERS): $(BUILD)/%: $(BUILD)/%.o $(if $(filter fuzz,$(MODE)),,$(BUILD)/test/fuzz/replay.o) $(BUILD)/internal.a
	@$(if $(V),,echo "  LINK  $@")
	$(Q)$(LINK) $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer) -o $@ $^ $(call link_line,$@) $(LIBS)

# The C programs in another build. Sanitizers reserve address space, so no limit is put on it.
define sanitized
@tools/setup build test sanitize
+@$(AGAIN) test-here OPENMP=none MODE=$(1) RUN="--kinds $(2) --memory 0 --scale 5"
endef
C_KINDS := unit$(comma)methods$(comma)fault$(comma)fuzz$(comma)example$(comma)demo$(comma)python
check-asan: ## The tests under AddressSanitizer (leaks included)
	$(call sanitized,asan,$(C_KINDS))
check-ubsan: ## The tests under UndefinedBehaviorSanitizer
	$(call sanitized,ubsan,$(C_KINDS))
check-tsan: ## The C tests under ThreadSanitizer, on our own threads
	$(call sanitized,tsan,unit$(comma)methods$(comma)example)
check-valgrind: ## The unit tests under valgrind's memcheck
	@tools/setup build test
	+@$(AGAIN) test-here OPENMP=none BLAS=none MODE=debug RUN='--kinds unit --memory 0 --scale 20 --wrap \
	    "valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=99"'
ARM := lib/arm/usr
check-arm: ## The kernel and conformance tests of AArch64, cross-compiled, under qemu
	@tools/setup build test arm
	+@$(AGAIN) test-here CC=aarch64-linux-gnu-gcc BLAS=none OPENMP=none CPPFLAGS="-isystem $(ARM)/include" \
	    LDFLAGS="-L$(ARM)/lib/aarch64-linux-gnu -Wl,-rpath,$(abspath $(ARM))/lib/aarch64-linux-gnu" \
	    RUN='--kinds unit$(comma)methods --memory 0 --scale 10 --emulate "qemu-aarch64 -L /usr/aarch64-linux-gnu"'
check-fault: ## The fault injection tests alone
	@tools/setup build test
	+@$(AGAIN) test-here RUN="--kinds fault"
check-amalgamation: ## The tests on sonde.c in place of the sources, without BLAS and OpenMP
	@tools/setup build test
	+@$(AGAIN) test-here LAYOUT=amalgamation BLAS=none OPENMP=none RUN="--kinds abi,$(C_KINDS) --scale 5"
check-abi: ## Symbols, headers and installation alone
	@tools/setup build test
	+@$(AGAIN) test-here RUN="--kinds abi"

.PHONY: fuzz fuzz-here corpus bench bench-samplers bench-quantizers bench-lists cover
fuzz: ## libFuzzer on every target for FUZZ_SECONDS each (needs clang); finds are kept under lib/build
	@CC=clang OPENMP=none tools/setup build sanitize
	+@$(AGAIN) fuzz-here CC=clang OPENMP=none MODE=fuzz
fuzz-here: $(FUZZERS)
	@for fuzzer in $(FUZZERS); do \
	    name=$$(basename $$fuzzer); mkdir -p $(BUILD)/found/$$name; echo "$$name: $(FUZZ_SECONDS) seconds"; \
	    $$fuzzer -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	        -artifact_prefix=$(BUILD)/found/$$name- $(BUILD)/found/$$name test/fuzz/corpus/$${name#fuzz_} || exit 1; \
	done
$(SEEDERS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/internal.a
	$(Q)$(LINK) -o $@ $^ $(call link_line,$@) $(LIBS)
corpus: $(SEEDERS) ## Writes the seeds of the fuzz targets anew (after the format has changed)
	@for seeder in $(SEEDERS); do $$seeder test/fuzz/corpus/$${seeder##*/seed_} || exit 1; done
$(BENCHES): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/internal.a
	$(Q)$(LINK) -o $@ $^ $(call link_line,$@) $(LIBS)
bench: all $(BENCHES) ## Kernels and parts alone, then beside faiss (PYTHON=VENV/bin/python with faiss-cpu; ARGS="--base ...")
	@$(BUILD)/test/bench/bench_kernels
	@$(BUILD)/test/bench/bench_exact examples/data/glosses.npy examples/data/questions.npy
	@$(BUILD)/test/bench/bench_kmeans examples/data/glosses.npy 256
	@SONDE_LIBRARY=lib/libsonde.so $(PYTHON) test/bench/all.py $(ARGS)
bench-quantizers: shared ## Codes beside faiss and rabitqlib (PYTHON with those; ARGS="--data D --out R [--parts speed]")
	@$(PYTHON) test/bench/quantizers.py --docs docs/benchmarks/quantizers.md $(ARGS)

bench-lists: shared ## Inverted files beside their peers (ARGS="--data D --out R --threads 1,2 --mode batch,single")
	@$(PYTHON) test/bench/lists.py --docs docs/benchmarks/quantizers.md $(ARGS)

bench-samplers: shared ## Samplers beside llama.cpp, diffusers, NumPy and faiss (PYTHON with those; ARGS="--parts tokens")
	@$(PYTHON) test/bench/samplers.py $(ARGS)
cover: ## Line coverage by room
	@find lib/build -path '*-cover/*' -name '*.gcda' -delete 2>/dev/null || true
	+@$(AGAIN) test-here OPENMP=none CC=gcc MODE=cover RUN="--kinds $(C_KINDS) --scale 5"
	@$(PYTHON) tools/cover lib/build/gcc-$(BLAS)-none-cover

.PHONY: lint metrics symbols abi-baseline generate check-generated
lint: ## The rules of the house: order of rooms, sizes, names, symbols
	@$(PYTHON) tools/lint
metrics: ## The size table of this tree
	@$(PYTHON) tools/metrics
symbols: ## Writes src/sonde.map and test/abi/symbols.txt from the public headers
	@$(PYTHON) tools/symbols --write
abi-baseline: symbols ## Writes test/abi/baseline.abi, the interface that later versions keep (needs abidw)
	@$(PYTHON) test/abi/interface.py --write
generate: cli ## Writes bindings/api.json, the low layers of all bindings and docs/reference.md from headers and tables
	@tools/setup python
	@SONDE_CLI=$(CLI) $(VENV) bindings/generate --write
check-generated: cli ## Fails where one of those is stale
	@tools/setup python
	@SONDE_CLI=$(CLI) $(VENV) bindings/generate --check

# ---- Packages of the bindings ------------------------------------------------------------------------------------------

.PHONY: wheel wheel-here crates compare experiments
wheel: ## lib/wheel/sonde-VERSION-py3-none-PLATFORM.whl: Python with the library inside, which needs neither BLAS nor OpenMP
	+@$(AGAIN) wheel-here BLAS=none OPENMP=none
wheel-here: $(BUILD)/libsonde.so.$(VERSION)
	@$(PYTHON) bindings/python/make_wheel $< lib/wheel
crates: ## The two Rust crates, sonde-sys with the amalgamation inside, in bindings/rust/target/package
	@bindings/rust/vendor
	cd bindings/rust && cargo package --workspace --allow-dirty
compare: shared ## Sonde beside its peers (PYTHON=VENV/bin/python with test/bench/requirements.txt; ARGS="--data D --out R")
	@$(PYTHON) test/bench/compare.py $(ARGS)

experiments: shared ## What samplers do on real data (PYTHON with docs/experiments/requirements.txt; ARGS="NAME --data D")
	@$(PYTHON) docs/experiments/run.py $(ARGS)

# ---- Installation ----------------------------------------------------------------------------------------------------

.PHONY: install uninstall clean help FORCE
ROOT := $(DESTDIR)$(PREFIX)
LIBROOT := $(DESTDIR)$(LIBDIR)
HPP := $(wildcard bindings/cpp/*.hpp)

# The installed tree may be moved, so its files find each other by relative paths. /usr stays where it is, and
# pkg-config leaves folders of the system out of the flags only when it reads their plain names.
relative   = $(shell realpath -sm --relative-to=$(2) $(1))
PC_PREFIX  = $(if $(filter /usr,$(PREFIX)),$(PREFIX),$${pcfiledir}/$(call relative,$(PREFIX),$(LIBDIR)/pkgconfig))
CMAKE_UP   = $(call relative,$(PREFIX),$(LIBDIR)/cmake/sonde)
LIB        = $(call relative,$(LIBDIR),$(PREFIX))
MAJOR      = $(firstword $(subst ., ,$(VERSION)))
POINTER    = $(shell echo __SIZEOF_POINTER__ | $(CC) -E -P -)
CMAKE_LIBS = $(subst $(space),;,$(strip $(LIBS)))
PLACES    := VERSION MAJOR SONAME POINTER LIB LIBS PC_PREFIX CMAKE_UP CMAKE_LIBS
FILL       = sed $(foreach place,$(PLACES),-e 's|@$(place)@|$(strip $($(place)))|g')
install: all ## Headers, libraries, files for pkg-config and CMake, and the program under DESTDIR/PREFIX
	install -d $(ROOT)/include/sonde $(LIBROOT)/pkgconfig $(LIBROOT)/cmake/sonde $(ROOT)/bin
	install -m 644 include/sonde.h $(HPP) $(ROOT)/include/
	install -m 644 include/sonde/*.h $(ROOT)/include/sonde/
	install -m 644 $(BUILD)/libsonde.a $(LIBROOT)/
	install -m 755 $(BUILD)/libsonde.so.$(VERSION) $(LIBROOT)/
	ln -sf libsonde.so.$(VERSION) $(LIBROOT)/$(SONAME)
	ln -sf $(SONAME) $(LIBROOT)/libsonde.so
	for name in sonde.pc sonde-static.pc; do $(FILL) pkgconfig/$$name.in >$(LIBROOT)/pkgconfig/$$name || exit 1; done
	for name in sonde-config.cmake sonde-config-version.cmake; do \
	    $(FILL) cmake/$$name.in >$(LIBROOT)/cmake/sonde/$$name || exit 1; done
	$(if $(CLI),install -m 755 $(CLI) $(ROOT)/bin/)
uninstall: ## Removes what install put there
	rm -rf $(addprefix $(ROOT)/,include/sonde.h include/sonde.hpp include/sonde_samplers.hpp include/sonde_quantizers.hpp \
	        include/sonde bin/sonde) \
	    $(addprefix $(LIBROOT)/,libsonde.a libsonde.so $(SONAME) libsonde.so.$(VERSION) \
	        pkgconfig/sonde.pc pkgconfig/sonde-static.pc cmake/sonde)
clean: ## Removes everything that was built
	rm -rf lib/* demo.html
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "Options: CC=gcc|clang  OPENMP=libomp|libgomp|none  BLAS=openblas|blis|none  V=1 (show commands)  WERROR=1"
	@echo "         LAYOUT=files|amalgamation (sonde.c in place of the sources)"
	@echo "         MODE=release|debug|asan|ubsan|tsan|cover  PREFIX=$(PREFIX)  DESTDIR=  FUZZ_SECONDS=$(FUZZ_SECONDS)"
	@echo "         CFLAGS, CPPFLAGS and LDFLAGS are added at the end of ours."

-include $(patsubst %.c,$(BUILD)/%.d,$(LIBRARY_SOURCES) $(CLI_SOURCES) $(TEST_SOURCES) $(FUZZ_SOURCES) \
             $(SEED_SOURCES) $(EXAMPLE_SOURCES) $(BENCH_SOURCES) test/fuzz/replay.c)
