/* SPDX-License-Identifier: MIT */
/*
 * The disk: one root partition and perhaps swap.  Of the installer's partman that is the method "regular" with the recipe
 * "atomic", or an expert recipe (partman-auto-recipe.txt of debian-installer) that has nothing but these two besides what
 * firmware needs to boot.
 */
#include "provision/plan.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

#define RECIPE_MB 1000000ull /* partman counts in 10^6 bytes */

static bool filesystem_possible(const char *name)
{
        return streq(name, "ext4") || streq(name, "ext3") || streq(name, "ext2");
}

static void set_filesystem(struct plan *plan, const char *name)
{
        free(plan->filesystem);
        plan->filesystem = xstrdup(name);
}

/* One partition of a recipe: MIN PRIORITY MAX FSTYPE and "name{ value }" pairs, given as its words. */
struct partition {
        char *const *words;
        size_t n;
};

/* The value of "name{ value }"; NULL when it is not there, "" when it has none. The blanks inside are a must in recipes. */
static const char *partition_get(const struct partition *part, const char *name)
{
        autofree char *open = xasprintf("%s{", name);

        for (size_t i = 4; i < part->n; i++)
                if (streq(part->words[i], open))
                        return i + 1 < part->n && !streq(part->words[i + 1], "}") ? part->words[i + 1] : "";
        return NULL;
}

/* Swap takes its maximum, as on a large disk; a share of memory, which a disk outlives, or no bound at all its minimum. */
static int swap_size(const struct partition *part, uint64_t *ret)
{
        uint64_t min, max;

        if (parse_u64(part->words[0], 0, UINT32_MAX, &min) < 0)
                return -1;
        if (parse_u64(part->words[2], 1, 1000000, &max) < 0)
                max = min;
        *ret = MAX(min, max) * RECIPE_MB;
        return 0;
}

/* Takes one partition into the plan. */
static int read_partition(struct plan *plan, const struct partition *part, struct preseed *p, const struct preseed_entry *e,
                          bool *have_root, struct error *err)
{
        const char *type = part->words[3], *mountpoint = partition_get(part, "mountpoint");
        const char *method = partition_get(part, "method"), *filesystem = partition_get(part, "filesystem");
        autofree char *what = NULL;

        if (streq(method, "swap") || streq(type, "linux-swap"))
                return swap_size(part, &plan->swap) == 0 ? 0 : preseed_invalid(p, e, err, "'%s' is not a size", part->words[0]);
        if (streq(method, "biosgrub") || streq(method, "efi") || streq(type, "free") || streq(type, "fat32") ||
            streq(type, "fat16"))
                return 0;
        if (!streq(mountpoint, "/")) {
                what = mountpoint ? xasprintf("a partition for '%s'", mountpoint)
                                  : xasprintf("a partition with method '%s'", method ? method : "none");
                return plan_unsupported(p, e, err, what);
        }
        if (filesystem && !filesystem_possible(filesystem)) {
                what = xasprintf("the file system '%s'", filesystem);
                return plan_unsupported(p, e, err, what);
        }
        if (filesystem || filesystem_possible(type))
                set_filesystem(plan, filesystem ? filesystem : type);
        *have_root = true;
        return 0;
}

/* "NAME :: PARTITION . PARTITION . ...", a '.' standing alone ends each. */
static int read_recipe(struct plan *plan, struct preseed *p, const char *recipe, const struct preseed_entry *e, struct error *err)
{
        autostrv char **words = strv_split(recipe, " \t\n");
        size_t n = strv_length(words), i = 0;
        bool have_root = false;

        while (i < n && !streq(words[i], "::"))
                i++;
        if (i++ == n)
                return preseed_invalid(p, e, err, "a recipe begins with NAME ::");
        plan->swap = 0;
        while (i < n) {
                struct partition part = {.words = &words[i]};

                while (i < n && !streq(words[i], "."))
                        i++, part.n++;
                i++;
                if (part.n == 0)
                        continue;
                if (part.n < 4)
                        return preseed_invalid(p, e, err, "a partition begins with MINIMUM PRIORITY MAXIMUM TYPE");
                if (read_partition(plan, &part, p, e, &have_root, err) < 0)
                        return -1;
        }
        return have_root ? 0 : preseed_invalid(p, e, err, "the recipe has no partition with mountpoint{ / }");
}

int plan_read_disk(struct plan *plan, struct preseed *p, const struct plan_overrides *o, struct error *err)
{
        autofree char *method = plan_string(p, "partman-auto/method"), *choice = plan_string(p, "partman-auto/choose_recipe");
        autofree char *recipe = plan_string(p, "partman-auto/expert_recipe");
        autofree char *filesystem = plan_string(p, "partman/default_filesystem");
        autofree char *what = NULL;

        plan->size = o->size ? o->size : plan->image->size;
        plan->swap = plan->image->swap;
        set_filesystem(plan, filesystem ? filesystem : "ext4");
        if (method && !streq(method, "regular")) {
                what = xasprintf("the partitioning method '%s'", method);
                return plan_unsupported(p, preseed_find(p, NULL, "partman-auto/method"), err, what);
        }
        if (filesystem && !filesystem_possible(filesystem)) {
                what = xasprintf("the file system '%s'", filesystem);
                return plan_unsupported(p, preseed_find(p, NULL, "partman/default_filesystem"), err, what);
        }
        if (choice && !recipe && !streq(choice, "atomic")) {
                what = xasprintf("the partitioning recipe '%s'", choice);
                return plan_unsupported(p, preseed_find(p, NULL, "partman-auto/choose_recipe"), err, what);
        }
        if (recipe && read_recipe(plan, p, recipe, preseed_find(p, NULL, "partman-auto/expert_recipe"), err) < 0)
                return -1;
        return 0;
}
