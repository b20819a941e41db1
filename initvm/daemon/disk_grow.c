/* SPDX-License-Identifier: MIT */
#include "daemon/disk_grow.h"

#include "base/embed.h"
#include "daemon/guest_exec.h"
#include "daemon/manager.h"
#include "daemon/virt_stream.h"
#include "daemon/vm_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

EMBED(grow_guest_script, "daemon/grow_guest.sh");
extern const char grow_guest_script[];

/* As domain_xml.c names it. */
#define DISK_TARGET "vda"

/* A large file system has many tables, and under emulation a busy guest is slow. */
#define GUEST_TIMEOUT_MS (10 * 60 * 1000)

struct growing {
        struct daemon *daemon;
        char *name; /* of the VM, which may go meanwhile */
        virDomainPtr domain;
        uint64_t size;
        struct error err;
        int output;
        disk_grow_done_fn done;
        void *userdata;
};

static void finish(struct growing *g, struct json_object *result, const struct error *err)
{
        disk_grow_done_fn done = g->done;
        void *userdata = g->userdata;
        struct error copy = err ? *err : (struct error)ERROR_INIT; /* it may be g's */
        struct vm *vm = manager_find(g->daemon->manager, g->name, NULL);

        if (vm)
                vm->growing = false;
        virDomainFree(g->domain);
        cleanup_close(&g->output);
        free(g->name);
        free(g);
        done(userdata, result, err ? &copy : NULL);
}

/* The last line of what the guest has said; 0 when it is not the size. */
static uint64_t told_size(char *output)
{
        size_t length = strlen(output);
        const char *line;
        uint64_t size = 0;

        while (length > 0 && output[length - 1] == '\n')
                output[--length] = '\0';
        line = strrchr(output, '\n');
        return sscanf(line ? line + 1 : output, "filesystem %" SCNu64, &size) == 1 ? size : 0;
}

static void on_grown(void *userdata, const struct error *why)
{
        struct growing *g = userdata;
        autojson struct json_object *result = json_new();
        char text[GUEST_OUTPUT_MAX + 1] = "";
        struct error err = ERROR_INIT;

        if (why) {
                error_set(&err, why->code, "the disk has grown, but not yet what is on it: %s", why->message);
                finish(g, NULL, &err);
                return;
        }
        if (pread(g->output, text, GUEST_OUTPUT_MAX, 0) < 0)
                text[0] = '\0';
        json_add_u64(result, "virtual", g->size);
        json_add_u64(result, "filesystem", told_size(text));
        finish(g, result, NULL);
}

/* ---- the image */

static int check_agent(const struct vm *vm, struct error *err)
{
        if (vm->channel && channel_ready(vm->channel))
                return 0;
        return error_set(
                err, ERR_STATE,
                "the agent in VM '%s' does not answer, and has to grow what is on the disk: try again, or stop the VM first",
                vm->record.name);
}

/* What counts is QEMU's own word: a daemon that was killed may not have written down what it had grown, and libvirt would cut it
 * off. */
static void resize_image(void *userdata)
{
        struct growing *g = userdata;
        virDomainBlockInfo info;

        if (virDomainGetBlockInfo(g->domain, DISK_TARGET, &info, 0) < 0)
                error_set(&g->err, ERR_FAILED, "the size of the disk cannot be told: %s", virt_error());
        else if (g->size < info.capacity)
                error_set(&g->err, ERR_INVALID,
                          "the disk has %s already, and cannot become smaller: 'initvm disk compact' gives the host back what is "
                          "not used of it",
                          format_size(info.capacity));
        else if (virDomainBlockResize(g->domain, DISK_TARGET, g->size, VIR_DOMAIN_BLOCK_RESIZE_BYTES) < 0)
                error_set(&g->err, ERR_FAILED, "the disk cannot be resized: %s", virt_error());
}

static void on_resized(void *userdata)
{
        char *const argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)grow_guest_script, NULL};
        struct growing *g = userdata;
        struct vm *vm = g->err.code ? NULL : manager_find(g->daemon->manager, g->name, &g->err);

        if (vm) {
                vm->record.size = g->size;
                vm_save_record(vm);
        }
        if (!vm || check_agent(vm, &g->err) < 0 || (g->output = guest_exec_memory(&g->err)) < 0 ||
            !guest_exec_start(g->daemon->loop, vm->channel, argv, g->output, GUEST_TIMEOUT_MS, on_grown, g, &g->err))
                finish(g, NULL, &g->err);
}

int disk_grow(struct vm *vm, struct daemon *daemon, uint64_t size, disk_grow_done_fn done, void *userdata, struct error *err)
{
        struct growing *g;

        if (vm_busy(vm, err) || check_agent(vm, err) < 0)
                return -1;
        if (vm->growing)
                return error_set(err, ERR_STATE, "the disk of VM '%s' is being resized already", vm->record.name);
        g = xcalloc(1, sizeof(*g));
        *g = (struct growing){.daemon = daemon,
                              .name = xstrdup(vm->record.name),
                              .domain = vm->domain,
                              .size = size,
                              .output = -1,
                              .done = done,
                              .userdata = userdata};
        virDomainRef(g->domain);
        vm->growing = true;
        worker_run(daemon->worker, resize_image, on_resized, g);
        return 0;
}
