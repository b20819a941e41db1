/* SPDX-License-Identifier: MIT */
/* qemu-img(1): what concerns the image as a file, and not what is in it. */
#pragma once

#include "base/json.h"
#include "io/run.h"

/* The format of all images of ours. */
#define QEMU_IMG_FORMAT "qcow2"

/* What a killed initvm-image leaves is gone within seconds. */
#define QEMU_IMG_IN_USE "the image is in use by another program, a QEMU or qemu-img: try again when that has ended"

/*
 * `qemu-img info`, owned. `format` NULL: qemu-img finds out. ERR_STATE when somebody else has the image open for writing,
 * ERR_NOT_FOUND when it or a backing file is missing, ERR_INVALID when it is no image of that format.
 */
struct json_object *qemu_img_info(struct run *run, const char *image, const char *format, struct error *err);

/* "virtual-size" of that, in bytes. */
uint64_t qemu_img_virtual_size(struct json_object *info);

/* `qemu-img measure`: what a copy of its content takes at most, with that of its backing files. ERR_NOT_FOUND when one of them
 * is missing. */
int qemu_img_measure(struct run *run, const char *image, const char *format, uint64_t *ret, struct error *err);

/* `qemu-img check`, owned: its account of the image's own structure. With `repair` it mends what it can. */
struct json_object *qemu_img_check(struct run *run, const char *image, bool repair, struct error *err);

/* Any other call, with its words from the subcommand on, NULL-terminated. Progress of `-p` becomes the stage's per cent. */
int qemu_img(struct run *run, const char *const *words, struct error *err);
