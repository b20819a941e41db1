/* SPDX-License-Identifier: MIT */
#include "daemon/create_options.h"

#include "base/file.h"
#include "daemon/passt.h"
#include "provision/image.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Limits of what can be asked for: below them Debian does not run or the image cannot hold it, above them it is a slip. */
#define MEMORY_MIN ((uint64_t)256 << 20)
#define MEMORY_MAX ((uint64_t)4 << 40)
#define SIZE_MIN   ((uint64_t)1 << 30)
#define SIZE_MAX_  ((uint64_t)64 << 40)
#define CPUS_MAX   256

static int check_range(const char *what, uint64_t value, uint64_t min, uint64_t max, struct error *err)
{
        if (value < min || value > max)
                return error_set(err, ERR_INVALID, "%s of %s is out of range: between %s and %s", what, format_size(value),
                                 format_size(min), format_size(max));
        return 0;
}

/* A suite of `images` for this host. */
static int take_image(const struct daemon *daemon, const struct create_options *o, const struct image_list *images,
                      struct vm_record *r, char **ret_path, struct error *err)
{
        const struct image *image = o->image ? image_list_find(images, o->image, err) : image_list_default(images);

        if (!image)
                return o->image ? -1
                                : error_set(err, ERR_NOT_FOUND, "no image for this host's architecture; see 'initvm images'");
        if (!streq(image->architecture, daemon->machine->debian))
                return error_set(err, ERR_UNSUPPORTED,
                                 "image '%s' is for %s, this host is %s; the VM has the host's architecture", image->name,
                                 image->architecture, daemon->machine->debian);
        r->image = xstrdup(image->name);
        r->suite = xstrdup(image->suite);
        r->size = o->size ? o->size : image->size;
        *ret_path = xstrdup(image->path);
        return 0;
}

static int fill_image(const struct daemon *daemon, const struct create_options *o, struct vm_record *r, char **ret_path,
                      struct error *err)
{
        struct image_list images;
        int result;

        if (o->from) {
                const char *name = strrchr(o->from, '/') + 1;

                r->image = xstrdup(name);
                r->suite = xstrdup("unknown");
                r->size = o->size;
                return 0;
        }
        if (image_list_load(&images, &daemon->paths, err) < 0)
                return -1;
        result = take_image(daemon, o, &images, r, ret_path, err);
        image_list_done(&images);
        return result;
}

static int fill_record(const struct daemon *daemon, const struct create_options *o, struct vm_record *r, char **ret_path,
                       struct error *err)
{
        if (fill_image(daemon, o, r, ret_path, err) < 0)
                return -1;
        r->uuid = file_read("/proc/sys/kernel/random/uuid", 64, NULL, err);
        if (!r->uuid)
                return -1;
        r->uuid[strcspn(r->uuid, "\n")] = '\0';
        r->name = xstrdup(o->name);
        r->architecture = xstrdup(daemon->machine->debian);
        r->acceleration = xstrdup(o->acceleration ? o->acceleration : "auto");
        r->channel = o->channel ? xstrdup(o->channel) : NULL;
        r->ssh_forward = o->ssh_forward || vm_record_by_ssh(r);
        r->ssh_port = o->ssh_port;
        r->memory = o->memory ? o->memory : machine_default_memory();
        r->cpus = o->cpus ? o->cpus : machine_default_cpus();
        r->created = (uint64_t)time(NULL);
        return 0;
}

/* The system that is adopted is there: nothing of it is made. */
static int check_from(const struct create_options *o, struct error *err)
{
        const struct {
                bool given;
                const char *option;
        } makers[] = {
                {o->image, "--image"},   {o->preseed, "--preseed"}, {o->mirror, "--mirror"},
                {o->method, "--method"}, {o->proxy, "--proxy"},     {o->show, "--show"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(makers); i++)
                if (makers[i].given)
                        return error_set(err, ERR_INVALID,
                                         "--from takes a system as it is, and %s is for one that is to be made: leave one of "
                                         "them out",
                                         makers[i].option);
        return o->from[0] == '/' ? 0 : error_set(err, ERR_INVALID, "the path of the image must be absolute, not '%s'", o->from);
}

static int check_words(const struct daemon *daemon, const struct create_options *o, struct error *err)
{
        const char *accel = o->acceleration ? o->acceleration : "auto";
        struct error why = ERROR_INIT;

        if (!vm_name_valid(o->name))
                return error_set(
                        err, ERR_INVALID,
                        "'%s' is not a name for a VM: 1 to %d letters, digits, '.', '_' or '-', beginning with a letter or digit",
                        o->name, VM_NAME_MAX);
        if (!streq(accel, "auto") && !streq(accel, "kvm") && !streq(accel, "tcg"))
                return error_set(err, ERR_INVALID, "acceleration '%s' is not one of auto, kvm, tcg", accel);
        if (streq(accel, "kvm") && accel_rule_out(daemon->accel, &why) < 0)
                return error_set(err, ERR_UNSUPPORTED, "KVM does not work here: %s; use '--accel auto' for software emulation",
                                 why.message);
        if (o->channel && !streq(o->channel, "auto") && !streq(o->channel, "virtio") && !streq(o->channel, "ssh"))
                return error_set(err, ERR_INVALID, "channel '%s' is not one of auto, virtio, ssh", o->channel);
        if (o->ssh_port > UINT16_MAX)
                return error_set(err, ERR_INVALID, "%llu is not a port", (unsigned long long)o->ssh_port);
        if ((o->ssh_forward || streq(o->channel, "ssh")) && passt_possible(err) < 0)
                return -1;
        if (o->method && !streq(o->method, "bootstrap") && !streq(o->method, "installer"))
                return error_set(err, ERR_INVALID, "method '%s' is not one of bootstrap, installer", o->method);
        if (o->preseed && o->preseed[0] != '/')
                return error_set(err, ERR_INVALID, "the preseed's path must be absolute, not '%s'", o->preseed);
        return o->from ? check_from(o, err) : 0;
}

int create_read_options(struct daemon *daemon, const struct create_options *o, struct vm_record *record, char **ret_image_path,
                        struct error *err)
{
        if (check_words(daemon, o, err) < 0 || fill_record(daemon, o, record, ret_image_path, err) < 0 ||
            check_range("memory", record->memory, MEMORY_MIN, MEMORY_MAX, err) < 0 ||
            (record->size && check_range("size", record->size, SIZE_MIN, SIZE_MAX_, err) < 0))
                return -1;
        if (record->cpus < 1 || record->cpus > CPUS_MAX)
                return error_set(err, ERR_INVALID, "between 1 and %d CPUs are possible", CPUS_MAX);
        return 0;
}
