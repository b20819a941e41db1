/* SPDX-License-Identifier: MIT */
/*
 * The image from the inside, through libguestfs: one operation in one appliance.  The appliance has one CPU: under emulation
 * Linux may panic on several (daemon/machine.h).
 *
 * What is read only is read through a temporary overlay: journals are replayed into that, and nothing of the image changes.
 */
#pragma once

#include "image/request.h"

#include <guestfs.h>

struct guest {
        guestfs_h *g;
        const char *uuid; /* of the root file system; NULL: the system has to be looked for */
        char *root;       /* its device; NULL: not found yet */
};

/* Runs the operation of that name on request->image, and fills `result`. */
int guest_operate(const char *operation, const struct image_request *request, struct json_object *result, struct error *err);

/* For the operations: tells what is being done. */
void guest_stage(const char *stage, const char *text);

/* libguestfs' last error, behind a sentence of ours. Returns -1. */
int guest_failed(struct guest *guest, struct error *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define guest_failed(...) ((guest_failed)(__VA_ARGS__), error_result())

/* Finds the root file system: by its UUID, or else that of the one Linux that is on the image. ERR_UNSUPPORTED: there is none,
 * there are several, it is encrypted, it is another system. */
int guest_find_system(struct guest *guest, struct error *err);

/* The same, and mounts it, with the other file systems of its fstab(5). Nothing may be mounted. */
int guest_mount(struct guest *guest, struct error *err);

/* What os-release(5) of the mounted system says, without quotes. Owned; NULL when it does not. */
char *guest_os_release(struct guest *guest, const char *key);

/* Of the mounted system: the newest kernel in /boot that has an initrd, with that, as `kernel` and `initrd` into a folder of the
 * host. ERR_UNSUPPORTED when there is none. */
int guest_take_boot(struct guest *guest, const char *folder, struct error *err);

/* Writes a file of the mounted system: whole, or it stays as it is. Its folder is made if need be. */
int guest_put_text(struct guest *guest, const char *path, int mode, const char *text, struct error *err);

/* The mounted system becomes a machine of this name, with identifiers of its own; `ssh`: and with the keys beside `image`. */
int guest_give_identity(struct guest *guest, const char *hostname, bool ssh, const char *image, struct error *err);

/* The operations (guest_*.c). */
int guest_inspect(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err);
int guest_check(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err);
int guest_grow(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err);
int guest_trim(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err);
int guest_list(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err);
int guest_read(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err);
int guest_identity(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err);
int guest_adopt(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err);
int guest_import(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err);
int guest_write(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err);
