# SPDX-License-Identifier: MIT
#
# `make help` lists the targets.  Everything that is built lands in $(BUILD):
#   bin/ lib/ obj/       the programs, the archives and the objects
#   asan/{bin,lib,obj}   the same with AddressSanitizer and UndefinedBehaviorSanitizer; `make check` uses these
#   asan/tests/          unit tests and the replay of the fuzz corpora
#   fuzz/                the fuzz targets (clang)
#
# Each folder below initvm/ becomes one archive; a file with a main() becomes a program that is linked against its own
# folder's archive and those of the layers below it.  A new .c file needs no change here.

VERSION := 0.1.0

BUILD      ?= build
CC         ?= gcc
CLANG      ?= clang
AR         ?= ar
PKG_CONFIG ?= pkg-config
INSTALL    ?= install

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBEXECDIR ?= $(PREFIX)/libexec/initvm
DATADIR    ?= $(PREFIX)/share/initvm
MANDIR     ?= $(PREFIX)/share/man
COMPLETION_BASH ?= $(PREFIX)/share/bash-completion/completions
COMPLETION_ZSH  ?= $(PREFIX)/share/zsh/site-functions
COMPLETION_FISH ?= $(PREFIX)/share/fish/vendor_completions.d

# Used by `make test` and `make quickstart` only, which set the machine up by themselves.
JOBS ?= $(shell nproc)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# ---- what is built from what ---------------------------------------------------------------------------------------

