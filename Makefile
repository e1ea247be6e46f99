# SPDX-License-Identifier: Apache-2.0
# One Makefile for the whole house. `make` builds bin/, `make help` lists the rest.
#
#   make             bin/runsc, bin/containerd-shim-runsc-v1
#   make SAN=1       the same with ASan and UBSan, below build/san
#   make check       quick tests: unit tests, layer check (no root, no network)
#   make test        everything, installs what it needs
#   make bench       figures against runc
#   make demo        a container from nothing to exit status
#
# Folders are found, not listed: a new .c file in a room of the house needs no edit here.

PREFIX	?= /usr/local
DESTDIR	?=
CC	:= $(shell command -v ccache >/dev/null 2>&1 && echo ccache) gcc
AR	:= gcc-ar
SAN	?= 0
ifeq ($(SAN),1)
O	?= build/san
BIN	?= $(O)/bin
else
O	?= build/rel
BIN	?= bin
endif
VERSION	:= $(shell git describe --always --dirty 2>/dev/null || echo unknown)

WARN	:= -Wall -Wextra -Werror -Wno-unused-parameter -Wstrict-prototypes -Wmissing-prototypes \
	   -Wpointer-arith -Wvla -Wimplicit-fallthrough -Wformat=2 -Wno-format-nonliteral
# Thread variables are the program's own. Also: the linker turns the `add` of the general form into a `lea`, which leaves the flags that
# UBSan's check for null relies on as they were, and it then reports a null that is none.
TLS	:= -ftls-model=local-exec
HARDEN	:= -fPIE -fstack-protector-strong -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks \
	   -fno-strict-aliasing -fstack-clash-protection $(TLS)
CFLAGS	:= -std=gnu17 -O2 -g -pthread -fvisibility=hidden -D_GNU_SOURCE -I. -Iproto -I$(O)/gen $(WARN) $(HARDEN) \
	   $(EXTRA_CFLAGS)
LDFLAGS	:= -pthread -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections
ifeq ($(SAN),1)
CFLAGS	+= -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DSENTRY_ASAN=1
LDFLAGS	+= -fsanitize=address,undefined -pie -Wl,-u,__asan_default_options,-u,__ubsan_default_options
else
CFLAGS	+= -D_FORTIFY_SOURCE=3 -ffunction-sections
# Static: libnl's name look-ups (never called) and numeric getaddrinfo(3) would each be warned of.
LDFLAGS	+= -static-pie -Wl,--no-warnings
endif

comma	:= ,
# $(call srcs,dirs): the C files and assembly of some folders, generated and stub code aside
srcs	= $(sort $(shell find $(1) -name '*.c' -not -path 'sentry/platform/stub/*' 2>/dev/null) \
	         $(shell find $(1) -name '*.S' -not -path 'sentry/platform/stub/*' 2>/dev/null))
objs	= $(patsubst %,$(O)/%.o,$(call srcs,$(1)))

PB_SRC	:= $(sort $(shell find proto -name '*.proto'))
PB_C	:= $(patsubst proto/%.proto,$(O)/gen/%.pb-c.c,$(PB_SRC))
PB_O	:= $(PB_C:.c=.c.o)

LIB_BASE	:= $(O)/libbase.a
LIB_PROTO	:= $(O)/libproto.a
LIB_SENTRY	:= $(O)/libsentry.a
LIB_GOFER	:= $(O)/libgofer.a
LIB_CNI		:= $(O)/libcni.a
LIB_LIFE	:= $(O)/liblifecycle.a
LIB_SHIM	:= $(O)/libshim.a
HOSTLIBS	:= -lprotobuf-c -lseccomp -ljson-c -lnl-route-3 -lnl-3

all: $(BIN)/runsc $(BIN)/containerd-shim-runsc-v1
.PHONY: force hostcalls all check test bench demo clean install help layers unit format-check

# version.c is compiled again when the version is another one: the stamp is only touched then.
$(O)/proto/base/version.c.o: CFLAGS += -DVERSION='"$(VERSION)"'
$(O)/proto/base/version.c.o: $(O)/version.stamp
$(O)/version.stamp: force
	@mkdir -p $(@D); [ "$$(cat $@ 2>/dev/null)" = "$(VERSION)" ] || echo "$(VERSION)" > $@
force:
$(LIB_BASE): $(call objs,proto/base)
$(LIB_PROTO): $(filter-out $(call objs,proto/base),$(call objs,proto)) $(PB_O)
$(LIB_SENTRY): $(call objs,sentry) $(O)/zygote_blob.o
$(LIB_GOFER): $(call objs,gofer)
$(LIB_CNI): $(call objs,cni)
$(LIB_LIFE): $(call objs,runsc/lib)
$(LIB_SHIM): $(filter-out $(O)/shim/main.c.o,$(call objs,shim))
%.a:
	@mkdir -p $(@D) && rm -f $@
	@echo "  AR      $@"; $(AR) rcs $@ $^

# The order is the direction of dependency: nothing to the right needs what is to its left.
ALL_LIBS := $(LIB_LIFE) $(LIB_CNI) $(LIB_SENTRY) $(LIB_GOFER) $(LIB_PROTO) $(LIB_BASE)
# What the Sentry allocates for a container is charged to it (sentry/run/budget_alloc.c). Sanitizers bring an allocator of their own.
ifneq ($(SAN),1)
$(BIN)/runsc: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,malloc calloc realloc free memalign aligned_alloc posix_memalign)
endif
$(BIN)/runsc: $(filter-out $(call objs,runsc/lib),$(call objs,runsc)) $(ALL_LIBS)
	@mkdir -p $(@D); echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(HOSTLIBS)
