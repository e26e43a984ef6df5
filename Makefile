# SPDX-License-Identifier: BSD-2-Clause
# nbld - one Makefile, not recursive. `make help` lists what it can do.

VERSION := 0.1.0
BUILD   ?= build
PREFIX  ?= /usr
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
LIBEXECDIR ?= $(PREFIX)/libexec/nbld

CC      ?= gcc
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' $(1) $(2);)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wpointer-arith -Wvla
WARN += $(if $(CI),-Werror)
HARDEN := -fstack-protector-strong -fPIE -fvisibility=hidden -D_FORTIFY_SOURCE=2
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu17 -D_GNU_SOURCE -DNBL_VERSION='"$(VERSION)"' -DNBL_WORKER_PATH='"$(LIBEXECDIR)/nbld-worker"' \
	$(WARN) $(HARDEN) -Iinclude -Iuser -Ibpf -isystem $(BUILD)/bpf $(CFLAGS) $(EXTRA_CFLAGS)
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now $(LDFLAGS) $(EXTRA_CFLAGS)
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Iinclude -Ibpf -I/usr/include/$(shell gcc -dumpmachine 2>/dev/null)

# What is built, found by folder.
objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)))
CORE    := $(call objects,user/core/*.c)
MEMPORT := $(call objects,user/port/mem_queue.c)
ADOPT   := $(call objects,user/port/xsk_adopt.c)
PORT    := $(call objects,$(filter-out user/port/mem_queue.c user/port/xsk_adopt.c,$(wildcard user/port/*.c)))
STACK   := $(call objects,user/stack/*.c)
MODULES := $(call objects,user/modules/*.c)
FILTER  := $(call objects,user/filter/*.c)
EDGE    := $(call objects,user/edge/*.c)
KEEPER  := $(call objects,user/keeper/*.c)
WORKER  := $(call objects,user/worker/*.c)
CLI     := $(call objects,user/cli/*.c)
BPF     := $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.skel.h,$(wildcard bpf/*.bpf.c))
PROGRAMS := $(BUILD)/nbld $(BUILD)/nbld-worker $(BUILD)/nblctl
UNIT    := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
BPFTEST := $(patsubst tests/bpf/%.c,$(BUILD)/tests/%,$(wildcard tests/bpf/test_*.c))
BENCH   := $(addprefix $(BUILD)/tests/,nbl-gen nbl-sink nbl-bare nfq-accept nbl-frags)

KEEPER_LIBS := -lxdp -lbpf -lconfuse -ljansson -lsystemd -lcap-ng -lmnl
WORKER_LIBS := -lseccomp -lpthread
CLI_LIBS    := -ljansson

PACKAGES := gcc make pkg-config clang llvm bpftool libc6-dev linux-libc-dev libbpf-dev libxdp-dev libconfuse-dev \
	libjansson-dev libsystemd-dev libcap-ng-dev libseccomp-dev libmnl-dev check
TEST_PACKAGES := iproute2 ethtool iperf3 iputils-ping iputils-arping jq procps libnetfilter-queue-dev libnfnetlink-dev nftables iptables socat strace tcpdump

.PHONY: all demo test sim check bench lint rules faults sanitize install uninstall clean help deps test-deps test-programs
.DEFAULT_GOAL := all
.SECONDARY:

all: $(PROGRAMS)		## build nbld, nbld-worker and nblctl

help:				## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

deps:				## install the Debian packages needed to build
	$(Q)tests/lib/packages.sh $(PACKAGES)

test-deps:
	$(Q)tests/lib/packages.sh $(PACKAGES) $(TEST_PACKAGES)

# ---- programs ----

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $@.d -c -o $@ $<

$(BUILD)/tests/bpf/%.bpf.o: tests/bench/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) $(BPF_CFLAGS) -Itests/bench -MMD -MP -MF $@.d -c -o $@ $<

skeleton = $(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name $(1) > $@.tmp && mv $@.tmp $@

$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call skeleton,$*)

$(BUILD)/tests/bpf/%.skel.h: $(BUILD)/tests/bpf/%.bpf.o
	$(call skeleton,$*_bpf)

$(PORT) $(KEEPER): | $(BPF)
# a system header to the compiler, which lists it nowhere
$(BUILD)/user/port/programs.o: $(BPF)

link = $(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(1)

$(BUILD)/nbld: $(KEEPER) $(EDGE) $(PORT) $(STACK) $(MODULES) $(FILTER) $(CORE)
	$(call link,$(KEEPER_LIBS) -lpthread)

# The worker takes of the edges only its end of the handover: no parser runs beside packets.
$(BUILD)/nbld-worker: $(WORKER) $(BUILD)/user/edge/handover.o $(STACK) $(MODULES) $(FILTER) $(ADOPT) $(CORE)
	$(call link,$(WORKER_LIBS))

$(BUILD)/nblctl: $(CLI) $(addprefix $(BUILD)/user/edge/,control.o control_client.o text.o verbs.o)
	$(call link,$(CLI_LIBS))

# ---- tests ----

test-programs: $(PROGRAMS) $(UNIT) $(BPFTEST) $(BENCH) $(BUILD)/tests/nbl-sim $(BUILD)/tests/chaos/nbld $(BUILD)/tests/chaos/nbld-worker \
	$(BUILD)/tests/modules/nbld $(BUILD)/tests/modules/nbld-worker

$(BUILD)/tests/%: tests/unit/%.c $(EDGE) $(STACK) $(MODULES) $(FILTER) $(MEMPORT) $(CORE)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(ALL_CFLAGS) -Wno-unused-parameter -Itests -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(filter %.o,$^) \
		-lcheck -lsubunit -lm -lrt -ljansson -lconfuse -lpthread

# In these, memory runs out when the test says so.
$(BUILD)/tests/test_no_memory $(BUILD)/tests/test_module_states: ALL_LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc
$(BUILD)/tests/test_no_memory: ALL_LDFLAGS += -Wl,--wrap=aligned_alloc

$(BUILD)/tests/%: tests/bpf/%.c $(PORT) $(CORE) $(BPF)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(ALL_CFLAGS) -Wno-unused-parameter -Itests -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(filter %.o,$^) \
		-lcheck -lsubunit -lm -lrt -lxdp -lbpf -lmnl -lpthread

$(BUILD)/tests/test_xsk: $(ADOPT)

$(BUILD)/tests/nbl-gen: tests/bench/gen.c $(BUILD)/tests/bpf/gen.skel.h
$(BUILD)/tests/nbl-sink: tests/bench/sink.c $(BUILD)/tests/bpf/sink.skel.h
$(BUILD)/tests/nbl-bare: tests/bench/bare_loop.c $(BUILD)/tests/bpf/bare.skel.h
$(BUILD)/tests/nfq-accept: tests/bench/nfq_accept.c
$(BUILD)/tests/nbl-frags: tests/bench/frags.c
$(BENCH):
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(ALL_CFLAGS) -isystem $(BUILD)/tests/bpf -Itests/bench -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $(filter %.c,$^) \
		-lxdp -lbpf -lnetfilter_queue -lnfnetlink -lmnl -lpthread

# The lane in the simulator tells when its functions begin, ring operations included: there the kernel may act.
CHAOS := $(call objects,tests/sim/chaos_module.c tests/sim/chaos_work.c)
SIM := $(CHAOS) $(call objects,tests/sim/sim*.c)
SIMSTACK := $(patsubst user/%.c,$(BUILD)/tests/sim-lane/%.o,$(wildcard user/stack/*.c))

$(SIM) $(BUILD)/tests/sim/chaos_table.o: ALL_CFLAGS += -Itests

$(BUILD)/tests/sim-lane/%.o: user/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -finstrument-functions -MMD -MP -c -o $@ $<

$(BUILD)/tests/nbl-sim: $(SIM) $(SIMSTACK) $(CORE)
	$(call link,-lpthread)

# A keeper starts the worker that lies beside it: this one knows the chaos modules, too.
$(BUILD)/tests/chaos/nbld: $(BUILD)/nbld
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(BUILD)/tests/chaos/nbld-worker: $(WORKER) $(BUILD)/user/edge/handover.o $(STACK) $(filter-out %/modules.o,$(MODULES)) \
		$(FILTER) $(ADOPT) $(CORE) $(CHAOS) $(BUILD)/tests/sim/chaos_table.o
	@mkdir -p $(@D)
	$(call link,$(WORKER_LIBS))

# And this one a module that gives nothing back, and some that tell of their lives.
TESTMODULES := $(call objects,tests/modules/*.c)

$(TESTMODULES): ALL_CFLAGS += -Itests

$(BUILD)/tests/modules/nbld: $(BUILD)/nbld
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(BUILD)/tests/modules/nbld-worker: $(WORKER) $(BUILD)/user/edge/handover.o $(STACK) $(filter-out %/modules.o,$(MODULES)) \
		$(FILTER) $(ADOPT) $(CORE) $(TESTMODULES)
	@mkdir -p $(@D)
	$(call link,$(WORKER_LIBS))

sim: $(BUILD)/tests/nbl-sim	## 10 000 seeds of simulated kernels, chaos modules and deaths
	$(Q)$< --seeds 1..10000 --actions 1000
	$(Q)$< --seeds 1..10000 --actions 1000 --lies

check: $(PROGRAMS) $(UNIT) $(BUILD)/tests/nbl-sim	## unit and layer tests: no privileges needed
	$(Q)tests/run check

demo:				## as root: build, pass real traffic through both layouts, clean up
	$(Q)tests/lib/packages.sh $(PACKAGES) $(TEST_PACKAGES)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)BUILD=$(BUILD) tests/demo.sh

test:				## as root: all tests, quick enough for every change
	$(Q)tests/lib/packages.sh $(PACKAGES) $(TEST_PACKAGES)
	$(Q)$(MAKE) --no-print-directory test-programs
	$(Q)BUILD=$(BUILD) tests/run all

rules:				## which test proves which rule, as of the last `make test`
	$(Q)mkdir -p $(BUILD)
	$(Q)BUILD=$(BUILD) tests/rules.sh table >$(BUILD)/rules.txt; cat $(BUILD)/rules.txt

# FAULTS='core-0* *-RX-*' chooses.
faults:				## break each rule on purpose: the test that proves it must fail
	$(Q)BUILD=$(BUILD) tests/faults.sh $(foreach f,$(FAULTS),'$(f)')

sanitize:			## unit tests and simulator with AddressSanitizer, UBSan and ThreadSanitizer
	$(Q)BUILD=$(BUILD) tests/sanitize.sh

bench:				## as root: capacity, loss and latency beside a bare AF_XDP loop
	$(Q)tests/lib/packages.sh $(PACKAGES) $(TEST_PACKAGES)
	$(Q)$(MAKE) --no-print-directory test-programs
	$(Q)BUILD=$(BUILD) tests/bench/bench.sh

lint: $(BPF) $(patsubst %,$(BUILD)/tests/bpf/%.skel.h,gen sink bare)	## static analysis of everything
	$(Q)tests/lib/packages.sh $(PACKAGES) cppcheck clang-tidy shellcheck
	$(Q)tests/lib/lint.sh

# ---- installing ----

# With another PREFIX build with it, too: nbld knows where its worker lies.

install: all			## install programs, headers, unit, manual
	install -D -m 755 $(BUILD)/nbld $(DESTDIR)$(PREFIX)/sbin/nbld
	install -D -m 755 $(BUILD)/nblctl $(DESTDIR)$(PREFIX)/sbin/nblctl
	install -D -m 755 $(BUILD)/nbld-worker $(DESTDIR)$(LIBEXECDIR)/nbld-worker
	install -D -m 644 packaging/nbld.service $(DESTDIR)$(UNITDIR)/nbld.service
	sed -i 's|^ExecStart=/usr/sbin/|ExecStart=$(PREFIX)/sbin/|' $(DESTDIR)$(UNITDIR)/nbld.service
	test -e $(DESTDIR)$(SYSCONFDIR)/nbld/nbld.conf || install -D -m 644 packaging/nbld.conf $(DESTDIR)$(SYSCONFDIR)/nbld/nbld.conf
	for h in include/nbl/*.h; do install -D -m 644 $$h $(DESTDIR)$(PREFIX)/$$h || exit 1; done
	for p in man/*.[578]; do install -D -m 644 $$p $(DESTDIR)$(PREFIX)/share/man/man$${p##*.}/$${p##*/} || exit 1; done

uninstall:			## remove what install put there; the configuration stays
	rm -f $(DESTDIR)$(PREFIX)/sbin/nbld $(DESTDIR)$(PREFIX)/sbin/nblctl $(DESTDIR)$(UNITDIR)/nbld.service
	rm -rf $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(PREFIX)/include/nbl
	for p in man/*.[578]; do rm -f $(DESTDIR)$(PREFIX)/share/man/man$${p##*.}/$${p##*/}; done

clean:				## remove what was built, the last results too
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
