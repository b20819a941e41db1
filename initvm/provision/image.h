/* SPDX-License-Identifier: MIT */
/*
 * What can be installed: one JSON file per suite and architecture.  The name of an image is its file's name without
 * ".json".  A file in the user's folder hides a shipped one of the same name.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct paths;

/* A part of the archive. Without a URI it is not there. */
struct image_mirror {
        char *uri;
        char *suite;
        char **components;
};

struct image {
        char *name;
        char *path;
        char *description;
        char *suite;        /* the code name: "trixie" */
        char *version;      /* the release: "13"; anything else than a number is never the default */
        char *architecture; /* as dpkg(1) names it: "amd64", "arm64" */
        struct image_mirror main, updates, security, backports;
        char *kernel;  /* package */
        char *keyring; /* file on the host that holds the archive's keys */
        char *keyring_package;
        char *installer_package; /* of the main mirror, holds the installer's netboot kernel and initrd; NULL: none */
        char *installer_kernel;  /* both as files on the host, instead of the package; NULL: none */
        char *installer_initrd;
        uint64_t size;   /* of the disk */
        uint64_t swap;   /* 0: none */
        char **packages; /* what the VM needs of this suite: init, bootloader, qemu-user, ... */
};

/* Errors name the file and the field. */
struct image *image_load(const char *path, struct error *err);
struct image *image_parse(const char *name, const char *path, struct json_object *o, struct error *err);
void image_free(struct image *image); /* NULL is fine */
static inline void cleanup_image(struct image **image)
{
        image_free(*image);
}
#define autoimage __attribute__((cleanup(cleanup_image)))

struct image_list {
        struct image **images; /* by name; the user's first */
        size_t n;
        char **warnings; /* one sentence for each file that cannot be read: the others stay usable */
};

/* All images: <config>/images, then the shipped ones. A folder that is not there is empty. */
int image_list_load(struct image_list *list, const struct paths *paths, struct error *err);
void image_list_done(struct image_list *list);

/* Borrowed. NULL with ERR_NOT_FOUND naming those that are there. */
struct image *image_list_find(const struct image_list *list, const char *name, struct error *err);

/* What `create` takes when nothing is said: the newest release whose architecture is the host's; NULL when there is none. */
struct image *image_list_default(const struct image_list *list);

/* The architecture of this host as dpkg names it; the kernel's own name when Debian has none. Static. */
const char *image_host_architecture(void);
