/* SPDX-License-Identifier: MIT */
#include "provision/hook.h"

#include "base/file.h"
#include "base/json.h"
#include "base/util.h"
#include "io/run_hook.h"
#include "provision/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY_MAX (1024 * 1024) /* Debian's keyring has some 60 KB */

int hook_input_save(const char *image_path, const char *preseed_path, const char *preseed_text,
                    const struct plan_overrides *overrides, const char *keys, const struct disk_layout *layout, struct error *err)
{
        autojson struct json_object *o = json_new();
        struct json_object *image = json_parse_file(image_path, err);

        if (!image)
                return -1;
        json_add(o, "image", image);
        json_add_string(o, "imagePath", image_path);
        json_add_string(o, "preseedPath", preseed_path);
        json_add_string(o, "preseed", preseed_text);
        json_add_string(o, "name", overrides->name);
        json_add_string(o, "mirror", overrides->mirror);
        json_add_u64(o, "size", overrides->size);
        json_add_string(o, "keys", keys);
        json_add_string(o, "rootUuid", layout->root_uuid);
        json_add_string(o, "swapUuid", layout->swap_uuid);
        json_add_string(o, "efiId", layout->efi_id);
        return run_hook_memory("hook-input", o, err);
}

static void input_done(struct hook_input *in)
{
        plan_free(in->plan);
        preseed_free(in->preseed);
        image_free(in->image);
        free(in->keys);
}

static int input_load(struct hook_input *in, struct error *err)
{
        autojson struct json_object *o = run_hook_read(HOOK_FD_INPUT, err);
        struct plan_overrides overrides;
        const char *text, *path;

        *in = (struct hook_input){0};
        if (!o)
                return -1;
        overrides = (struct plan_overrides){.name = json_get_string(o, "name", ""),
                                            .mirror = json_get_string(o, "mirror", NULL),
                                            .size = json_get_u64(o, "size", 0)};
        path = json_get_string(o, "imagePath", "");
        in->image = image_parse(path, path, json_get(o, "image"), err);
        text = json_get_string(o, "preseed", "");
        in->preseed = preseed_parse(json_get_string(o, "preseedPath", ""), text, strlen(text), err);
        in->keys = xstrdup(json_get_string(o, "keys", ""));
        if (!in->image || !in->preseed)
                return -1;
        in->plan = plan_new(in->image, in->preseed, &overrides, err);
        if (!in->plan || disk_layout_init(&in->layout, in->plan, err) < 0)
                return -1;
        snprintf(in->layout.root_uuid, sizeof(in->layout.root_uuid), "%s", json_get_string(o, "rootUuid", ""));
        snprintf(in->layout.swap_uuid, sizeof(in->layout.swap_uuid), "%s", json_get_string(o, "swapUuid", ""));
        snprintf(in->layout.efi_id, sizeof(in->layout.efi_id), "%s", json_get_string(o, "efiId", ""));
        return 0;
}

/* Runs a function inside the root, in a child: there is no way back out of it. The child tells its error by itself. */
static int in_root(const char *root, int (*fn)(void *userdata, struct error *err), void *userdata)
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                struct error why = ERROR_INIT;

                if (chroot(root) < 0 || chdir("/") < 0)
                        error_errno(&why, errno, "cannot enter '%s'", root);
                else if (fn(userdata, &why) == 0)
                        _exit(0);
                run_hook_error(HOOK_FD_REPORT, &why);
                _exit(1);
        }
        while (pid > 0 && waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -1;
        return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int essential_inside(void *userdata, struct error *err)
{
        return guest_preconfigure(userdata, err);
}

static int customize_inside(void *userdata, struct error *err)
{
        return guest_apply(userdata, err);
}

/* The keys are read before the root is entered; the archive's is the last one. */
static int read_keys(const struct hook_input *in, struct buf *keys, struct error *err)
{
        for (size_t i = 0; i <= in->plan->n_sources; i++) {
                const struct plan_source *s = i < in->plan->n_sources ? &in->plan->sources[i] : NULL;
                autofree char *path = xasprintf("%s/%s", in->keys, s ? s->name : "archive");
                autofree char *data = NULL;
                size_t n;

                if (s && !s->key)
                        continue;
                data = file_read(path, KEY_MAX, &n, err);
                if (!data)
                        return -1;
                buf_append(&keys[i], data, n);
        }
        return 0;
}

static int customize(const struct hook_input *in, const char *root, struct error *err)
{
        struct buf *keys = xcalloc(in->plan->n_sources + 1, sizeof(*keys));
        struct guest guest = {
                .plan = in->plan,
                .root_uuid = in->layout.root_uuid,
                .swap_uuid = in->layout.swap_size ? in->layout.swap_uuid : NULL,
                .efi_uuid = in->layout.efi ? in->layout.efi_id : NULL,
                .keys = keys,
                .agent = HOOK_FD_AGENT,
                .kernel_out = HOOK_FD_KERNEL,
                .initrd_out = HOOK_FD_INITRD,
        };
        int result = read_keys(in, keys, err);

        if (result == 0) {
                run_hook_stage(HOOK_FD_REPORT, "configure", "applying the preseed's answers");
                result = in_root(root, customize_inside, &guest); /* the child has told why */
        }
        for (size_t i = 0; i <= in->plan->n_sources; i++)
                buf_done(&keys[i]);
        free(keys);
        if (result < 0)
                return -1;
        run_hook_stage(HOOK_FD_REPORT, "filesystem", "making the root file system");
        return disk_make_root(HOOK_FD_DISK, root, &in->layout, in->plan->filesystem, err);
}

int hook_main(int argc, char **argv)
{
        struct error err = ERROR_INIT;
        struct hook_input in;
        int result;

        if (argc != 3)
                return 2;
        umask(022);
        result = input_load(&in, &err);
        if (result == 0 && streq(argv[1], "essential"))
                result = in_root(argv[2], essential_inside, in.plan);
        else if (result == 0 && streq(argv[1], "customize"))
                result = customize(&in, argv[2], &err);
        else if (result == 0)
                result = error_set(&err, ERR_INVALID, "there is no hook '%s'", argv[1]);
        input_done(&in);
        if (result < 0 && err.code != ERR_NONE)
                run_hook_error(HOOK_FD_REPORT, &err);
        return result < 0 ? 1 : 0;
}
