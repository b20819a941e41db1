/* SPDX-License-Identifier: MIT */
#include "image/keys.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ssh-keygen needs some milliseconds for this kind of key. */
#define KEYGEN_TIMEOUT_S 60

void image_keys_init(struct image_keys *k, const char *image)
{
        autofree char *beside = xstrndup(image, (size_t)(strrchr(image, '/') - image));

        k->folder = xasprintf("%s/ssh", beside);
        k->user_key = xasprintf("%s/id_ed25519", k->folder);
        k->user_public_key = xasprintf("%s.pub", k->user_key);
        k->host_key = xasprintf("%s/host-key", beside);
        k->host_public_key = xasprintf("%s.pub", k->host_key);
}

void image_keys_done(struct image_keys *k)
{
        free(k->folder);
        free(k->user_key);
        free(k->user_public_key);
        free(k->host_key);
        free(k->host_public_key);
}

static int make(struct run *run, const char *path, const char *comment, struct error *err)
{
        char *const argv[] = {(char *)"ssh-keygen", (char *)"-q",    (char *)"-t", (char *)"ed25519", (char *)"-N", (char *)"",
                              (char *)"-C",         (char *)comment, (char *)"-f", (char *)path,      NULL};
        const struct run_tool tool = {.argv = argv, .timeout = KEYGEN_TIMEOUT_S};

        return run_tool(run, &tool, err) < 0 ? run_explain(run, err) : 0;
}

int image_keys_make(struct run *run, const struct image_keys *k, const char *comment, struct error *err)
{
        return dir_make(k->folder, 0700, err) < 0 || make(run, k->user_key, "initvm", err) < 0 ||
                               make(run, k->host_key, comment, err) < 0
                       ? -1
                       : 0;
}

void image_keys_forget_host_key(const struct image_keys *k)
{
        unlink(k->host_key);
}