$(BIN)/containerd-shim-runsc-v1: $(O)/shim/main.c.o $(LIB_SHIM) $(LIB_LIFE) $(LIB_CNI) $(LIB_PROTO) $(LIB_BASE)
	@mkdir -p $(@D); echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(HOSTLIBS)

# libnl keeps its headers in a folder of their own.
$(O)/cni/%.c.o: CFLAGS += -idirafter /usr/include/libnl3
$(O)/%.c.o: %.c
	@mkdir -p $(@D); echo "  CC      $<"
	@$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
$(O)/%.S.o: %.S
	@mkdir -p $(@D); echo "  AS      $<"
	@$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
$(O)/gen/%.pb-c.c.o: $(O)/gen/%.pb-c.c
	@mkdir -p $(@D); echo "  CC      $<"
	@$(CC) $(filter-out -Werror,$(CFLAGS)) -Wno-strict-prototypes -MMD -MP -c -o $@ $<
$(O)/gen/%.pb-c.c: proto/%.proto
	@mkdir -p $(O)/gen; echo "  PROTOC  $<"
	@protoc-c --proto_path=proto --c_out=$(O)/gen $<
# They come together: without this make would not notice that a header has changed under the objects that include it.
$(O)/gen/%.pb-c.h: $(O)/gen/%.pb-c.c ;
# Headers generated from .proto files are ready before any C file is compiled.
$(call objs,proto runsc shim cni gofer sentry): | $(PB_C)

# The zygote is freestanding: no libc, no relocations that need a loader, general registers only.
# Its image is carried inside the Sentry as bytes and executed from a sealed memfd.
STUB_SRC := $(sort $(wildcard sentry/platform/stub/*.c sentry/platform/stub/*.S))
STUB_CFLAGS := -std=gnu17 -O2 -g -D_GNU_SOURCE -I. $(WARN) -ffreestanding -nostdlib -fPIC -fvisibility=hidden \
	-mgeneral-regs-only -mno-red-zone -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
	-fno-builtin -fno-tree-loop-distribute-patterns
$(O)/zygote: $(STUB_SRC) $(wildcard sentry/platform/stub/*.h sentry/platform/stub/*.ld sentry/platform/*.h)
	@mkdir -p $(@D); echo "  ZYGOTE  $@"
	@gcc $(STUB_CFLAGS) -static -Wl,-z,noexecstack,-z,norelro,--build-id=none \
		$(addprefix -T,$(wildcard sentry/platform/stub/*.ld)) -o $@ $(STUB_SRC)
$(O)/zygote_blob.o: $(O)/zygote
	@printf '.section .rodata\n.global zygote_blob,zygote_blob_end\n.hidden zygote_blob,zygote_blob_end\n.balign 4096\nzygote_blob: .incbin "%s"\nzygote_blob_end: .byte 0\n.section .note.GNU-stack,"",@progbits\n' $< \
		| gcc -c -x assembler -o $@ -

# Unit tests: Criterion, every test/unit file in one program, linked with the same libraries.
UNIT_CFLAGS = $(filter-out -Wmissing-prototypes -fvisibility=hidden,$(CFLAGS)) -Wno-missing-prototypes
UNIT_OBJS := $(patsubst %,$(O)/%.o,$(sort $(shell find test/unit -name '*.c')))
$(O)/test/unit/%.c.o: test/unit/%.c | $(PB_C)
	@mkdir -p $(@D); echo "  CC      $<"
	@$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<
$(O)/unit: $(UNIT_OBJS) $(LIB_SHIM) $(ALL_LIBS)
	@echo "  LD      $@"
	@$(CC) $(filter-out -static-pie,$(LDFLAGS)) -Wl,--no-gc-sections -pie -o $@ $(UNIT_OBJS) -Wl,--start-group $(LIB_SHIM) $(ALL_LIBS) -Wl,--end-group \
		$(HOSTLIBS) -lcriterion
unit: $(O)/unit
	$(O)/unit --timeout 30

# The platform alone, against native (test/bench/platform_bench.c).
$(O)/platform_bench: $(O)/test/bench/platform_bench.c.o $(O)/test/unit/platform/harness.c.o \
		$(call objs,sentry/platform sentry/run sentry/arch) $(O)/zygote_blob.o $(LIB_BASE)
	@echo "  LD      $@"
	@$(CC) $(filter-out -static-pie,$(LDFLAGS)) -Wl,--no-gc-sections -pie -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group
platform-bench: $(O)/platform_bench
	$(O)/platform_bench

# A runsc whose gofer lies to the Sentry (test/security/peers.sh).
$(O)/lying/runsc: $(O)/test/security/lying_gofer.c.o $(filter-out $(call objs,runsc/lib),$(call objs,runsc)) $(ALL_LIBS)
	@mkdir -p $(@D); echo "  LD      $@"
	@$(CC) $(LDFLAGS) -Wl,--wrap=gofer_main -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(HOSTLIBS)
$(O)/test/security/%.c.o: CFLAGS += -Wno-missing-prototypes

layers:
	@test/layers.sh

check: layers unit

test:
	@test/run.sh

bench: all
	@test/bench/run.sh

demo:
	@test/demo.sh

# The README's lists of host calls come from the tables that make the filters; test/hostcalls.sh says when they are old.
hostcalls: all
	@RUNSC=$(BIN)/runsc test/hostcalls.sh --write

install: all
	install -D -m 0755 $(BIN)/runsc $(DESTDIR)$(PREFIX)/bin/runsc
	install -D -m 0755 $(BIN)/containerd-shim-runsc-v1 $(DESTDIR)$(PREFIX)/bin/containerd-shim-runsc-v1

help:
	@sed -n '4,9p' Makefile | cut -c2-

clean:
	rm -rf build bin

-include $(shell find $(O) -name '*.d' 2>/dev/null)