FOLDERS := base wire io archive chroot job binfmt provision target image daemon cli agent ssh
ALL_SOURCES := $(foreach d,$(FOLDERS),$(sort $(wildcard initvm/$d/*.c)))
MAIN_SOURCES := $(if $(ALL_SOURCES),$(shell grep -lE "^int main\>" $(ALL_SOURCES)))
main_of = $(filter initvm/$1/%,$(MAIN_SOURCES))
lib_sources = $(filter-out $(MAIN_SOURCES),$(filter initvm/$1/%,$(ALL_SOURCES)))

# program = folder : archives, uppermost first.  Of provision/ the daemon takes the readers of images and preseeds, initvm-image the
# files that go into machines.
PROGRAM_FOLDERS := cli daemon provision target image agent ssh
PROGRAM_cli := initvm
PROGRAM_daemon := initvmd
PROGRAM_provision := initvm-provision
PROGRAM_target := initvm-target
PROGRAM_image := initvm-image
PROGRAM_agent := initvm-agent
PROGRAM_ssh := initvm-ssh
ARCHIVES_cli := cli archive binfmt io wire base
ARCHIVES_daemon := daemon provision archive io wire base
ARCHIVES_provision := provision io wire base
ARCHIVES_target := provision io wire base
ARCHIVES_image := image provision archive io wire base
ARCHIVES_agent := agent job chroot archive binfmt io wire base
ARCHIVES_ssh := ssh io wire base
PKGS_cli := json-c libmd
PKGS_daemon := libvirt libvirt-qemu json-c libmd zlib
PKGS_provision := json-c zlib
PKGS_image := libguestfs json-c libmd
PKGS_ssh := libssh json-c

UNIT_SOURCES := $(sort $(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(filter-out $(UNIT_SOURCES),$(sort $(wildcard tests/unit/*.c)))
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH_SOURCES := $(sort $(wildcard tests/bench/bench_*.c))

# ---- flags -----------------------------------------------------------------------------------------------------------

WERROR ?= -Werror
WARNINGS := -Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla \
	-Wformat=2 -Wno-format-nonliteral -Wundef -Wpointer-arith -Wdate-time
DEFINES = -D_GNU_SOURCE -DINITVM_VERSION='"$(VERSION)"' -DINITVM_BINDIR='"$(BINDIR)"' \
	-DINITVM_LIBEXECDIR='"$(LIBEXECDIR)"' -DINITVM_DATADIR='"$(DATADIR)"' -DINITVM_TESTS='"$(CURDIR)/tests"'
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags json-c libarchive libmd libseccomp libvirt libvirt-qemu libguestfs libssh cmocka 2>/dev/null)
BASE_CFLAGS = -std=gnu17 -g $(WARNINGS) $(DEFINES) -Iinitvm $(PKG_CFLAGS) -pthread -MMD -MP

HARDENING := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
ifneq (,$(filter x86_64-%,$(shell $(CC) -dumpmachine)))
HARDENING += -fcf-protection
endif
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=undefined

# gcc takes a flag on the stack that a callback may set (initvm/io) for a pointer that outlives its frame; it is always taken back.
GCC_WARNINGS := -Wno-dangling-pointer
CFLAGS ?= -O2
PLAIN_CFLAGS = $(BASE_CFLAGS) $(GCC_WARNINGS) $(CFLAGS) $(HARDENING) -fPIE
PLAIN_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
ASAN_CFLAGS = $(BASE_CFLAGS) $(GCC_WARNINGS) -O1 -fno-omit-frame-pointer $(SANITIZERS) -fPIE
ASAN_LDFLAGS = -pie -Wl,--as-needed $(SANITIZERS) $(LDFLAGS)
FUZZ_CFLAGS = $(BASE_CFLAGS) -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined
FUZZ_LDFLAGS = -fsanitize=fuzzer,address,undefined

# Rewritten only when a flag has changed: everything depends on it, so that `make PREFIX=…` rebuilds what it must.
FLAGS_STAMP := $(BUILD)/flags
FLAGS_TEXT = $(CC) $(PLAIN_CFLAGS) $(PLAIN_LDFLAGS) $(ASAN_CFLAGS) $(FUZZ_CFLAGS)
$(FLAGS_STAMP): FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(call quote,$(FLAGS_TEXT)) | cmp -s - $@ || printf '%s\n' $(call quote,$(FLAGS_TEXT)) >$@
quote = '$(subst ','\'',$1)'
FORCE:

# One short line per step; V=1 shows the commands.
ifeq ($(V),1)
say = @:
Q :=
else
say = @printf '  %-7s %s\n'
Q := @
endif

# ---- rules, once plain in $(BUILD), once sanitized in $(BUILD)/asan, once for fuzzing ------------------------------

OBJECTS :=
# $1 folder of the variant, $2 its name in capitals, $3 compiler
define variant_rules
$1/obj/%.o: %.c $$(FLAGS_STAMP)
	@mkdir -p $$(@D)
	$$(say) CC '$$@'
	$$(Q)$3 $$($2_CFLAGS) -c -o $$@ $$<
# What an .incbin takes in, the compiler's dependency files do not tell.
$1/obj/initvm/provision/guest_files.o: $$(wildcard initvm/provision/*.sh initvm/agent/*.service)
$1/obj/initvm/provision/installer_initrd.o: $$(wildcard initvm/provision/*.sh)
$1/obj/initvm/daemon/ssh_identity.o: initvm/daemon/ssh_guest.sh
$1/obj/initvm/daemon/disk_grow.o: initvm/daemon/grow_guest.sh
$1/obj/initvm/io/server.o: initvm/wire/org.varlink.service.varlink
$1/obj/initvm/daemon/methods.o: initvm/wire/org.initvm.varlink
$$(foreach d,$$(FOLDERS),$$(eval $$(call archive_rule,$1,$$d)))
endef
# $1 folder of the variant, $2 folder of sources
define archive_rule
OBJECTS += $$(patsubst %.c,$1/obj/%.o,$$(filter initvm/$2/%,$$(ALL_SOURCES)))
$1/lib/lib$2.a: $$(patsubst %.c,$1/obj/%.o,$$(call lib_sources,$2))
	@mkdir -p $$(@D)
	$$(say) AR '$$@'
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$^
endef
# $1 folder of the variant, $2 its name in capitals, $3 folder of the program
define program_rule
$1/bin/$$(PROGRAM_$3): $$(patsubst %.c,$1/obj/%.o,$$(call main_of,$3)) $$(foreach a,$$(ARCHIVES_$3),$1/lib/lib$$a.a)
	@mkdir -p $$(@D)
	$$(say) LINK '$$@'
	$$(Q)$$(CC) $$($2_LDFLAGS) -o $$@ $$^ $$(LIBS_$3) $$(shell $$(PKG_CONFIG) --libs $$(PKGS_$3)) -pthread
endef

ASAN := $(BUILD)/asan
FUZZ := $(BUILD)/fuzz

# libarchive.a: one object names all the formats that can be written.  Only pax and raw ever are (initvm/archive/); the formats
# that need further libraries (checksums, XML, compression) are kept out by having their names stand for nothing.
ARCHIVE_FORMATS_OUT := 7zip iso9660 mtree mtree_classic warc xar zip
ARCHIVE_FORMATS = $(foreach f,$(ARCHIVE_FORMATS_OUT),-Wl,--defsym=archive_write_set_format_$f=0)
# In the command line and the daemon it is static as well: with the shared one come libxml2, ICU and the C++ runtime, and loading
# them takes three times as long as all the rest of a short command.
LIBS_cli = $(ARCHIVE_FORMATS) -Wl,--as-needed -Wl,-Bstatic -larchive -Wl,-Bdynamic -lacl -llzma -lzstd -llz4 -lbz2 -lz
LIBS_daemon = $(LIBS_cli)
LIBS_image = $(LIBS_cli)

$(eval $(call variant_rules,$(BUILD),PLAIN,$$(CC)))
$(eval $(call variant_rules,$(ASAN),ASAN,$$(CC)))
$(eval $(call variant_rules,$(FUZZ),FUZZ,$$(CLANG)))
$(foreach p,cli daemon provision image ssh,$(eval $(call program_rule,$(BUILD),PLAIN,$p)))
$(foreach p,cli daemon provision image ssh,$(eval $(call program_rule,$(ASAN),ASAN,$p)))

# The agent is pushed into guests of any release, so it is static; and never sanitized, the runtime cannot be static.
AGENT_LIBS = $(ARCHIVE_FORMATS) -larchive $(shell $(PKG_CONFIG) --libs --static json-c libmd libseccomp)
$(BUILD)/bin/initvm-agent: $(patsubst %.c,$(BUILD)/obj/%.o,$(call main_of,agent)) $(foreach a,$(ARCHIVES_agent),$(BUILD)/lib/lib$a.a)
	@mkdir -p $(@D)
	$(say) LINK '$@'
	$(Q)$(CC) -static-pie -Wl,-z,relro,-z,now $(LDFLAGS) -o $@ $^ $(AGENT_LIBS) -pthread
$(ASAN)/bin/initvm-agent: $(BUILD)/bin/initvm-agent
	@mkdir -p $(@D)
	$(Q)cp $< $@

# The last step of an installation runs in a system of any release, too.
TARGET_LIBS = $(shell $(PKG_CONFIG) --libs --static json-c zlib)
$(BUILD)/bin/initvm-target: $(patsubst %.c,$(BUILD)/obj/%.o,$(call main_of,target)) $(foreach a,$(ARCHIVES_target),$(BUILD)/lib/lib$a.a)
	@mkdir -p $(@D)
	$(say) LINK '$@'
	$(Q)$(CC) -static-pie -Wl,-z,relro,-z,now $(LDFLAGS) -o $@ $^ $(TARGET_LIBS) -pthread
$(ASAN)/bin/initvm-target: $(BUILD)/bin/initvm-target
	@mkdir -p $(@D)
	$(Q)cp $< $@

# Programs whose folder has a main() so far.
BUILT_FOLDERS := $(foreach p,$(PROGRAM_FOLDERS),$(if $(call main_of,$p),$p))
PROGRAMS := $(foreach p,$(BUILT_FOLDERS),$(BUILD)/bin/$(PROGRAM_$p))
ASAN_PROGRAMS := $(foreach p,$(BUILT_FOLDERS),$(ASAN)/bin/$(PROGRAM_$p))

# ---- tests -------------------------------------------------------------------------------------------------------------

TEST_ARCHIVES := $(foreach d,cli daemon provision image agent job chroot archive binfmt io wire base,$(ASAN)/lib/lib$d.a)
TEST_LIBS = -Wl,--start-group $(TEST_ARCHIVES) -Wl,--end-group $(shell $(PKG_CONFIG) --libs libvirt libvirt-qemu libguestfs json-c libarchive libmd libseccomp zlib cmocka) -pthread

UNIT_TESTS := $(patsubst tests/unit/%.c,$(ASAN)/tests/%,$(UNIT_SOURCES))
FUZZ_REPLAYS := $(patsubst tests/fuzz/%.c,$(ASAN)/tests/%,$(FUZZ_SOURCES))
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,$(FUZZ)/bin/%,$(FUZZ_SOURCES))
OBJECTS += $(patsubst %.c,$(ASAN)/obj/%.o,$(UNIT_SOURCES) $(UNIT_HELPERS) $(FUZZ_SOURCES) tests/lib/fuzz_replay.c tests/lib/job_server.c)
OBJECTS += $(patsubst %.c,$(FUZZ)/obj/%.o,$(FUZZ_SOURCES)) $(patsubst %.c,$(BUILD)/obj/%.o,$(BENCH_SOURCES))

$(ASAN)/tests/test_%: $(ASAN)/obj/tests/unit/test_%.o $(patsubst %.c,$(ASAN)/obj/%.o,$(UNIT_HELPERS)) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(say) LINK '$@'
	$(Q)$(CC) $(ASAN_LDFLAGS) -o $@ $(filter %.o,$^) $(TEST_LIBS)

# A daemon for the end-to-end tests of build jobs.
$(ASAN)/tests/job_server: $(ASAN)/obj/tests/lib/job_server.o $(patsubst %.c,$(ASAN)/obj/%.o,$(UNIT_HELPERS)) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(say) LINK '$@'
	$(Q)$(CC) $(ASAN_LDFLAGS) -o $@ $(filter %.o,$^) $(TEST_LIBS)

# The corpora are replayed by every `make check`; `make fuzz` searches for new inputs.
$(ASAN)/tests/fuzz_%: $(ASAN)/obj/tests/fuzz/fuzz_%.o $(ASAN)/obj/tests/lib/fuzz_replay.o $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(say) LINK '$@'
	$(Q)$(CC) $(ASAN_LDFLAGS) -o $@ $(filter %.o,$^) $(TEST_LIBS)

$(FUZZ)/bin/fuzz_%: $(FUZZ)/obj/tests/fuzz/fuzz_%.o $(foreach d,agent daemon provision job chroot archive binfmt io wire base,$(FUZZ)/lib/lib$d.a)
	@mkdir -p $(@D)
	$(say) LINK '$@'
	$(Q)$(CLANG) $(FUZZ_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(shell $(PKG_CONFIG) --libs json-c libarchive libmd libseccomp zlib) -pthread

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(foreach d,io wire base,$(BUILD)/lib/lib$d.a)
	@mkdir -p $(@D)
	$(say) LINK '$@'
	$(Q)$(CC) $(PLAIN_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(shell $(PKG_CONFIG) --libs json-c) -pthread

# For scripts/lint.
print-lint-flags:
	@echo $(call quote,$(filter-out -MMD -MP,$(BASE_CFLAGS)))

.SECONDARY:
-include $(OBJECTS:.o=.d)

# ---- targets -----------------------------------------------------------------------------------------------------------

.PHONY: all all-asan check check-unit check-e2e check-vm check-foreign check-load check-installer test lint format install uninstall bench fuzz quickstart clean help \
	print-lint-flags FORCE

all: $(PROGRAMS) ## build the programs
all-asan: $(ASAN_PROGRAMS) ## build them with ASan and UBSan

check: $(ASAN_PROGRAMS) $(ASAN)/tests/job_server $(UNIT_TESTS) $(FUZZ_REPLAYS) ## unit tests, fuzz corpora and end-to-end tests (no VM), sanitized
	@INITVM_BIN=$(CURDIR)/$(ASAN)/bin scripts/run-tests check $(UNIT_TESTS) $(FUZZ_REPLAYS) $(sort $(wildcard tests/e2e/*.bats))

check-unit: $(BUILD)/bin/initvm-agent $(BUILD)/bin/initvm-ssh $(UNIT_TESTS) $(FUZZ_REPLAYS) ## only the unit tests and the fuzz corpora
	@scripts/run-tests check-unit $(UNIT_TESTS) $(FUZZ_REPLAYS)

check-e2e: $(ASAN_PROGRAMS) $(ASAN)/tests/job_server ## only the end-to-end tests
	@INITVM_BIN=$(CURDIR)/$(ASAN)/bin scripts/run-tests check-e2e $(sort $(wildcard tests/e2e/*.bats))

check-vm: all ## the suite on a real guest; TESTS='tests/vm/30-exec.bats' runs a part of it
	@INITVM_BIN=$(CURDIR)/$(BUILD)/bin scripts/run-tests check-vm $(or $(TESTS),tests/vm)

check-foreign: all ## Debian packages built as jobs in a guest; INITVM_TEST_CACHE=/some/folder keeps the Debian
	@INITVM_BIN=$(CURDIR)/$(BUILD)/bin scripts/run-tests check-foreign tests/foreign

check-load: all ## a thousand build jobs at once, a log of 1 GB, a file of 20 GB that is given back; the jobs have five minutes
	@INITVM_BIN=$(CURDIR)/$(BUILD)/bin scripts/run-tests check-load tests/load

check-installer: all ## installations with debian-installer, and how they fail; hours on software emulation
	@INITVM_BIN=$(CURDIR)/$(BUILD)/bin scripts/run-tests check-installer $(or $(TESTS),$(sort $(wildcard tests/installer/*.bats)))

lint: ## formatting, layers, static analysis, shell scripts, man pages
	@scripts/run-tests lint scripts/lint

test: ## set the machine up, then lint, check and check-vm; ends with 'N passed, N failed, N skipped'
	@scripts/test

format: ## run clang-format over the sources
	@scripts/format

quickstart: ## set the machine up, build, create and start a VM, build a Debian package in it
	@scripts/install-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@INITVM_BIN=$(CURDIR)/$(BUILD)/bin scripts/quickstart

bench: all $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(BENCH_SOURCES)) ## measure what the documentation claims
	@INITVM_BIN=$(CURDIR)/$(BUILD)/bin tests/bench/run $(BUILD)/bench.json

FUZZ_SECONDS ?= 30
fuzz: $(FUZZ_TARGETS) ## run every fuzz target for FUZZ_SECONDS (30)
	@scripts/fuzz $(FUZZ_SECONDS) $(FUZZ)/corpus $(FUZZ_TARGETS)

MAN_PAGES = $(sort $(wildcard initvm/*/*.[158]))
install: all ## install below DESTDIR and PREFIX (/usr/local)
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DATADIR)/images $(DESTDIR)$(DATADIR)/preseed
	$(INSTALL) -m 755 $(BUILD)/bin/initvm $(DESTDIR)$(BINDIR)/
	$(INSTALL) -m 755 $(BUILD)/bin/initvmd $(BUILD)/bin/initvm-provision $(BUILD)/bin/initvm-target $(BUILD)/bin/initvm-image $(BUILD)/bin/initvm-ssh $(BUILD)/bin/initvm-agent $(DESTDIR)$(LIBEXECDIR)/
	$(INSTALL) -m 644 images/*.json $(DESTDIR)$(DATADIR)/images/
	$(INSTALL) -m 644 preseed/*.cfg $(DESTDIR)$(DATADIR)/preseed/
	$(INSTALL) -m 644 initvm/wire/org.initvm.varlink $(DESTDIR)$(DATADIR)/
	$(INSTALL) -d $(DESTDIR)$(DATADIR)/preseed/examples $(DESTDIR)$(COMPLETION_BASH) $(DESTDIR)$(COMPLETION_ZSH) $(DESTDIR)$(COMPLETION_FISH)
	$(INSTALL) -m 644 preseed/examples/*.cfg $(DESTDIR)$(DATADIR)/preseed/examples/
	$(BUILD)/bin/initvm completion bash >$(DESTDIR)$(COMPLETION_BASH)/initvm
	$(BUILD)/bin/initvm completion zsh >$(DESTDIR)$(COMPLETION_ZSH)/_initvm
	$(BUILD)/bin/initvm completion fish >$(DESTDIR)$(COMPLETION_FISH)/initvm.fish
	for page in $(MAN_PAGES); do \
		$(INSTALL) -D -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; \
	done

uninstall: ## remove what install made
	rm -f $(DESTDIR)$(BINDIR)/initvm
	rm -rf $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DATADIR)
	rm -f $(DESTDIR)$(COMPLETION_BASH)/initvm $(DESTDIR)$(COMPLETION_ZSH)/_initvm $(DESTDIR)$(COMPLETION_FISH)/initvm.fish
	for page in $(MAN_PAGES); do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
