/* SPDX-License-Identifier: MIT */
/*
 * KVM or not: probed, never believed.  There are hosts where /dev/kvm opens, creates VMs, and a stock kernel then hangs without a
 * byte. So the real kernel is booted once under KVM without a root file system (it panics, and panic=-1 ends it), and the first
 * bytes on its console prove that KVM works.  The verdict is kept per boot of the host, QEMU version and kernel.
 */
#pragma once

#include "base/error.h"
#include "daemon/machine.h"
#include "io/loop.h"

#include <stdbool.h>

/* On real KVM the first line appears within a second; a host this slow would be no faster than emulation. */
#define ACCEL_PROBE_TIMEOUT_MS 8000

struct accel;

/* ruled_out: why KVM cannot be used whatever a probe would say; borrowed for ever; NULL when it may. */
struct accel *accel_new(struct loop *loop, const char *cache_folder, const struct machine *machine, const char *ruled_out);
/* Another device than /dev/kvm, another time than ACCEL_PROBE_TIMEOUT_MS; borrowed. */
void accel_set_device(struct accel *a, const char *device, unsigned timeout_ms);
void accel_free(struct accel *a); /* ends a probe that is running; its callback is not called */

/* Without any probe: can KVM be ruled out already (no device, no permission, an earlier verdict of this boot)? Then -1 with the
 * reason. */
int accel_rule_out(struct accel *a, struct error *err);

/*
 * Decides for this kernel. `wanted` is auto, kvm or tcg. fn is called once, now or later: kvm, and for auto without KVM the
 * reason as one line (else NULL); err (ERR_UNSUPPORTED with the reason) when kvm was wanted and does not work.
 */
typedef void (*accel_fn)(void *userdata, bool kvm, const char *why_not, const struct error *err);
void accel_decide(struct accel *a, const char *wanted, const char *kernel, accel_fn fn, void *userdata);
